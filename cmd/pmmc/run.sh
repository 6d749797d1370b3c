#!/usr/bin/env bash
# Runs the sample cluster: three processes, data under ./data. `make run` builds
# bin/pmmc first. The first Ctrl-C (or SIGTERM) ends the nodes cleanly, the second at
# once; each is in a process group of its own, so that it hears of it from here only.
set -um
cd "$(dirname "$0")/../.."

pids=()
end() {
  told=yes
  kill -TERM "${pids[@]}" 2>/dev/null
}
trap end INT TERM HUP

echo "starting alpha, beta, gamma: endpoints 127.0.0.1:2379,127.0.0.1:2389,127.0.0.1:2399; Ctrl-C ends them"
for node in alpha beta gamma; do
  bin/pmmc node --config "config/samples/$node.hcl" "$@" &
  pids+=($!)
done

code=0
for pid in "${pids[@]}"; do
  told=yes
  while [ -n "$told" ]; do # a signal interrupts wait
    told=
    wait "$pid"
    status=$?
  done
  [ $status -eq 0 ] || code=1
done
exit $code

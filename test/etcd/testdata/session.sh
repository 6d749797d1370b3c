# A session of etcd's command line. It runs against etcd and against pmmc, and its output
# must be the same but for numbers that identify things and for times.
say() { echo "\$ etcdctl $*"; etcdctl "$@" 2>&1; [ $? -eq 0 ] || echo "failed"; }

# endless runs a command that does not end by itself. It waits long for each of so many lines,
# and then a second for those that should not come.
endless() {
	local lines=$1 line out; shift
	exec {out}< <(exec "$@" 2>&1)
	while IFS= read -r -t $((lines-- > 0 ? 30 : 1)) line <&"$out"; do echo "$line"; done
	kill $! 2>/dev/null
	cat <&"$out" # until it has ended
	exec {out}<&-
}

watch() { local lines=$1; shift; echo "\$ etcdctl watch $*"; endless "$lines" etcdctl watch "$@"; }

say put a 1
say put b 2
say put a 3 --prev-kv
say put new x --ignore-value
say get a
say get a --rev 2
say get a --print-value-only
say get --prefix ""
say get "" --from-key --keys-only --order descend
say get a c --sort-by version --order ascend
say get a --count-only -w fields
say get missing
say get a --rev 100
say del b --prev-kv
say del b
say del --prefix nothing
printf 'mod("a") > "0"\n\nput a 4\nget a\n\nget b\n\n' | say txn
printf 'value("a") = "9"\n\nput a 5\n\ndel a\nput c 6\n\n' | say txn
say put a 7
watch 15 a --rev 2
say put d 1
say put d 2
say compact 5
say compact 5
say compact 100
say get a --rev 3
watch 2 d --rev 3
say put e 1; say put e 2; say put e 3
watch 10 e --rev 12 --prev-kv
watch 12 --prefix "" --rev 10

lease=$(etcdctl lease grant 600 | awk '{print $2}')
say put leased 1 --lease "$lease"
say put leased 2 --ignore-lease
say lease timetolive "$lease" --keys | sed 's/remaining([0-9]*s)/remaining(s)/'
say lease keep-alive --once "$lease"
say lease list
say lease revoke "$lease"
say lease revoke "$lease"
say lease timetolive "$lease"
say lease list
say get leased
say put leased 3 --lease 1234
say lock mutex echo locked
say get --prefix mutex
endless 2 etcdctl elect election me | sed 's,/.*,/id,'

say endpoint health | sed 's/took = .*/took/'
say member list | head -1 | awk -F', ' '{print NF}'
say member remove 1234
say member promote 1234
say alarm list
say alarm disarm

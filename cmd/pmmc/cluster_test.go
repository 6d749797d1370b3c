package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pmmc-go/pmmc/cluster/clustertest/freeport"
)

// names are those of members, in order.
var names = []string{"alpha", "beta", "gamma"}

// sample is a cluster of processes on free ports, from HCL files.
type sample struct {
	t     *testing.T
	dir   string
	base  int // of the ports: ten for each member
	size  int
	nodes map[string]*process
}

// newSample writes the configurations of a cluster. More, if not empty, is added to
// each.
func newSample(t *testing.T, size int, more string) *sample {
	t.Helper()
	distances := []int{}
	for i := range size + 1 { // and one that joins
		distances = append(distances, 10*i, 10*i+1, 10*i+2)
	}
	s := &sample{t: t, dir: t.TempDir(), base: freeport.Claim(t, distances...), size: size, nodes: make(map[string]*process)}
	for i := range size {
		s.write(names[i], s.config(i)+more)
	}
	return s
}

func (s *sample) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.file(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sample) file(name string) string { return filepath.Join(s.dir, name+".hcl") }

// traceOf is where a node writes down what its roles do.
func (s *sample) traceOf(name string) string { return filepath.Join(s.dir, name+".trace") }

// traces are those of all nodes that were ever started.
func (s *sample) traces() []string {
	files, err := filepath.Glob(s.traceOf("*"))
	if err != nil {
		s.t.Fatal(err)
	}
	return files
}

// address is where a member listens: for peers, clients, http.
func (s *sample) address(member, which int) string {
	return fmt.Sprintf("127.0.0.1:%d", s.base+10*member+which)
}

// config is the configuration of a member.
func (s *sample) config(member int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "cluster = \"test\"\nnode %q {\n  data_dir = %q\n}\n", names[member], filepath.Join(s.dir, names[member]))
	fmt.Fprintf(&b, "listen {\n  http = %q\n}\n", s.address(member, 2))
	for i := range s.size {
		fmt.Fprintf(&b, "member %q {\n  id = %d\n  peer = %q\n  client = %q\n}\n", names[i], i+1, s.address(i, 0), s.address(i, 1))
	}
	return b.String()
}

// endpoints is a flag with all client addresses.
func (s *sample) endpoints() string {
	var all []string
	for i := range s.size {
		all = append(all, s.address(i, 1))
	}
	return "--endpoints=" + strings.Join(all, ",")
}

// start starts nodes, and waits until all are ready.
func (s *sample) start(members ...string) {
	s.t.Helper()
	for _, m := range members {
		s.nodes[m] = start(s.t, nil, "node", "--config", s.file(m), "--trace", s.traceOf(m))
	}
	for _, m := range members {
		s.nodes[m].waitFor("ready: node " + m)
	}
}

// do runs a command of a client, which must succeed, and returns what it printed.
func (s *sample) do(args ...string) string {
	s.t.Helper()
	out, err, code := pmmc(s.t, append(args, s.endpoints())...)
	if code != exitDone {
		s.t.Fatalf("pmmc %s: code %d\n%s%s", strings.Join(args, " "), code, out, err)
	}
	return out
}

// status is what pmmc status shows, by endpoint.
func (s *sample) status() []nodeStatus {
	s.t.Helper()
	var nodes []nodeStatus
	if err := json.Unmarshal([]byte(s.do("status", "--json", "--timeout", "5s")), &nodes); err != nil {
		s.t.Fatal(err)
	}
	return nodes
}

// leader waits until all nodes that can be reached agree on who is in office.
func (s *sample) leader() (name string) {
	s.t.Helper()
	eventually(s.t, "agreed on a leader", func() error {
		name = ""
		active := 0
		for _, n := range s.status() {
			switch {
			case !n.Reachable:
				continue
			case name == "":
				name = n.Office
			case n.Office != name:
				return fmt.Errorf("%s and %s", name, n.Office)
			}
			if n.Leader == "active" {
				active++
			}
		}
		if name == "" || active != 1 {
			return fmt.Errorf("%d leaders are active, %q is in office", active, name)
		}
		return nil
	})
	return name
}

// waitCaughtUp waits until all nodes can be reached and none lags.
func (s *sample) waitCaughtUp() {
	s.t.Helper()
	eventually(s.t, "caught up", func() error {
		for _, n := range s.status() {
			if !n.Reachable {
				return fmt.Errorf("%s: %s", n.Endpoint, n.Error)
			}
			if n.SlotOut == 0 || n.Lag > 0 {
				return fmt.Errorf("%s is at %d and lags by %d", n.Node, n.SlotOut, n.Lag)
			}
		}
		return nil
	})
}

// TestCluster runs three nodes as three processes: every node serves, the leader may
// be killed, and who was killed catches up.
func TestCluster(t *testing.T) {
	s := newSample(t, 3, "")
	s.start(names...)
	s.do("put", "colour", "red")
	for i := range names {
		out, err, code := pmmc(t, "get", "colour", "--endpoints", s.address(i, 1))
		if code != exitDone || out != "red\n" {
			t.Errorf("get from %s: code %d: %s%s", names[i], code, out, err)
		}
	}

	leader := s.leader()
	s.nodes[leader].kill()
	for i := range 20 {
		s.do("put", fmt.Sprintf("key%02d", i), fmt.Sprint(i))
	}
	if next := s.leader(); next == leader {
		t.Errorf("%s was killed and is in office", leader)
	}
	table, _, code := pmmc(t, "status", s.endpoints())
	if code != exitDone || strings.Count(table, " yes ") != 2 || !strings.Contains(table, "connection refused") {
		t.Errorf("status without %s: code %d\n%s", leader, code, table)
	}

	s.start(leader)
	s.waitCaughtUp()
	for i, name := range names {
		out, err, code := pmmc(t, "get", "key", "--prefix", "--serializable", "--endpoints", s.address(i, 1))
		if code != exitDone || strings.Count(out, "\n") != 20 || !strings.Contains(out, "key19\t19\n") {
			t.Errorf("%s has not all keys: code %d\n%s%s", name, code, out, err)
		}
	}
	s.stop()
}

// stop ends all nodes at the same time, as a shutdown would. Each must say that it
// went well, and the referee, that all that they did was right.
func (s *sample) stop() {
	s.t.Helper()
	for _, p := range s.nodes {
		p.signal(syscall.SIGTERM)
	}
	for name, p := range s.nodes {
		if code := p.code(); code != exitDone {
			s.t.Errorf("%s: code %d after SIGTERM, want %d", name, code, exitDone)
		}
	}
	out, err, code := audit(s.t, s.traces()...)
	s.t.Log(out)
	if code != exitDone && !strings.Contains(err, "nothing was judged") {
		s.t.Errorf("audit: code %d: %s", code, err)
	}
}

// TestAllKilled shows that what was acknowledged is there after all nodes were killed
// at once.
func TestAllKilled(t *testing.T) {
	s := newSample(t, 3, "")
	s.start(names...)
	for i := range 10 {
		s.do("put", fmt.Sprintf("key%d", i), fmt.Sprint(i))
	}
	for _, p := range s.nodes {
		p.signal(syscall.SIGKILL)
	}
	for _, p := range s.nodes {
		p.code()
	}
	if _, err, code := pmmc(t, "get", "key1", s.endpoints(), "--timeout", "200ms"); code != exitFailed || !strings.Contains(err, "Hint: ") {
		t.Errorf("get from nobody: code %d: %s", code, err)
	}
	if out, err, code := pmmc(t, "status", s.endpoints()); code != exitFailed || strings.Count(out, " no ") != 3 {
		t.Errorf("status of nobody: code %d\n%s%s", code, out, err)
	}
	s.start(names...)
	if out := s.do("get", "key", "--prefix"); strings.Count(out, "\n") != 10 {
		t.Errorf("after a restart:\n%s", out)
	}
	s.stop()
}

// TestClient shows the commands of a client, on one node.
func TestClient(t *testing.T) {
	s := newSample(t, 1, "")
	s.start("alpha")
	if _, err, code := pmmc(t, "get", "a", s.endpoints()); code != exitFailed || !strings.Contains(err, `there is no key "a"`) {
		t.Errorf("get of nothing: code %d: %s", code, err)
	}
	if out, _, code := pmmcWith(t, strings.NewReader("two\nlines"), "put", "a", "-", s.endpoints()); code != exitDone || out != "put at revision 2\n" {
		t.Errorf("put from the standard input: code %d: %s", code, out)
	}
	transaction := "value(a) = \"two\\nlines\"\n\nput a 1\nput b 2\nget a\n\nget b\n"
	out, err, code := pmmcWith(t, strings.NewReader(transaction), "txn", s.endpoints())
	if code != exitDone || out != "then\nput at revision 3\nput at revision 3\na\t1\n" {
		t.Errorf("txn from the standard input: code %d: %s%s", code, out, err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"txn", "--if", "mod(a) < 3", "--then", "del a", "--else", "get a --prefix"}, "else\na\t1\n"},
		{[]string{"get", "a"}, "1\n"},
		{[]string{"get", "a", "--rev", "2"}, "two\nlines\n"},
		{[]string{"get", "", "--prefix"}, "a\t1\nb\t2\n"},
		{[]string{"get", "", "--prefix", "--limit", "1", "--serializable"}, "a\t1\n"},
		{[]string{"get", "a", "--range-end", "b"}, "a\t1\n"},
		{[]string{"get", "x", "--prefix"}, ""},
		{[]string{"del", "", "--prefix"}, "deleted 2 at revision 4\n"},
		{[]string{"del", "a"}, "deleted 0 at revision 4\n"},
	} {
		if got := s.do(c.args...); got != c.want {
			t.Errorf("pmmc %q: %q, want %q", c.args, got, c.want)
		}
	}
	var answer struct{ Header struct{ Revision int } }
	if err := json.Unmarshal([]byte(s.do("put", "j", "1", "--json")), &answer); err != nil || answer.Header.Revision != 5 {
		t.Errorf("put --json: %+v %v", answer, err)
	}
	if _, err, code := pmmc(t, "get", "a", "--rev", "99", s.endpoints()); code != exitFailed || !strings.Contains(err, "future revision") {
		t.Errorf("get of a future revision: code %d: %s", code, err)
	}
	s.stop()
}

// TestDev runs the three nodes of pmmc dev twice on the same data.
func TestDev(t *testing.T) {
	dir := t.TempDir()
	base := freeport.Claim(t, 0, 1, 10, 11, 20, 21, 4622, 4623, 4624) // from 2379
	shift := fmt.Sprintf("--shift-ports=%d", base-2379)
	endpoints := fmt.Sprintf("--endpoints=127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d", base, base+10, base+20)
	for _, round := range []string{"1", "2"} {
		dev := start(t, nil, "dev", "--data-dir", dir, shift)
		dev.waitFor("ready; Ctrl-C ends it")
		if out := dev.out.String(); !strings.Contains(out, "pmmc get a "+endpoints) {
			t.Errorf("dev prints no line to try with %s:\n%s", endpoints, out)
		}
		if _, err, code := pmmc(t, "put", "round"+round, "ran", endpoints); code != exitDone {
			t.Errorf("put: code %d: %s", code, err)
		}
		if out, err, code := pmmc(t, "get", "round1", endpoints); code != exitDone || out != "ran\n" {
			t.Errorf("get in round %s: code %d: %s%s", round, code, out, err)
		}
		dev.signal(syscall.SIGINT)
		if code := dev.code(); code != exitDone {
			t.Errorf("code %d after SIGINT, want %d: %s", code, exitDone, dev.err.String())
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "gamma")); errors.Is(err, os.ErrNotExist) {
		t.Error("dev removed the data that it was to keep")
	}
}

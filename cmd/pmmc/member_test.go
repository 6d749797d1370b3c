package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/pmmc-go/pmmc/config"
)

// joining is the configuration of delta, which is to be added.
func (s *sample) joining() string {
	var join []string
	for i := range s.size {
		join = append(join, fmt.Sprintf("%q", s.address(i, 0)))
	}
	return fmt.Sprintf(`
cluster = "test"
join    = [%s]
node "delta" {
  data_dir = %q
}
listen {
  http = %q
}
member "delta" {
  peer   = %q
  client = %q
}
`, strings.Join(join, ", "), filepath.Join(s.dir, "delta"), s.address(3, 2), s.address(3, 0), s.address(3, 1))
}

// client is an etcd client of members, by their places.
func (s *sample) client(members ...int) *clientv3.Client {
	s.t.Helper()
	var endpoints []string
	for _, m := range members {
		endpoints = append(endpoints, s.address(m, 1))
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() }) // its context's end is no news
	return c
}

// writing writes without a pause, by way of some members, until the result is called. No
// write may fail.
func (s *sample) writing(members ...int) (stop func()) {
	client := s.client(members...)
	ctx, cancel := context.WithCancel(s.t.Context())
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			n := 0
			for ; ctx.Err() == nil; n++ {
				if _, err := client.Put(context.Background(), fmt.Sprintf("%d/%d", w, n), "x"); err != nil {
					s.t.Errorf("writer %d, after %d writes: %v", w, n, err)
					return
				}
			}
			s.t.Logf("writer %d: %d writes", w, n)
		})
	}
	return func() { cancel(); all.Wait() }
}

// sameKeys waits until members have equal hashes.
func (s *sample) sameKeys(members ...int) {
	s.t.Helper()
	client := s.client(members...)
	eventually(s.t, "the same keys", func() error {
		var first *clientv3.HashKVResponse
		for _, m := range members {
			h, err := client.HashKV(s.t.Context(), s.address(m, 1), 0)
			switch {
			case err != nil:
				return err
			case first == nil:
				first = h
			case h.Hash != first.Hash || h.HashRevision != first.HashRevision:
				return fmt.Errorf("%+v and %+v", first, h)
			}
		}
		return nil
	})
}

// waitGone waits until alpha has ended because it was removed.
func (s *sample) waitGone() {
	s.t.Helper()
	alpha := s.nodes["alpha"]
	if code := alpha.code(); code != exitDone {
		s.t.Errorf("alpha: code %d after its removal, want %d", code, exitDone)
	}
	for _, want := range []string{`removed: node alpha is no member of cluster "test" any more`, "What to do next", "pmmc member add alpha --peer " + s.address(0, 0)} {
		if !strings.Contains(alpha.out.String(), want) {
			s.t.Errorf("alpha does not say %q:\n%s", want, alpha.out.String())
		}
	}
}

// p1a is a line of a trace: a P1a is received from a member.
var p1a = regexp.MustCompile(`"kind":"received",.*\.P1a","from":"(\w+)/`)

// heard counts the P1as of a member in the traces of others.
func (s *sample) heard(from string, others ...string) (n int) {
	s.t.Helper()
	all := 0
	for _, other := range others {
		text, err := os.ReadFile(s.traceOf(other))
		if err != nil {
			s.t.Fatal(err)
		}
		for _, m := range p1a.FindAllSubmatch(text, -1) {
			all++
			if string(m[1]) == from {
				n++
			}
		}
	}
	if all == 0 {
		s.t.Errorf("no line of the traces matches %s", p1a)
	}
	return n
}

// TestMemberCommands adds a member to a cluster under constant writes and removes
// another, as an operator does.
func TestMemberCommands(t *testing.T) {
	s := newSample(t, 3, "")
	s.write("delta", s.joining())
	if out, err, code := pmmc(t, "config", "validate", s.file("delta")); code != exitDone || !strings.Contains(out, "joins "+s.address(0, 0)) {
		t.Errorf("validate: code %d: %s%s", code, out, err)
	}
	s.start(names...)
	stop := s.writing(0, 1, 2, 3)
	s.nodes["delta"] = start(t, nil, "node", "--config", s.file("delta"), "--trace", s.traceOf("delta"))
	command := fmt.Sprintf("pmmc member add delta --peer %s --client %s", s.address(3, 0), s.address(3, 1))
	s.nodes["delta"].waitFor(command)
	if strings.Contains(s.nodes["delta"].out.String(), "ready") {
		t.Error("delta is ready before it is a member")
	}
	out := s.do(append(strings.Fields(command)[1:], "--wait")...)
	for _, want := range []string{"added: member delta, number 4, a learner", "join    = [" + fmt.Sprintf("%q", s.address(0, 0)), fmt.Sprintf("http = %q", s.address(3, 2)), "promoted: member delta, number 4"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	s.nodes["delta"].waitFor("ready: node delta")
	eventually(t, "four members at work", func() error {
		if table := s.do("member", "list"); strings.Count(table, "ready")+strings.Count(table, "in office") != 4 || strings.Count(table, " rla ") != 4 {
			return fmt.Errorf("members:\n%s", table)
		}
		return nil
	})

	if out := s.do("member", "remove", "alpha"); out != "removed: member alpha, number 1\n" {
		t.Errorf("remove: %q", out)
	}
	s.waitGone()
	stop()
	stop = s.writing(1, 2)
	s.nodes["delta"].kill()
	s.start("delta") // with the same configuration: its disk knows the rest
	stop()
	s.sameKeys(1, 2, 3)

	before := s.heard("alpha", "beta", "gamma", "delta")
	s.nodes["alpha"] = start(t, nil, "node", "--config", s.file("alpha"), "--trace", s.traceOf("alpha"))
	s.waitGone() // with its old disk it ends again
	s.stop()
	if after := s.heard("alpha", "beta", "gamma", "delta"); after != before {
		t.Errorf("alpha came back and disturbed the others, who heard %d P1as of it, and %d before", after, before)
	}
}

// TestMemberAddAgain shows that an add whose wait was over goes on when it is given again, and
// that one of another member with the same name does not.
func TestMemberAddAgain(t *testing.T) {
	s := newSample(t, 1, "")
	s.write("delta", s.joining())
	s.start("alpha")
	add := []string{"member", "add", "delta", s.endpoints(), "--peer", s.address(3, 0), "--wait=300ms"}
	for i, want := range []string{"has not caught up within 300ms", "there already: member delta, number 2\n"} {
		if _, err, code := pmmc(t, add...); code != exitFailed || !strings.Contains(err, want) || !strings.Contains(err, "has not caught up") {
			t.Errorf("time %d: code %d, want %d and %q:\n%s", i+1, code, exitFailed, want, err)
		}
	}
	if _, err, code := pmmc(t, add[:6]...); code != exitDone || !strings.Contains(err, "there already") {
		t.Errorf("without --wait: code %d:\n%s", code, err)
	}
	for _, other := range [][]string{{"--peer", s.address(2, 0)}, {"--roles", "replica"}, {"--learner"}} {
		_, err, code := pmmc(t, append(add[:6:6], other...)...)
		if want := "Error: there is a member \"delta\" already, with the id 2\nHint: "; code != exitFailed || !strings.HasPrefix(err, want) {
			t.Errorf("with %s: code %d, want %d and %q:\n%s", other, code, exitFailed, want, err)
		}
	}
	s.start("delta")
	for i := range 2 { // the second is of one that is promoted
		if out, err, code := pmmc(t, append(add[:6:6], "--wait")...); code != exitDone || out != "promoted: member delta, number 2\n" {
			t.Errorf("once it runs, time %d: code %d:\n%s%s", i+1, code, out, err)
		}
	}
	if _, err, code := pmmc(t, add[:6]...); code != exitFailed || !strings.Contains(err, "already, with the id 2") {
		t.Errorf("of a member that is promoted: code %d:\n%s", code, err)
	}
}

// TestMemberAddRecipe shows that the node of docs/operations.md can be added to the sample
// cluster: no port of it is a sample's.
func TestMemberAddRecipe(t *testing.T) {
	docs, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, recipe, _ := strings.Cut(string(docs), "\n### Add one\n")
	_, recipe, _ = strings.Cut(recipe, "\n```hcl\n")
	recipe, _, _ = strings.Cut(recipe, "```\n")
	path := filepath.Join(t.TempDir(), "delta.hcl")
	if err := os.WriteFile(path, []byte(recipe), 0o600); err != nil {
		t.Fatal(err)
	}
	delta, diags := config.Load(path)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	taken := []string{}
	for _, c := range config.Samples() {
		taken = append(taken, c.Listen.Peer, c.Listen.Client, c.Listen.HTTP)
	}
	for _, a := range []string{delta.Listen.Peer, delta.Listen.Client, delta.Listen.HTTP} {
		if slices.Contains(taken, a) {
			t.Errorf("%s is a sample's, and delta's", a)
		}
	}
	if got := httpBeside(delta.Listen.Client); got != delta.Listen.HTTP {
		t.Errorf("http is %s, and `pmmc member add` would print %s", delta.Listen.HTTP, got)
	}
	for _, client := range []string{"", "10.0.0.4:65535"} {
		if got := httpBeside(client); got != unknownAddress {
			t.Errorf("http beside %q is %s", client, got)
		}
	}
}

// TestMemberReplace puts a member in the place of one that is gone, in one command.
func TestMemberReplace(t *testing.T) {
	s := newSample(t, 3, "")
	s.write("delta", s.joining())
	s.start(names...)
	stop := s.writing(1, 2, 3) // not at the one that is killed
	s.nodes["alpha"].kill()
	replace := []string{"member", "replace", "alpha", "delta", "--peer", s.address(3, 0), "--client", s.address(3, 1), s.endpoints()}
	p := start(t, nil, replace...)
	p.waitFor("waiting until delta has caught up: catching up, or unreachable")
	p.kill() // the operator's machine fails, and the same command goes on
	if _, err, code := pmmc(t, append(replace, "--wait", "300ms")...); code != exitFailed || !strings.Contains(err, "has not caught up within 300ms") {
		t.Errorf("replaced by who is not there: code %d: %s", code, err)
	}
	s.start("delta")
	if out, err, code := pmmc(t, replace...); code != exitDone || !strings.Contains(out, "replaced by delta: member alpha, number 1") {
		t.Errorf("code %d: %s%s", code, out, err)
	}
	if out, err, code := pmmc(t, replace...); code != exitDone || !strings.Contains(out, "in the place of alpha already") {
		t.Errorf("once more: code %d: %s%s", code, out, err)
	}
	stop()
	s.sameKeys(1, 2, 3)
	var rows []memberRow
	if err := json.Unmarshal([]byte(s.do("member", "list", "--json")), &rows); err != nil || len(rows) != 3 || rows[2].Name != "delta" || rows[2].Learner != "no" {
		t.Errorf("members: %+v, %v", rows, err)
	}
	delete(s.nodes, "alpha")
	s.stop()
}

// TestMemberByEtcdsAPI does the same with etcd's client, which says nobody's name.
func TestMemberByEtcdsAPI(t *testing.T) {
	s := newSample(t, 3, "")
	s.write("delta", s.joining())
	s.start(names...)
	stop := s.writing(0, 1, 2, 3)
	ctx := t.Context()
	client := s.client(1, 2)
	added, err := client.MemberAddAsLearner(ctx, []string{"http://" + s.address(3, 0)})
	if err != nil || added.Member.Name != "" || !added.Member.IsLearner {
		t.Fatalf("added %+v, %v", added, err)
	}
	if _, err := client.MemberPromote(ctx, added.Member.ID); !errors.Is(err, rpctypes.ErrMemberLearnerNotReady) {
		t.Errorf("promoted before it was started: %v", err)
	}
	s.start("delta")
	eventually(t, "known by its name", func() error {
		list, err := client.MemberList(ctx)
		if err != nil {
			return err
		}
		if m := list.Members[3]; m.Name != "delta" || !m.IsLearner || len(m.ClientURLs) != 1 || m.ClientURLs[0] != "http://"+s.address(3, 1) {
			return fmt.Errorf("%+v", m)
		}
		return nil
	})
	eventually(t, "promoted", func() error {
		_, err := client.MemberPromote(ctx, added.Member.ID)
		return err
	})
	for _, to := range []string{"gamma", "beta"} {
		if from := s.leader(); from != to {
			if _, err := s.client(slices.Index(names, from)).MoveLeader(ctx, 1+uint64(slices.Index(names, to))); err != nil {
				t.Fatalf("from %s to %s: %v", from, to, err)
			}
		}
		if now := s.leader(); now != to {
			t.Errorf("%s is in office, not %s", now, to)
		}
	}
	if _, err := client.MemberRemove(ctx, 1); err != nil {
		t.Fatal(err)
	}
	s.waitGone()
	stop()
	s.sameKeys(1, 2, 3)
	s.stop()
}

// TestMemberErrors shows what cannot be done, and what to do about it.
func TestMemberErrors(t *testing.T) {
	s := newSample(t, 1, "")
	s.start("alpha")
	peer := s.address(3, 0)
	for _, c := range []struct {
		line string
		code int
		want string
	}{
		{"member remove alpa", exitFailed, `there is no member "alpa"; did you mean "alpha"?`},
		{"member remove alpha", exitFailed, "not enough started"},
		{"member promote alpha", exitFailed, "can only promote a learner"},
		{"member replace beta gamma --peer " + peer, exitFailed, `there is no member "beta"`},
		{"member replace alpha alpha --peer " + peer, exitUsage, `there is a member "alpha" already`},
		{"member add alpha --peer " + peer, exitFailed, `there is a member "alpha" already`},
		{"member add beta --peer " + s.address(0, 0), exitFailed, "Peer URLs already exists"},
		{"member add beta --peer 7001", exitUsage, "want host:port"},
		{"member add beta --peer " + peer + " --roles watcher", exitUsage, `--roles has "watcher"`},
		{"member add beta --peer " + peer + " --roles acceptor", exitFailed, "unhealthy cluster"},
		{"member add Beta --peer " + peer, exitFailed, `"Beta" is no name`},
		{"member add beta", exitUsage, `required flag(s) "peer" not set`},
		{"member list --endpoints " + s.address(3, 1), exitFailed, "no member answers"},
	} {
		args := append([]string{s.endpoints()}, strings.Fields(c.line)...)
		if strings.Contains(c.line, "--endpoints") {
			args = args[1:]
		}
		if _, err, code := pmmc(t, args...); code != c.code || !strings.Contains(err, c.want) {
			t.Errorf("pmmc %s: code %d, want %d and %q:\n%s", c.line, code, c.code, c.want, err)
		}
	}
	if _, err, code := pmmc(t, "member", "ad", "beta"); code != exitUsage || !strings.Contains(err, `did you mean "add"`) {
		t.Errorf("member ad: code %d: %s", code, err)
	}
	if out, _, _ := pmmc(t, "__complete", "member", "remove", s.endpoints(), ""); !strings.Contains(out, "alpha\n") {
		t.Errorf("completion of members: %q", out)
	}
	if out, _, _ := pmmc(t, "__complete", "member", "add", "--roles", ""); !strings.Contains(out, "acceptor\n") {
		t.Errorf("completion of roles: %q", out)
	}
	s.stop()
}

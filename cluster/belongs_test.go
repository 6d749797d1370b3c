package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/clustertest/freeport"
	"github.com/pmmc-go/pmmc/cluster/datadir"
	"github.com/pmmc-go/pmmc/cluster/journal"
	"github.com/pmmc-go/pmmc/messages"
)

// alone are the options of a cluster of one member.
func alone(t *testing.T, dir string) Options {
	t.Helper()
	p := DefaultProtocol()
	p.Ping, p.Timeout.Initial, p.Timeout.Min = 5*time.Millisecond, 20*time.Millisecond, 20*time.Millisecond
	return Options{
		Cluster: "test", Member: "alpha", DataDir: dir, Machine: new(text), Protocol: p,
		Members: []Member{{ID: 1, Name: "alpha", Address: freeport.Addresses(t, 1)[0], Replica: true, Leader: true, Acceptor: true}},
	}
}

// ran starts a cluster of one member, has it execute operations, and stops it.
func ran(t *testing.T, dir string, operations ...string) string {
	t.Helper()
	n, err := Start(alone(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for poll := time.NewTicker(5 * time.Millisecond); !n.Status().Ready; { // else the first question is repeated a second later
		<-poll.C
	}
	for _, op := range operations {
		if _, err := n.Propose(ctx, []byte(op)); err != nil {
			t.Fatal(err)
		}
	}
	state, err := n.Read(ctx, nil)
	if err := errors.Join(err, n.Stop(ctx)); err != nil {
		t.Fatal(err)
	}
	return string(state)
}

// do fails the test when something done to files failed.
func do(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// copied is a copy of a directory.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	do(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

// replaced puts a copy in the place of a part of a data directory.
func replaced(t *testing.T, dir, part, from string) {
	t.Helper()
	do(t, os.RemoveAll(filepath.Join(dir, part)))
	if info, err := os.Stat(filepath.Join(from, part)); err == nil && info.IsDir() {
		do(t, os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(from, part))))
		return
	}
	b, err := os.ReadFile(filepath.Join(from, part))
	do(t, err, os.WriteFile(filepath.Join(dir, part), b, 0o600))
}

// exchange is a change to a data directory. Older is a copy of an earlier start, other is the
// directory of another node.
type exchange struct {
	name    string
	damage  func(t *testing.T, dir, older, other string)
	why     string
	checked bool // by CheckDataDir, too
}

var exchanges = []exchange{
	{"no journal", func(t *testing.T, dir, _, _ string) { do(t, os.RemoveAll(filepath.Join(dir, journalDir))) }, `"journal" is missing or empty`, true},
	{"an empty journal", func(t *testing.T, dir, older, other string) {
		do(t, os.RemoveAll(filepath.Join(dir, journalDir)), os.Mkdir(filepath.Join(dir, journalDir), 0o700))
	}, `"journal" is missing or empty`, true},
	{"a journal with a lock alone", func(t *testing.T, dir, older, other string) {
		do(t, os.RemoveAll(filepath.Join(dir, journalDir)), os.Mkdir(filepath.Join(dir, journalDir), 0o700),
			os.WriteFile(filepath.Join(dir, journalDir, "lock"), nil, 0o600))
	}, `"journal" is missing or empty`, true},
	{"a new journal", func(t *testing.T, dir, older, other string) {
		do(t, os.RemoveAll(filepath.Join(dir, journalDir)))
		j, err := journal.Open(journal.Options{Dir: filepath.Join(dir, journalDir), Failed: func(error) {}})
		do(t, err, j.Close())
	}, `"journal" is a new one`, true},
	{"another directory's journal", func(t *testing.T, dir, older, other string) { replaced(t, dir, journalDir, other) }, `"journal" is of another data directory`, true},
	{"an older journal", func(t *testing.T, dir, older, other string) { replaced(t, dir, journalDir, older) }, `"journal" is an older copy, of start 1`, true},
	{"an older journal and identity", func(t *testing.T, dir, older, other string) {
		replaced(t, dir, journalDir, older)
		replaced(t, dir, identityFile, older)
	}, `"journal" and its identity.json are older copies, of start 1`, false},
	{"no identity", func(t *testing.T, dir, _, _ string) { do(t, os.Remove(filepath.Join(dir, identityFile))) }, "no identity.json", true},
	{"a state alone", func(t *testing.T, dir, older, other string) {
		do(t, os.Remove(filepath.Join(dir, identityFile)), os.RemoveAll(filepath.Join(dir, journalDir)))
	}, "no identity.json", true},
	{"another directory's state", func(t *testing.T, dir, older, other string) { replaced(t, dir, stateDir, other) }, `"state" is of another data directory`, true},
	{"an owner of the state that cannot be read", func(t *testing.T, dir, older, other string) {
		do(t, os.WriteFile(filepath.Join(dir, stateDir, ownerFile), []byte("?"), 0o600))
	}, "state/owner cannot be read", true},
	{"a directory that peers refused", func(t *testing.T, dir, older, other string) {
		id, err := readIdentity(dir, "test", 1, "alpha")
		do(t, err)
		id.Spent = "beta said: no"
		do(t, saveIdentity(dir, id))
	}, "it is an older copy: beta said: no", true},
}

// TestS11_PartsThatDoNotBelongTogetherAreRefused exchanges, ages and removes the parts of a data
// directory. The node refuses to start, and `pmmc check` names the same part.
func TestS11_PartsThatDoNotBelongTogetherAreRefused(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	ran(t, dir, "a")
	older := copied(t, dir)
	ran(t, dir, "b")
	ran(t, other, "x")
	for _, tt := range exchanges {
		t.Run(tt.name, func(t *testing.T) {
			damaged := copied(t, dir)
			tt.damage(t, damaged, older, other)
			before := listed(t, damaged)
			found := ""
			parts, err := CheckDataDir(damaged, func(string) error { return nil })
			do(t, err)
			for _, p := range parts {
				if p.Err != nil {
					found += p.Err.Error()
				}
			}
			if tt.checked != (found != "") {
				t.Errorf("the check finds %q", found)
			}
			if after := listed(t, damaged); after != before {
				t.Errorf("the check changed the directory:\n%sto\n%s", before, after)
			}
			n, err := Start(alone(t, damaged))
			if err == nil {
				n.Kill()
				t.Fatal("the node starts")
			}
			var refused *IdentityError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.why) || refused.Hint() == "" {
				t.Errorf("error %v, want an IdentityError with a hint that says %q", err, tt.why)
			}
		})
	}
}

// listed shows the files of a directory, with sizes and times.
func listed(t *testing.T, dir string) (text string) {
	t.Helper()
	do(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			text += fmt.Sprintln(path, info.Size(), info.ModTime())
		}
		return err
	}))
	return text
}

// TestAStateThatIsLost: it is executed again from the journal. Once the acceptor has forgotten what
// was in it, and nobody else has it, the node refuses to start.
func TestAStateThatIsLost(t *testing.T) {
	dir := t.TempDir()
	ran(t, dir, "a", "b")
	older := copied(t, dir)
	do(t, os.RemoveAll(filepath.Join(dir, stateDir)))
	if got := ran(t, dir, "c"); got != "abc" {
		t.Errorf("without its state the node answers %q", got)
	}
	j, err := journal.Open(journal.Options{Dir: filepath.Join(dir, journalDir), Failed: func(err error) { t.Error(err) }})
	do(t, err)
	j.Append(&messages.Record{Owner: actors.AcceptorAddr("alpha", 1).Path(), Kind: &messages.Record_Forgotten{Forgotten: 3}}, nil)
	do(t, j.Close())
	if got := ran(t, dir, "d"); got != "abcd" {
		t.Errorf("with its state the node answers %q", got)
	}
	for what, damage := range map[string]func(dir string){
		"missing": func(dir string) { do(t, os.RemoveAll(filepath.Join(dir, stateDir))) },
		"older": func(dir string) {
			replaced(t, dir, stateDir, older)
			do(t, os.Remove(filepath.Join(dir, stateDir, stateFileName))) // which was flushed at the end
		},
	} {
		damaged := copied(t, dir)
		damage(damaged)
		n, err := Start(alone(t, damaged))
		if err == nil {
			n.Kill()
			t.Fatalf("a node whose state is %s starts", what)
		}
		if !errors.As(err, new(*IdentityError)) || !strings.Contains(err.Error(), "no other member has what it held") {
			t.Errorf("the state is %s: %v", what, err)
		}
	}
}

// TestFirstStartIsCut: a directory on which the first start came to its n-th write starts again.
func TestFirstStartIsCut(t *testing.T) {
	cuts := map[string]func(dir string, id *messages.Identity, owner journal.Owner){
		"nothing":      func(string, *messages.Identity, journal.Owner) {},
		"the identity": func(dir string, id *messages.Identity, _ journal.Owner) { do(t, saveIdentity(dir, id)) },
		"an empty journal": func(dir string, id *messages.Identity, _ journal.Owner) {
			do(t, saveIdentity(dir, id), os.Mkdir(filepath.Join(dir, journalDir), 0o700))
		},
		"a journal": func(dir string, id *messages.Identity, _ journal.Owner) {
			do(t, saveIdentity(dir, id))
			j, err := journal.Open(journal.Options{Dir: filepath.Join(dir, journalDir), Failed: func(error) {}})
			do(t, err, j.Close())
		},
		"the owner of the state": func(dir string, id *messages.Identity, _ journal.Owner) {
			do(t, saveIdentity(dir, id), ownState(StateDir(dir), id.Salt))
		},
		"the owner of the journal": func(dir string, id *messages.Identity, owner journal.Owner) {
			do(t, saveIdentity(dir, id), ownState(StateDir(dir), id.Salt))
			j, err := journal.Open(journal.Options{Dir: filepath.Join(dir, journalDir), Failed: func(error) {}})
			do(t, err, j.Own(owner), j.Close())
		},
	}
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			id := drawIdentity("test", 1, "alpha")
			cut(dir, id, journal.Owner{Salt: id.Salt, Incarnation: datadir.NextIncarnation(9), Executed: 1})
			ran(t, dir, "a")
			if got := ran(t, dir, "b"); got != "ab" {
				t.Errorf("then it answers %q", got)
			}
		})
	}
}

// TestADirectoryOfAnEarlierVersion gets a salt at its first start. If it took part and has no
// journal, it is refused like any other.
func TestADirectoryOfAnEarlierVersion(t *testing.T) {
	dir := t.TempDir()
	ran(t, dir, "a")
	id, err := readIdentity(dir, "test", 1, "alpha")
	do(t, err)
	id.Salt, id.Journal, id.State, id.Incarnation = 0, false, false, 5
	j, err := journal.Open(journal.Options{Dir: filepath.Join(dir, journalDir), Failed: func(error) {}})
	do(t, err, j.Own(journal.Owner{}), j.Close(), saveIdentity(dir, id), os.Remove(filepath.Join(StateDir(dir), ownerFile)))
	without := copied(t, dir)
	if got := ran(t, dir, "b"); got != "ab" {
		t.Errorf("it answers %q", got)
	}
	id, err = readIdentity(dir, "test", 1, "alpha")
	do(t, err)
	salt, err := ownerOfState(StateDir(dir))
	do(t, err)
	owner, err := journal.ReadOwner(filepath.Join(dir, journalDir))
	if err != nil || id.Salt == 0 || salt != id.Salt || owner.Salt != id.Salt || datadir.Counter(id.Incarnation) != 2 || owner.Incarnation != id.Incarnation {
		t.Errorf("identity %v, salt of the state %x, owner of the journal %v, %v", id, salt, owner, err)
	}
	do(t, os.RemoveAll(filepath.Join(without, journalDir)))
	if n, err := Start(alone(t, without)); err == nil {
		n.Kill()
		t.Error("it starts without the journal in which its promises were")
	}
}

// TestS13_AnOlderIdentityRepeatsNoIncarnation puts back identity.json alone: each start
// is above all that the rest of the directory knows.
func TestS13_AnOlderIdentityRepeatsNoIncarnation(t *testing.T) {
	dir := t.TempDir()
	ran(t, dir, "a")
	older := copied(t, dir)
	var last uint64
	for round, op := range []string{"b", "c", "d"} {
		if round > 0 {
			replaced(t, dir, identityFile, older)
		}
		want := "abcd"[:round+2]
		if got := ran(t, dir, op); got != want {
			t.Errorf("after %q was acknowledged the node reads %q, want %q", op, got, want)
		}
		id, err := readIdentity(dir, "test", 1, "alpha")
		do(t, err)
		if id.Incarnation <= last || datadir.Counter(id.Incarnation) != uint64(round+2) {
			t.Errorf("incarnation %x after %x", id.Incarnation, last)
		}
		last = id.Incarnation
	}
}

// TestS13_ANodeThatIsOutlivedEnds: a later start of its member has executed a command. Before, each of
// its own was answered with "server stopped" for ever. Now the node ends, and its directory is spent.
func TestS13_ANodeThatIsOutlivedEnds(t *testing.T) {
	dir := t.TempDir()
	n, err := Start(alone(t, dir))
	do(t, err)
	later := &messages.Command{Client: 1, Incarnation: n.identity.Incarnation + 1<<32, Sequence: 1, Settled: 1, Operation: []byte("later")}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for err == nil { // until it has come to that slot
		n.client.send(actors.ReplicaAddr("alpha"), &messages.Request{From: "alpha/client", Commands: []*messages.Command{later}})
		_, err = n.Propose(ctx, []byte("x"))
	}
	if !errors.Is(err, ErrSessionEnded) && !errors.Is(err, ErrStopped) {
		t.Errorf("a command of the earlier start: %v", err)
	}
	select {
	case <-n.Done():
	case <-ctx.Done():
		n.Kill()
		t.Fatal("the node goes on")
	}
	if again, err := Start(alone(t, dir)); err == nil {
		again.Kill()
		t.Error("another start uses the directory")
	} else if !errors.As(err, new(*IdentityError)) {
		t.Errorf("another start: %v", err)
	}
	if err := n.Err(); !errors.As(err, new(*IdentityError)) || !strings.Contains(err.Error(), "it is an older copy: a later start") {
		t.Errorf("the node ended with %v", err)
	}
}

package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
	"github.com/pmmc-go/pmmc/cluster/clustertest/freeport"
	"github.com/pmmc-go/pmmc/cluster/datadir"
	"github.com/pmmc-go/pmmc/messages"
	"github.com/pmmc-go/pmmc/test/conformance"
)

// disks is a cluster whose nodes a test starts one by one, on data directories that it wipes,
// exchanges and puts back.
type disks struct {
	t       *testing.T
	members []cluster.Member
	dirs    map[string]string
	nodes   map[string]*cluster.Node
	observe func(actors.Event)
}

func newDisks(t *testing.T, n int) *disks {
	d := &disks{t: t, dirs: make(map[string]string), nodes: make(map[string]*cluster.Node)}
	for i, address := range freeport.Addresses(t, n) {
		name := clustertest.Names[i]
		d.members = append(d.members, cluster.Member{ID: uint32(i + 1), Name: name, Address: address, Replica: true, Leader: true, Acceptor: true})
		d.wipe(name)
	}
	t.Cleanup(func() {
		for _, n := range d.nodes {
			n.Kill()
		}
	})
	return d
}

// wipe gives a member that is down an empty directory.
func (d *disks) wipe(name string) { d.dirs[name] = d.t.TempDir() }

// start starts members that are down.
func (d *disks) start(names ...string) {
	d.t.Helper()
	for _, name := range names {
		if err := d.tryStart(name); err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *disks) tryStart(name string) error {
	p := cluster.DefaultProtocol()
	p.Flush = 20 * time.Millisecond
	n, err := cluster.Start(cluster.Options{
		Cluster: "test", Member: name, Members: d.members, DataDir: d.dirs[name], Machine: clustertest.NewRegister(), Protocol: p, Observe: d.observe,
	})
	if err == nil {
		d.nodes[name] = n
	}
	return err
}

// kill ends nodes without goodbye.
func (d *disks) kill(names ...string) {
	for _, name := range names {
		d.nodes[name].Kill()
		delete(d.nodes, name)
	}
}

// stop ends nodes in good order.
func (d *disks) stop(names ...string) {
	d.t.Helper()
	for _, name := range names {
		if err := d.nodes[name].Stop(d.t.Context()); err != nil {
			d.t.Error(err)
		}
		delete(d.nodes, name)
	}
}

// backup copies the directory of a member that is down; restore puts the copy back.
func (d *disks) backup(name string) (dir string) {
	d.t.Helper()
	dir = filepath.Join(d.t.TempDir(), "backup")
	if err := os.CopyFS(dir, os.DirFS(d.dirs[name])); err != nil {
		d.t.Fatal(err)
	}
	return dir
}

func (d *disks) restore(name, dir string) {
	d.t.Helper()
	d.wipe(name)
	if err := os.CopyFS(d.dirs[name], os.DirFS(dir)); err != nil {
		d.t.Fatal(err)
	}
}

// identity is what a member's identity.json says.
func (d *disks) identity(name string) *messages.Identity {
	d.t.Helper()
	b, err := os.ReadFile(filepath.Join(d.dirs[name], "identity.json"))
	if err != nil {
		d.t.Fatal(err)
	}
	id := &messages.Identity{}
	if err := protojson.Unmarshal(b[:bytes.LastIndexByte(b, '}')+1], id); err != nil { // a checksum follows
		d.t.Fatal(err)
	}
	return id
}

func (d *disks) eventually(what string, holds func() error) {
	d.t.Helper()
	deadline := time.Now().Add(clustertest.Patience)
	for poll := time.NewTicker(5 * time.Millisecond); ; <-poll.C {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("%q does not hold: %v", what, err)
		}
	}
}

// write has a node acknowledge operations.
func (d *disks) write(name string, operations ...string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), clustertest.Patience)
	defer cancel()
	for _, op := range operations {
		if _, err := d.nodes[name].Propose(ctx, []byte(op)); err != nil {
			d.t.Fatalf("%s: write %q: %v", name, op, err)
		}
	}
}

// holds wants all operations in a fresh read of each node.
func (d *disks) holds(operations ...string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), clustertest.Patience)
	defer cancel()
	for name, n := range d.nodes {
		log, err := n.Read(ctx, nil)
		if err != nil {
			d.t.Fatalf("%s: read: %v", name, err)
		}
		if got := strings.Fields(string(log)); !slices.Equal(got, operations) {
			d.t.Errorf("%s reads %q, want %q", name, got, operations)
		}
	}
}

// waits wants nodes to wait for exactly these peers, and no acceptor nor leader of theirs to run.
func (d *disks) waits(names []string, peers ...string) {
	d.t.Helper()
	for _, name := range names {
		n := d.nodes[name]
		d.eventually(name+" waits", func() error {
			if s := n.Status(); !slices.Equal(s.Awaited, peers) {
				return fmt.Errorf("it waits for %q, want %q", s.Awaited, peers)
			}
			return nil
		})
		for _, a := range n.Alive() {
			if strings.Contains(string(a), "epoch-") {
				d.t.Errorf("%s waits, and %s runs", name, a)
			}
		}
	}
}

// ends wants a node to end by itself, because of its directory.
func (d *disks) ends(name, why string) {
	d.t.Helper()
	n := d.nodes[name]
	select {
	case <-n.Done():
	case <-time.After(clustertest.Patience):
		d.t.Fatalf("%s takes part", name)
	}
	delete(d.nodes, name)
	d.isRefused(n.Err(), why)
}

func (d *disks) isRefused(err error, why string) {
	d.t.Helper()
	var refused *cluster.IdentityError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), why) || refused.Hint() == "" {
		d.t.Errorf("error %v, want an IdentityError with a hint that says %q", err, why)
	}
}

// TestS11_TheFirstStartTakesEveryMember: two of three new nodes wait for the third one, which may be
// one whose peers lost their disks. From then on a majority is enough.
func TestS11_TheFirstStartTakesEveryMember(t *testing.T) {
	d := newDisks(t, 3)
	d.observe = conformance.Watch(t)
	d.start("alpha", "beta")
	d.waits([]string{"alpha", "beta"}, "gamma")
	d.start("gamma")
	d.write("alpha", "a")
	d.kill("alpha", "beta", "gamma")
	d.start("alpha", "gamma")
	d.write("gamma", "b")
	d.start("beta")
	d.holds("a", "b")
}

// TestS11_ABlankDiskIsAdmittedByNobodyWhoForgot: the disks of two members are lost, and those who
// know of one do not run. Blank disks admit each other to nothing; before, beta's vote for what
// was acknowledged was all that was left, and the two others decided the same slots again.
func TestS11_ABlankDiskIsAdmittedByNobodyWhoForgot(t *testing.T) {
	d := newDisks(t, 3)
	d.start("alpha", "beta", "gamma")
	d.write("alpha", "a", "b", "c")
	d.kill("alpha", "beta", "gamma")
	d.wipe("alpha")
	d.wipe("gamma")
	d.start("alpha", "gamma")
	d.waits([]string{"alpha", "gamma"}, "beta")
	d.start("beta")
	d.ends("alpha", "beta says: member 1 was seen with another data directory")
	d.ends("gamma", "beta says: member 3 was seen with another data directory")
}

// TestS11_MembersThatWereAddedKnowOldDisks: delta and epsilon are added while gamma is down, so that
// neither ever met it. They refuse a blank gamma all the same: alpha and beta told them.
func TestS11_MembersThatWereAddedKnowOldDisks(t *testing.T) {
	c := clustertest.New(t, 3)
	c.Node("gamma").Kill()
	for i, name := range []string{"delta", "epsilon"} {
		member := c.Join(name).Member(uint32(4 + i))
		learner := member
		learner.Leader, learner.Acceptor = false, false
		for _, m := range []actors.Member{learner, member} {
			c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) { return with(latest, m), nil })
		}
		c.WaitReady()
	}
	c.Node("alpha").Kill()
	c.Node("beta").Kill()
	n, err := cluster.Start(cluster.Options{
		Cluster: "test", Member: "gamma", DataDir: t.TempDir(), Machine: clustertest.NewRegister(), Address: c.Members()[2].Address,
		Join: []string{c.Node("delta").Member(4).Peer, c.Node("epsilon").Member(5).Peer},
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-n.Done():
		if err := n.Err(); !errors.As(err, new(*cluster.IdentityError)) || !strings.Contains(err.Error(), "another data directory") {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(clustertest.Patience):
		n.Kill()
		t.Error("a blank disk of gamma is not refused")
	}
}

// TestS11_AnOlderDirectoryIsRefused: a directory that is put back ends its node at the first peer that
// met a later start, and no restart counts past that.
func TestS11_AnOlderDirectoryIsRefused(t *testing.T) {
	d := newDisks(t, 3)
	d.start("alpha", "beta", "gamma")
	d.write("gamma", "a")
	d.stop("gamma")
	older := d.backup("gamma")
	for _, op := range []string{"b", "c"} {
		d.start("gamma")
		d.write("gamma", op)
		d.stop("gamma")
	}
	d.restore("gamma", older)
	d.start("gamma")
	d.ends("gamma", "an older copy of the data directory of member 3 was put back: this is start 2 of it, and start 3 was seen")
	for range 3 {
		d.isRefused(d.tryStart("gamma"), "it is an older copy")
	}
	d.write("alpha", "d")
	d.holds("a", "b", "c", "d")
}

// TestS11_AnOlderDirectoryWaitsForPeers: while nobody can tell, its acceptor and its leader say nothing.
func TestS11_AnOlderDirectoryWaitsForPeers(t *testing.T) {
	d := newDisks(t, 3)
	d.start("alpha", "beta", "gamma")
	d.write("gamma", "a")
	d.kill("gamma")
	older := d.backup("gamma")
	d.start("gamma")
	d.eventually("beta met gamma", func() error {
		if n := datadir.Counter(d.identity("beta").Incarnations[3]); n != 2 {
			return fmt.Errorf("beta met start %d", n)
		}
		return nil
	})
	d.kill("alpha", "beta", "gamma")
	d.restore("gamma", older)
	d.start("gamma")
	d.waits([]string{"gamma"}, "alpha", "beta")
	d.start("beta")
	d.ends("gamma", "an older copy")
}

// TestS13_AnOlderIdentityExecutesWhatItAcknowledges: identity.json alone is put back. Each write is
// executed, and has its own answer.
func TestS13_AnOlderIdentityExecutesWhatItAcknowledges(t *testing.T) {
	d := newDisks(t, 3)
	d.observe = conformance.Watch(t)
	d.start("alpha", "beta", "gamma")
	d.write("gamma", "a")
	d.stop("gamma")
	identity, err := os.ReadFile(filepath.Join(d.dirs["gamma"], "identity.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"a"}
	for _, op := range []string{"b", "c", "d"} {
		if err := os.WriteFile(filepath.Join(d.dirs["gamma"], "identity.json"), identity, 0o600); err != nil {
			t.Fatal(err)
		}
		d.start("gamma")
		d.write("gamma", op)
		d.stop("gamma")
		all = append(all, op)
	}
	d.holds(all...)
}

// TestS11_AMemberWithoutItsJournalDoesNotStart: the others go on, and have all that was acknowledged.
func TestS11_AMemberWithoutItsJournalDoesNotStart(t *testing.T) {
	d := newDisks(t, 3)
	d.start("alpha", "beta", "gamma")
	d.write("gamma", "a")
	d.kill("gamma")
	if err := os.RemoveAll(filepath.Join(d.dirs["gamma"], "journal")); err != nil {
		t.Fatal(err)
	}
	d.isRefused(d.tryStart("gamma"), `its folder "journal" is missing or empty`)
	d.write("alpha", "b")
	d.holds("a", "b")
}

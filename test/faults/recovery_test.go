package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
)

// TestPowerCutOfAll kills all nodes at once, under load, again and again: S1 and S2
// say that what was acknowledged is there afterwards.
func TestPowerCutOfAll(t *testing.T) {
	for _, disk := range []bool{false, true} {
		t.Run(fmt.Sprintf("disk=%t", disk), func(t *testing.T) {
			p := cluster.DefaultProtocol()
			p.Flush = 50 * time.Millisecond
			c := watched(t, 3, clustertest.Options{Protocol: &p, Disk: disk})
			var all []string
			for round := range 4 {
				acked, stop := loadNamed(t, c, 12, fmt.Sprintf("r%d-", round))
				c.Eventually("loaded", moreThan(acked, 300))
				for _, n := range c.Running() {
					n.Kill()
				}
				all = append(all, stop()...)
				for _, n := range c.Nodes() {
					n.Start()
				}
				check(t, c, all)
			}
		})
	}
}

// TestMinorityKilled kills one node after the other under load, the leader first.
func TestMinorityKilled(t *testing.T) {
	c := watched(t, 5, clustertest.Options{})
	var all []string
	for round := range 4 {
		victim := c.Leader()
		if round%2 == 1 {
			victim = c.Nodes()[round]
		}
		acked, stop := loadNamed(t, c, 10, fmt.Sprintf("r%d-", round))
		c.Eventually("loaded", moreThan(acked, 200))
		victim.Kill()
		before := acked.Load()
		c.Eventually("at work without "+victim.Name, moreThan(acked, before+200))
		victim.Start()
		all = append(all, stop()...)
		check(t, c, all)
	}
}

// small makes a cluster forget quickly.
func small() *cluster.Protocol {
	p := cluster.DefaultProtocol()
	p.Flush = 20 * time.Millisecond
	p.RetainSlots, p.RetainBytes = 50, 1<<20
	p.SegmentBytes = 16 << 10
	p.ChunkBytes = 4 << 10
	p.BatchCommands = 4
	return &p
}

// TestMemoryAndJournalStayBounded writes without end, as far as a test can, and
// looks at what acceptors and journals hold (S5).
func TestMemoryAndJournalStayBounded(t *testing.T) {
	p := small()
	c := watched(t, 3, clustertest.Options{Protocol: p, Disk: true})
	acked, stop := load(t, c, 12)
	c.Eventually("loaded", moreThan(acked, 2000))
	all := stop()
	c.Eventually("forgotten", func() error {
		for _, n := range c.Running() {
			s := n.Status()
			if s.Acceptor.Accepted > 2*p.RetainSlots {
				return fmt.Errorf("%s holds %d pvalues after %d slots", n.Name, s.Acceptor.Accepted, s.Replica.SlotOut)
			}
			if most := 3 * int64(p.SegmentBytes); s.Journal.DiskBytes > most || int64(s.Journal.Bytes) < most {
				return fmt.Errorf("%s: the journal has %d bytes of %d that were written", n.Name, s.Journal.DiskBytes, s.Journal.Bytes)
			}
		}
		return nil
	})
	check(t, c, all)
}

// TestLaggardCatchesUp brings a node back after it missed many slots: from decrees
// that its peers still have, and from a snapshot when they have forgotten them.
func TestLaggardCatchesUp(t *testing.T) {
	tests := []struct {
		name     string
		protocol *cluster.Protocol
		forgets  bool
	}{
		{"from decrees", nil, false},
		{"from a snapshot", small(), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := watched(t, 3, clustertest.Options{Protocol: tt.protocol})
			victim := c.Nodes()[2]
			victim.Kill()
			acked, stop := load(t, c, 8)
			c.Eventually("loaded", moreThan(acked, 2000))
			if tt.forgets {
				c.Eventually("forgotten", func() error {
					if f := c.Running()[0].Status().Acceptor.Forgotten; f < 100 {
						return fmt.Errorf("slots are forgotten below %d only", f)
					}
					return nil
				})
			}
			victim.Start()
			all := stop()
			check(t, c, all)
		})
	}
}

// TestIdentity shows S11: a data directory belongs to one member of one cluster, and
// a member that lost its own is refused.
func TestIdentity(t *testing.T) {
	c := watched(t, 3, clustertest.Options{})
	members := slices.Clone(c.Members())
	ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
	defer cancel()
	if _, err := c.Nodes()[0].Propose(ctx, []byte("x")); err != nil {
		t.Fatal(err)
	}
	start := func(name, member, dir string) (*cluster.Node, error) {
		return cluster.Start(cluster.Options{
			Cluster: name, Member: member, Members: members, DataDir: dir, Machine: clustertest.NewRegister(),
		})
	}
	refused := func(what string, err error, why string) {
		t.Helper()
		var identity *cluster.IdentityError
		if !errors.As(err, &identity) || !strings.Contains(err.Error(), why) || identity.Hint() == "" {
			t.Errorf("%s: error %v, want an IdentityError with a hint that says %q", what, err, why)
		}
	}

	lost := c.Node("gamma")
	lost.Kill()
	ends := func(what, why string) {
		t.Helper()
		n, err := start("test", "gamma", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-n.Done():
			refused(what, n.Err(), why)
		case <-time.After(clustertest.Patience):
			t.Errorf("%s: the node takes part", what)
			n.Kill()
		}
	}
	ends("a lost disk", "another data directory")
	members[0].ID = 9
	ends("other members", "says: epoch 1 has other members here (\"window 128, 1 alpha at ")
	members[0].ID = 1

	dir := t.TempDir()
	n, err := start("test", "gamma", dir)
	if err != nil {
		t.Fatal(err)
	}
	n.Kill()
	_, err = start("test", "beta", dir)
	refused("another member's directory", err, `belongs to member "gamma"`)
	_, err = start("other", "gamma", dir)
	refused("another cluster's directory", err, `of cluster "test"`)
	if err := os.Remove(dir + "/identity.json"); err != nil {
		t.Fatal(err)
	}
	_, err = start("test", "gamma", dir)
	refused("a directory without an identity", err, "no identity.json")
}

// TestSettingsOfANewClusterAreKept: who took part once goes by the members and the window
// of then, also where only the options could say them again, and say otherwise.
func TestSettingsOfANewClusterAreKept(t *testing.T) {
	window := cluster.DefaultProtocol().Window
	c := clustertest.NewWith(t, 3, clustertest.Options{Change: func(o *cluster.Options) { // its states are gone with their nodes
		o.Protocol.Window = window
	}})
	window *= 2
	c.Node("gamma").Restart()
	c.Node("beta").Kill()
	ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
	defer cancel()
	if _, err := c.Node("alpha").Propose(ctx, []byte("x")); err != nil {
		t.Errorf("with the one whose options have another window now: %v", err)
	}
}

// TestGrowsAfterALostMajority: what one of three has is the beginning of a new cluster,
// to which members are added; the old ones have no part in it.
func TestGrowsAfterALostMajority(t *testing.T) {
	c := clustertest.NewWith(t, 3, clustertest.Options{Disk: true})
	acked, stop := load(t, c, 6)
	c.Eventually("loaded", moreThan(acked, 200))
	ops := stop()
	c.WaitAgreement()
	for _, n := range c.Nodes() {
		n.Kill()
	}
	beta := c.Node("beta")
	beta.Recover()
	beta.Start()
	c.WaitReady()
	more, stopMore := loadNamed(t, c, 6, "alone-")
	c.Eventually("at work alone", moreThan(more, 50))
	delta := c.Join("delta")
	learner := delta.Member(4)
	learner.Leader, learner.Acceptor = false, false
	c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) { return with(latest, learner), nil })
	c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) {
		return with(latest, delta.Member(4)), nil
	})
	before := more.Load()
	c.Eventually("at work with two", moreThan(more, before+50))
	check(t, c, append(ops, stopMore()...))

	alpha := c.Node("alpha")
	alpha.Start()
	c.Eventually("refused", func() error {
		if refused := beta.Status().Transport.Refused; len(refused) == 0 {
			return errors.New("nobody was")
		}
		return nil
	})
	if s := alpha.Status(); s.Transport.Peers["beta"].Connected || s.InOffice != "" {
		t.Errorf("an old member takes part: %+v", s)
	}
	alpha.Kill()
	delta.Restart()
	c.WaitReady()
}

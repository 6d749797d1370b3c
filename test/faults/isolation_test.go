package faults

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
)

// office is the ballot of the leader in office, as a node sees it.
func office(n *clustertest.Node) actors.Ballot { return n.Status().Replica.Office }

// writesPass writes through a node for a while, so that many pings pass on a live
// cluster.
func writesPass(t *testing.T, through *clustertest.Node, span time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
	defer cancel()
	for end := time.Now().Add(span); time.Now().Before(end); {
		if _, err := through.Propose(ctx, []byte("tick")); err != nil {
			t.Fatalf("propose: %v", err)
		}
	}
}

// TestANodeBackFromIsolationPreemptsNobody cuts a follower off for many time-outs
// and lets it come back (S10): the leader keeps its ballot.
func TestANodeBackFromIsolationPreemptsNobody(t *testing.T) {
	c := watched(t, 3, clustertest.Options{})
	leader := c.Leader()
	before := office(leader)
	var follower *clustertest.Node
	for _, n := range c.Nodes() {
		if n != leader {
			follower = n
		}
	}
	c.Isolate(follower.Name)
	writesPass(t, leader, 3*time.Second)
	if s := follower.Status().Leader.Standing; s == "active" || s == "scouting" {
		t.Errorf("%s is %s while it reaches nobody", follower.Name, s)
	}
	c.Heal()
	c.WaitAgreement()
	writesPass(t, leader, time.Second)
	if now := office(c.Leader()); now != before {
		t.Errorf("the ballot in office went from %s to %s: the node back from isolation disturbed it", before, now)
	}
}

// TestALeaderWithoutAMajorityGivesUp isolates the leader: it retires, another is
// elected, and what the old one had proposed does no harm (S10).
func TestALeaderWithoutAMajorityGivesUp(t *testing.T) {
	c := watched(t, 3, clustertest.Options{})
	old := c.Leader()
	acked, stop := load(t, c, 9)
	c.Eventually("loaded", moreThan(acked, 100))
	c.Isolate(old.Name)
	c.Eventually("retired", func() error {
		if s := old.Status().Leader.Standing; s == "active" {
			return fmt.Errorf("%s is %s", old.Name, s)
		}
		return nil
	})
	c.Eventually("led by another", func() error {
		for _, n := range c.Nodes() {
			if n != old && n.Status().Leader.Standing == "active" {
				return nil
			}
		}
		return fmt.Errorf("nobody else is in office")
	})
	c.Heal()
	check(t, c, stop())
}

// TestOneWayCuts cuts links in one direction only, each pair in turn, under load:
// the cluster goes on writing somewhere and agrees afterwards.
func TestOneWayCuts(t *testing.T) {
	c := watched(t, 3, clustertest.Options{})
	acked, stop := load(t, c, 9)
	for _, from := range c.Nodes() {
		for _, to := range c.Nodes() {
			if from == to {
				continue
			}
			c.Cut(from.Name, to.Name)
			before := acked.Load()
			c.Eventually(fmt.Sprintf("at work without %s → %s", from.Name, to.Name), moreThan(acked, before+100))
			c.Heal()
		}
	}
	check(t, c, stop())
}

// TestReadsAreFresh writes through one node and reads through another at once (S8),
// while leaders come and go.
func TestReadsAreFresh(t *testing.T) {
	c := watched(t, 3, clustertest.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
	defer cancel()
	for round := range 60 {
		if round%20 == 10 {
			leader := c.Leader()
			c.Isolate(leader.Name)
			c.Eventually("retired", func() error {
				if leader.Status().Leader.Standing == "active" {
					return fmt.Errorf("%s is in office", leader.Name)
				}
				return nil
			})
			c.Heal()
		}
		up := c.Running()
		op := fmt.Sprintf("op%d", round)
		result, err := up[round%3].Propose(ctx, []byte(op))
		if err != nil {
			t.Fatal(err)
		}
		log, err := up[(round+1)%3].Read(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !hasLine(string(log), op) {
			t.Errorf("S8: %s at slot %d is missing from a read that began after its answer", op, result.Slot)
		}
	}
}

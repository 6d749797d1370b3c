package faults

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
)

// longestFirst is as long as the longest of the first time-outs of leaders.
const longestFirst = time.Second

// ballotsOf lists the ballots of a member that running nodes have heard of since a time.
func ballotsOf(c *clustertest.Cluster, id uint32, since time.Time) (ran []actors.Ballot) {
	for _, n := range c.Running() {
		for _, change := range n.Status().Runtime.Office.Changes {
			if b := change.InOffice; b.Leader == id && change.At.After(since) {
				ran = append(ran, b)
			}
		}
	}
	return ran
}

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
// and lets it come back (S10): it never runs, and the leader keeps its ballot.
func TestANodeBackFromIsolationPreemptsNobody(t *testing.T) {
	c := watched(t, 3, clustertest.Options{})
	leader := c.Leader()
	office := leader.Status().Replica.Office
	var follower *clustertest.Node
	for _, n := range c.Nodes() {
		if n != leader {
			follower = n
		}
	}
	c.Isolate(follower.Name)
	cut := time.Now()
	scouts := func() uint64 { return follower.Status().Runtime.Kinds["scout"].Started }
	before := scouts()
	writesPass(t, leader, 3*time.Second)
	if now := scouts(); now != before {
		t.Errorf("%s sent %d scouts while it reached nobody", follower.Name, now-before)
	}
	c.Heal()
	c.WaitAgreement()
	writesPass(t, leader, longestFirst)
	if ran := ballotsOf(c, follower.Status().ID, cut); len(ran) > 0 {
		t.Errorf("%s ran when it came back from isolation: %v", follower.Name, ran)
	}
	if now := c.Leader().Status().Replica.Office; now != office {
		t.Errorf("the ballot in office went from %s to %s", office, now)
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
			missed := time.Now().Add(longestFirst)
			c.Eventually("for longer than a time-out", func() error {
				if wait := time.Until(missed); wait > 0 {
					return fmt.Errorf("%s are left", wait)
				}
				return nil
			})
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

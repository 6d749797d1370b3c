package faults

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
)

// This file is about L1, progress for every placement of roles.

// apart is a cluster of alpha and beta, which have replicas, and gamma, which has the only
// leader. All three are acceptors.
func apart(t *testing.T) (c *clustertest.Cluster, alpha, beta, gamma *clustertest.Node) {
	t.Helper()
	c = watched(t, 3, clustertest.Options{})
	c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) {
		for i := range latest.Members {
			m := &latest.Members[i]
			m.Replica, m.Leader = m.Name != "gamma", m.Name == "gamma"
		}
		return latest, nil
	})
	c.Leader()
	// A member that dies before the epoch of before is over, with all replicas of its own and
	// of its successor, has to come back before the next change.
	c.Eventually("epoch 1 is over", func() error {
		for _, n := range c.Nodes() {
			for _, a := range n.Alive() {
				if epoch, ok := a.Epoch(); ok && epoch == 1 {
					return fmt.Errorf("%s lives", a)
				}
			}
		}
		return nil
	})
	return c, c.Node("alpha"), c.Node("beta"), c.Node("gamma")
}

func propose(t *testing.T, n *clustertest.Node, op string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
	defer cancel()
	if _, err := n.Propose(ctx, []byte(op)); err != nil {
		t.Fatalf("%s at %s: %v", op, n.Name, err)
	}
}

// TestTheOnlyReplicaThatIsAheadDies: beta hears nothing while alpha executes 300 writes, more
// than two windows of them; then alpha dies. The leader has dropped what alpha executed, no
// live replica has it, and it is still decided: beta gets it from the acceptors, by way of a
// new ballot.
func TestTheOnlyReplicaThatIsAheadDies(t *testing.T) {
	c, alpha, beta, gamma := apart(t)
	propose(t, beta, "first")
	c.Cut("gamma", "beta")
	c.Cut("alpha", "beta")
	want := []string{"first"}
	for i := range 300 {
		op := fmt.Sprint("acked-", i)
		propose(t, alpha, op)
		want = append(want, op)
	}
	c.Eventually("the leader drops what alpha executed", func() error {
		if n := gamma.Status().Leader.Proposals; n > 0 {
			return fmt.Errorf("%d proposals are held", n)
		}
		return nil
	})
	alpha.Kill()
	c.Heal()
	ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
	defer cancel()
	got, err := beta.Read(ctx, nil) // which proposes nothing
	if err != nil {
		t.Fatalf("alpha alone is down, and a read at beta fails: %v; beta: %+v", err, beta.Status().Replica)
	}
	if log := strings.Fields(string(got)); fmt.Sprint(log) != fmt.Sprint(want) {
		t.Errorf("beta reads %d writes, want the %d that were acknowledged", len(log), len(want))
	}
	propose(t, beta, "last")
}

// TestAWindowIsFilledWithoutTheFirstReplica: alpha, the first replica, is down, and no replica
// is beside the leader. A change that removes alpha comes into force nevertheless, without a
// client that writes, and so does the next.
func TestAWindowIsFilledWithoutTheFirstReplica(t *testing.T) {
	c, alpha, beta, _ := apart(t)
	propose(t, beta, "first")
	alpha.Kill()
	ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
	defer cancel()
	for _, change := range []func(actors.Configuration) (actors.Configuration, error){
		func(latest actors.Configuration) (actors.Configuration, error) { return without(latest, "alpha"), nil },
		func(latest actors.Configuration) (actors.Configuration, error) { return latest, nil },
	} {
		next, err := beta.Reconfigure(ctx, change)
		if err != nil {
			t.Fatal(err)
		}
		c.Eventually("the change is in force", func() error {
			if v := beta.Status().Replica; v.SlotOut < next.First {
				return fmt.Errorf("beta is at slot %d, and epoch %d begins with slot %d", v.SlotOut, next.Epoch, next.First)
			}
			return nil
		})
	}
}

package faults

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
)

// TestADeafLeaderIsReplaced cuts all that the leader in office hears, under load, and leaves
// what it says (L1): however many of its commanders go on to ask for votes, it retires, the
// others miss it, and another one is elected.
func TestADeafLeaderIsReplaced(t *testing.T) {
	for _, pipeline := range []int{8, 64} {
		t.Run(fmt.Sprintf("pipeline %d", pipeline), func(t *testing.T) {
			p := cluster.DefaultProtocol()
			p.Pipeline, p.BatchCommands = pipeline, 1
			c := watched(t, 3, clustertest.Options{Protocol: &p})
			acked, stop := load(t, c, 3*pipeline)
			c.Eventually("loaded", moreThan(acked, 500))
			deaf := c.Leader()
			for _, n := range c.Nodes() {
				if n != deaf {
					c.Cut(n.Name, deaf.Name)
				}
			}
			cut := time.Now()
			c.Eventually("led by another", func() error {
				for _, n := range c.Nodes() {
					if n != deaf && n.Status().Leader.Standing == "active" {
						return nil
					}
				}
				return errors.New("nobody else is in office")
			})
			t.Logf("another one is in office %s after the leader went deaf", time.Since(cut).Round(time.Millisecond))
			c.Heal()
			check(t, c, stop())
		})
	}
}

// TestTheOfficeMovesUnderALease moves the office round, with a lease that keeps everybody else
// out (S8): the leader in office gives it up for its heir.
func TestTheOfficeMovesUnderALease(t *testing.T) {
	p := cluster.DefaultProtocol()
	p.Lease = p.Timeout.Min
	c := watched(t, 3, clustertest.Options{Protocol: &p})
	acked, stop := load(t, c, 6)
	c.Eventually("loaded", moreThan(acked, 100))
	ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
	defer cancel()
	for range 9 {
		from := c.Leader()
		to := otherThan(c, from.Name)
		begin := time.Now()
		if err := from.MoveLeader(ctx, to.Status().ID); errors.Is(err, cluster.ErrNotInOffice) {
			continue // somebody else was elected meanwhile
		} else if err != nil {
			t.Fatalf("move the office from %s to %s: %v", from.Name, to.Name, err)
		}
		t.Logf("moved from %s to %s in %s", from.Name, to.Name, time.Since(begin).Round(time.Millisecond))
	}
	leaver := c.Leader()
	leaver.HandOver(ctx) // as at a SIGTERM
	c.Eventually("handed over", func() error {
		if s := leaver.Status(); s.InOffice == leaver.Name {
			return fmt.Errorf("%s is in office", s.InOffice)
		}
		return nil
	})
	check(t, c, stop())
}

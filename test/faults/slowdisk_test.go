package faults

import (
	"context"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
	"github.com/pmmc-go/pmmc/cluster/journal"
)

// TestSlowDisk: one disk that takes 50 ms for an fsync slows nobody, be it a follower's or
// the leader's: the other acceptors are a majority.
func TestSlowDisk(t *testing.T) {
	for _, victim := range []string{"follower", "leader"} {
		t.Run(victim, func(t *testing.T) {
			slow := make(chan struct{}) // closed once disks of the victim are to be slow
			disks := make(map[string]*slowDisk)
			c := watched(t, 3, clustertest.Options{Disk: true, Change: func(o *cluster.Options) {
				disks[o.Member] = &slowDisk{slow: slow}
				log, err := journal.NewMemory(disks[o.Member].sync).Open(journal.Options{
					Failed: func(err error) { t.Errorf("journal of %s: %v", o.Member, err) },
				})
				if err != nil {
					t.Fatal(err)
				}
				o.Journal = log
			}})
			leader, other := officeOf(t, c)
			hit := other
			if victim == "leader" {
				hit = leader
			}
			disks[hit.Name].hit = true
			close(slow)
			before := hit.Status().Journal.Syncs
			const writes = 200
			ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
			defer cancel()
			for range writes {
				if _, err := leader.Propose(ctx, []byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			// Had each write waited for it, there were as many fsyncs.
			if n := hit.Status().Journal.Syncs - before; n > writes/4 {
				t.Errorf("%d writes, one after the other, waited for %d fsyncs of the slow disk", writes, n)
			}
			if now, _ := officeOf(t, c); now != leader {
				t.Errorf("%s was in office, and %s is now", leader.Name, now.Name)
			}
		})
	}
}

// slowDisk takes its time, once it is hit.
type slowDisk struct {
	hit  bool // written before slow is closed
	slow chan struct{}
}

func (d *slowDisk) sync(ctx context.Context) error {
	select {
	case <-d.slow:
	default:
		return nil
	}
	if !d.hit {
		return nil
	}
	timer := time.NewTimer(50 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// officeOf returns the node in office, and another one.
func officeOf(t *testing.T, c *clustertest.Cluster) (leader, other *clustertest.Node) {
	t.Helper()
	c.Eventually("somebody is in office", func() error {
		leader, other = nil, nil
		for _, n := range c.Nodes() {
			if s := n.Status(); s.InOffice == n.Name {
				leader = n
			} else {
				other = n
			}
		}
		if leader == nil || other == nil {
			return context.DeadlineExceeded
		}
		return nil
	})
	return leader, other
}

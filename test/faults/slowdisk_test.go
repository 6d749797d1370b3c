package faults

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
	"github.com/pmmc-go/pmmc/cluster/journal"
)

// TestSlowDisk: one disk on which each fsync lasts until more writes were acknowledged slows
// nobody, be it a follower's or the leader's: the other acceptors are a majority. If a write
// waited for it, they would wait for each other.
func TestSlowDisk(t *testing.T) {
	for _, victim := range []string{"follower", "leader"} {
		t.Run(victim, func(t *testing.T) {
			disks := make(map[string]*slowDisk)
			p := cluster.DefaultProtocol()
			p.DiskTimeout = clustertest.Patience // it is slow, and does not hang
			c := watched(t, 3, clustertest.Options{Disk: true, Protocol: &p, Change: func(o *cluster.Options) {
				disks[o.Member] = &slowDisk{more: make(chan struct{})}
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
			disk := disks[hit.Name]
			disk.slow.Store(true)
			const writes, apart = 200, 5
			ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
			defer cancel()
			for i := range writes {
				if _, err := leader.Propose(ctx, []byte("x")); err != nil {
					t.Fatalf("write %d, while an fsync of %s is under way: %v", i, hit.Name, err)
				}
				if i%apart == apart-1 {
					disk.complete()
				}
			}
			disk.slow.Store(false)
			disk.complete()
			if disk.waits.Load() == 0 {
				t.Errorf("no fsync of %s was slow: that shows nothing", hit.Name)
			}
			if now, _ := officeOf(t, c); now != leader {
				t.Errorf("%s was in office, and %s is now", leader.Name, now.Name)
			}
			reasons := leader.Status().Runtime.Office.Reasons
			for _, why := range []actors.Reason{actors.WhyDisk, actors.WhyNoMajority, actors.WhyNoProgress} {
				if n := reasons[why]; n > 0 {
					t.Errorf("%s gave up %d offices: %s", leader.Name, n, why)
				}
			}
		})
	}
}

// slowDisk, while it is slow, completes nothing by itself.
type slowDisk struct {
	slow  atomic.Bool
	waits atomic.Int64 // fsyncs that were slow
	mu    sync.Mutex
	more  chan struct{} // closed when what is under way is to complete
}

// complete ends what is under way.
func (d *slowDisk) complete() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.more)
	d.more = make(chan struct{})
}

func (d *slowDisk) sync(ctx context.Context) error {
	d.mu.Lock()
	more := d.more
	d.mu.Unlock()
	if !d.slow.Load() {
		return nil
	}
	d.waits.Add(1)
	select {
	case <-more:
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

package etcd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/etcd/tests/v3/robustness/client"

	"go.etcd.io/etcd/tests/v3/robustness/traffic"
	"golang.org/x/time/rate"
)

// fault comes over a cluster, and goes.
type fault struct {
	name   string
	inject func(*processes, *client.ClientSet)
}

// lasts is how long a fault lasts that does not end by itself.
const lasts = time.Second

var faults = []fault{
	{"kill of the leader", func(c *processes, _ *client.ClientSet) {
		leader, _ := c.inOffice()
		c.kill(leader)
		pause(around)
		c.start(leader)
		c.await(leader)
	}},
	{"kill of a follower", func(c *processes, _ *client.ClientSet) {
		_, follower := c.inOffice()
		c.kill(follower)
		pause(around)
		c.start(follower)
		c.await(follower)
	}},
	{"kill of all", func(c *processes, _ *client.ClientSet) {
		for _, p := range c.nodes {
			c.kill(p)
		}
		for _, p := range c.nodes {
			c.start(p)
		}
		for _, p := range c.nodes {
			c.await(p)
		}
	}},
	{"pause of the leader", func(c *processes, _ *client.ClientSet) {
		leader, _ := c.inOffice()
		c.stop(leader)
		pause(lasts)
		c.resume(leader)
		c.await(leader)
	}},
	{"a disk that others hammer", func(c *processes, _ *client.ClientSet) { hammer(c, lasts) }},
	{"compaction after compaction", compactions},
	{"a member replaced", func(c *processes, _ *client.ClientSet) {
		_, follower := c.inOffice()
		c.replace(follower, "delta")
	}},
	{"links cut both ways", func(c *processes, _ *client.ClientSet) { cutLeader(c, true) }},
	{"links cut one way", func(c *processes, _ *client.ClientSet) { cutLeader(c, false) }},
}

// cutLeader cuts what the leader sends to the others, and if both is set what they send
// to it.
func cutLeader(c *processes, both bool) {
	leader, _ := c.inOffice()
	change := func(f func(from, to *process)) {
		for _, p := range c.nodes {
			if p == leader {
				continue
			}
			if f(leader, p); both {
				f(p, leader)
			}
		}
	}
	change(c.cut)
	pause(lasts)
	change(c.heal)
	for _, p := range c.nodes {
		c.await(p)
	}
}

// hammer makes the disk slow: many write and sync all the time.
func hammer(c *processes, d time.Duration) {
	var hammering sync.WaitGroup
	for i := range 16 {
		hammering.Go(func() {
			f, err := os.Create(filepath.Join(c.dir, fmt.Sprint("hammer-", i)))
			if err != nil {
				c.t.Error(err)
				return
			}
			defer f.Close()
			block := make([]byte, 1<<20)
			for end := time.Now().Add(d); time.Now().Before(end); {
				if _, err := f.WriteAt(block, 0); err != nil {
					c.t.Error(err)
				}
				if err := f.Sync(); err != nil {
					c.t.Error(err)
				}
			}
		})
	}
	hammering.Wait()
}

// compactions compact up to the present, again and again.
func compactions(c *processes, set *client.ClientSet) {
	compactor, err := set.NewClient(c.endpoints())
	if err != nil {
		c.t.Error(err)
		return
	}
	defer compactor.Close()
	ctx, cancel := context.WithTimeout(context.Background(), lasts)
	defer cancel()
	for ctx.Err() == nil {
		if now, err := compactor.Get(ctx, "key"); err == nil {
			_, _ = compactor.Compact(ctx, now.Header.Revision) // the traffic's own may have been faster
		}
	}
}

// pause lets traffic go on for a while. It waits for nothing to happen.
func pause(d time.Duration) { time.Sleep(d) }

// limiterOf is how fast traffic comes, as etcd's own test has it.
func limiterOf(load traffic.KeyValue) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(load.MaximalQPS), load.BurstableQPS)
}

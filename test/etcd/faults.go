package etcd

import (
	"time"

	"go.etcd.io/etcd/tests/v3/robustness/traffic"
	"golang.org/x/time/rate"
)

// fault comes over a cluster, and goes.
type fault struct {
	name   string
	inject func(*processes)
}

// lasts is how long a fault lasts that does not end by itself.
const lasts = 2 * time.Second

var faults = []fault{
	{"kill of the leader", func(c *processes) {
		leader, _ := c.inOffice()
		c.kill(leader)
		pause(around)
		c.start(leader)
		c.await(leader)
	}},
	{"kill of a follower", func(c *processes) {
		_, follower := c.inOffice()
		c.kill(follower)
		pause(around)
		c.start(follower)
		c.await(follower)
	}},
	{"kill of all", func(c *processes) {
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
	{"pause of the leader", func(c *processes) {
		leader, _ := c.inOffice()
		c.stop(leader)
		pause(lasts)
		c.resume(leader)
		c.await(leader)
	}},
	{"links cut both ways", func(c *processes) { cutLeader(c, true) }},
	{"links cut one way", func(c *processes) { cutLeader(c, false) }},
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

// pause lets traffic go on for a while. It waits for nothing to happen.
func pause(d time.Duration) { time.Sleep(d) }

// limiterOf is how fast traffic comes, as etcd's own test has it.
func limiterOf(load traffic.KeyValue) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(load.MaximalQPS), load.BurstableQPS)
}

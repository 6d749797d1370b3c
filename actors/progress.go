package actors

import (
	"maps"
	"slices"
	"time"
)

// progress is how far the replicas of an epoch are, as its leader hears it. The leader may
// drop a decree only where it can still be had (L1). A replica that executed a slot answers
// for it, but only while it lives: a leader without a co-located replica therefore counts
// live replicas only. With a co-located replica it counts that replica, which lives and dies
// with the leader.
//
// Invariant: first is 0, or what a replica said that lived when it was last known of any.
type progress struct {
	replicas []Addr        // whose word counts
	patience time.Duration // after which a silent replica is taken to be down

	executed map[Addr]uint64 // slots below this are executed at a replica …
	heard    map[Addr]time.Duration
	first    uint64 // slots below this are executed at some live replica
}

// progressOf counts the replica of member me, or all replicas if me has none.
func progressOf(c Configuration, me uint32, patience time.Duration) progress {
	p := progress{replicas: c.Replicas(), patience: patience, executed: make(map[Addr]uint64), heard: make(map[Addr]time.Duration)}
	if m, _ := c.Member(me); m.Replica {
		p.replicas = []Addr{ReplicaAddr(m.Name)}
	}
	return p
}

// hear takes a replica's word that it executed all slots below one. A replica may have
// restarted with less.
func (p *progress) hear(from Addr, executed uint64, now time.Duration) {
	if slices.Contains(p.replicas, from) {
		p.executed[from], p.heard[from] = executed, now
		p.look(now)
	}
}

// look finds first anew. It stays as it is while no replica is known to live.
func (p *progress) look(now time.Duration) {
	live := slices.DeleteFunc(slices.Collect(maps.Keys(p.heard)), func(a Addr) bool { return now-p.heard[a] > p.patience })
	for i, a := range live {
		if i == 0 || p.executed[a] > p.first {
			p.first = p.executed[a]
		}
	}
}

package simulation

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/pmmc-go/pmmc/actors"
)

// Options change a run.
type Options struct {
	Observe func(at time.Duration, e actors.Event) // hears all that roles do
	Tell    func(at time.Duration, fault string)   // hears what is done to them
	Without []string                               // kinds of faults, of Kinds, that are left out
	Rounds  int                                    // of trouble; 16 if 0
	Change  func(*Faults)                          // changes what the seed has drawn
}

// Kinds are the kinds of faults that a seed draws from.
var Kinds = []string{
	"loss", "repeat", "delay", "sync", "panic", "bad sync", "drift", "lease", "jumps", "membership", "small window", "hang",
	"roles", "large pipeline", "small chunks", "far", "stretches", "deaf", "idle", "disks", "late",
}

// settings draws which faults a seed has, and how bad they are: no run has them all.
func settings(seed uint64, o Options) (nodes int, f Faults) {
	w := NewWorld(seed^0x5eed, 1, Faults{})
	draw := func(kind string, odds int) bool { return w.rng.IntN(odds) == 0 && !slices.Contains(o.Without, kind) }
	f = Faults{Delay: tick / 20, Sync: tick / 20}
	if draw("loss", 2) {
		f.Loss = 0.2 * w.rng.Float64()
	}
	if draw("repeat", 2) {
		f.Repeat = 0.2 * w.rng.Float64()
	}
	if draw("delay", 2) {
		f.Delay = w.draw(tick)
	}
	if draw("sync", 2) {
		f.Sync = w.draw(tick)
	}
	if draw("panic", 3) {
		f.Panic = 0.002 * w.rng.Float64()
	}
	if draw("bad sync", 4) {
		f.BadSync = 0.0005
		f.BadRead = 0.2
	}
	if draw("drift", 3) {
		f.Drift, f.Clocks = 0.05, 0.05
	}
	if draw("lease", 3) {
		f.Lease = 5 * tick / 2
	}
	f.Jumps = draw("jumps", 3) && f.Lease == 0 // a lease is good for clocks that only drift
	if draw("membership", 2) {
		f.Spare = 1 + w.rng.IntN(2)
	}
	if draw("small window", 2) {
		f.Window = []uint64{1, 2, 4}[w.rng.IntN(3)]
		f.Pipeline = int(min(f.Window, 2))
		f.Batch = 1 + w.rng.IntN(3)
		f.Retain = 1 + uint64(w.rng.IntN(8))
	}
	nodes = 3 + 2*w.rng.IntN(2)
	f.Hangs = draw("hang", 2)
	placements(seed, o, &f)
	return nodes, f
}

// placements draws the kinds that came later, from a stream of their own, so that a seed
// draws the older kinds as before.
func placements(seed uint64, o Options, f *Faults) {
	rng := rand.New(rand.NewPCG(seed, 0x17))
	draw := func(kind string, odds int) bool { return rng.IntN(odds) == 0 && !slices.Contains(o.Without, kind) }
	f.Roles = draw("roles", 2)
	if draw("large pipeline", 8) {
		f.Pipeline = []int{8, 32, 64}[rng.IntN(3)]
		f.Window, f.Batch, f.Threads, f.Retain = 128, 1, f.Pipeline, 0
	}
	if draw("small chunks", 4) {
		f.Chunk = 1 + rng.IntN(200) // of p1b: a decree or a few
	}
	if draw("far", 6) {
		f.Delay = 3 * tick
	}
	f.Stretches = draw("stretches", 2)
	f.Deaf = draw("deaf", 2)
	f.Idle = draw("idle", 3)
	if f.Disks = draw("disks", 3); f.Disks {
		f.Spare = max(f.Spare, 1) // to take the place of a member that is lost
	}
	if draw("late", 3) {
		f.Late = 0.01
	}
	if f.Delay == 3*tick && f.Window == 128 {
		f.Chunk = 1 << 16 // a chunk takes a round trip of 6 ticks: dozens of them take longer than any failover
	}
	if f.Chunk > 0 || f.Delay == 3*tick {
		f.Loss = min(f.Loss, 0.05) // what takes many messages, or long ones, takes too long else
	}
	if f.Chunk > 0 && f.Chunk < 1200 && f.Window == 128 {
		f.Loss = 0 // an election takes dozens of round trips, one after another
	}
}

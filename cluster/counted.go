package cluster

import (
	"sync/atomic"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/actors/runtime/measure"
)

// StateStats is what was executed by this node's replica, and made durable, since the
// node began.
type StateStats struct {
	Commands measure.Distribution // in a decree, without those that had been executed before; no-ops and reconfigurations have none
	Bytes    measure.Distribution // of the operations of a decree that has any
	Applied  measure.Distribution // seconds that it took to execute a slot and to commit that
	Flushed  measure.Distribution // seconds that it took to make the state durable
	// Durable is when the state was last made durable, or there was nothing to do for it; at
	// first, when the node began.
	Durable time.Time
}

// stateCounts is what is counted for StateStats.
type stateCounts struct {
	commands, bytes, applied, flushed *measure.Histogram
	durable                           atomic.Pointer[time.Time]
}

func newStateCounts() *stateCounts {
	c := &stateCounts{commands: measure.Sizes(1, 16), bytes: measure.Sizes(64, 20), applied: measure.Times(), flushed: measure.Times()}
	c.isDurable(time.Now()) // what was read from the disk is on it
	return c
}

func (c *stateCounts) isDurable(now time.Time) { c.durable.Store(&now) }

func (c *stateCounts) durableAt() time.Time { return *c.durable.Load() }

func (c *stateCounts) show() StateStats {
	return StateStats{
		Commands: c.commands.Show(), Bytes: c.bytes.Show(), Applied: c.applied.Show(), Flushed: c.flushed.Show(),
		Durable: c.durableAt(),
	}
}

// countedState counts what becomes of a state. It belongs to the replica.
type countedState struct {
	actors.State
	counts   *stateCounts
	began    time.Time // of the Execute whose Commit is to come; zero if there was none
	commands int
}

// Execute applies the operations of a slot.
func (s *countedState) Execute(slot uint64, operations [][]byte) [][]byte {
	s.began, s.commands = time.Now(), len(operations)
	bytes := 0
	for _, o := range operations {
		bytes += len(o)
	}
	s.counts.bytes.Observe(uint64(bytes))
	return s.State.Execute(slot, operations)
}

// Commit makes the slot part of the state.
func (s *countedState) Commit(slot uint64, c actors.Changes) {
	if s.began.IsZero() {
		s.began = time.Now()
	}
	s.State.Commit(slot, c)
	s.counts.applied.Took(time.Since(s.began))
	s.counts.commands.Observe(uint64(s.commands))
	s.began, s.commands = time.Time{}, 0
}

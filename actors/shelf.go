package actors

import (
	"slices"

	"github.com/pmmc-go/pmmc/messages"
)

// This file keeps the memory of an acceptor small. What it accepted is in its journal (S1),
// and decrees that were executed are wanted only by those who lag. So of those, all but the
// latest are left to the journal, and are read from there when somebody asks.

// shelf says where an acceptor's decrees are. A pvalue in accepted whose decree is in the
// journal only has none, and is on the shelf.
type shelf struct {
	sizes  map[uint64]int // of the decrees that are on it, by slot
	bytes  int            // their sum
	loaded []uint64       // slots whose decrees are in memory, in the order in which they came; forgotten ones, too
}

// load notes that v came in place of old, and is in memory. There is nothing to leave to the
// journal of a decree that is empty, as a no-op is.
func (s *shelf) load(v, old *messages.PValue) {
	switch had, has := len(old.GetDecree()) > 0, len(v.Decree) > 0; {
	case has && !had:
		s.loaded = append(s.loaded, v.Slot)
	case had && !has:
		s.loaded = slices.DeleteFunc(s.loaded, func(slot uint64) bool { return slot == v.Slot })
	}
	s.remove(v.Slot)
}

// remove takes a slot off the shelf.
func (s *shelf) remove(slot uint64) {
	s.bytes -= s.sizes[slot]
	delete(s.sizes, slot)
}

// size is that of the decree of a slot, wherever it is; 0 if there is none.
func (a *Acceptor) size(slot uint64) int {
	if n, shelved := a.shelf.sizes[slot]; shelved {
		return n
	}
	return len(a.accepted[slot].GetDecree())
}

// shelve leaves to the journal what is more than MemoryBytes, the oldest first, of slots below
// one. What is not executed stays in memory: scouts ask for it, and wait. (One whose replica
// lags asks for more.)
func (a *Acceptor) shelve(below uint64) {
	s := &a.shelf
	for ; len(s.loaded) > 0; s.loaded = s.loaded[1:] {
		slot := s.loaded[0]
		v := a.accepted[slot]
		if len(v.GetDecree()) == 0 {
			continue // forgotten
		}
		if a.bytes-s.bytes <= a.MemoryBytes || slot >= below {
			return
		}
		s.sizes[slot] = len(v.Decree)
		s.bytes += len(v.Decree)
		a.accepted[slot] = &messages.PValue{Ballot: v.Ballot, Slot: slot} // v is shared with others
	}
}

// recall puts in their places those pvalues of a chunk whose decrees are on the shelf, and
// tells before which place it found all. Under one ballot a slot has one decree (C1), so that
// of the same ballot is it.
func (a *Acceptor) recall(env Env, chunk []*messages.PValue) (whole int) {
	missing := make(map[uint64]int) // places in chunk, by slot
	var slots []uint64
	for i, v := range chunk {
		if _, shelved := a.shelf.sizes[v.Slot]; shelved {
			missing[v.Slot] = i
			slots = append(slots, v.Slot)
		}
	}
	if len(slots) == 0 {
		return len(chunk)
	}
	env.Recall(slots[0], slots[len(slots)-1], func(v *messages.PValue) bool {
		if i, wanted := missing[v.Slot]; wanted && BallotOf(v.Ballot) == BallotOf(chunk[i].Ballot) {
			chunk[i] = v
			delete(missing, v.Slot)
		}
		return len(missing) > 0
	})
	whole = len(chunk)
	for _, i := range missing {
		whole = min(whole, i)
	}
	return whole
}

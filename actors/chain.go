package actors

import (
	"hash/crc32"
	"maps"
	"slices"
)

// This file is how replicas find out that they executed different decrees (R1), which
// Paxos rules out and broken memory, disks and programs do not. Each keeps a hash of all
// decrees, h(s) = H(h(s-1), decree(s)), as part of its state, and tells the others what it
// was at some slot; each compares that with its own. The hash is two CRCs: it is about
// faults, not about enemies, and costs next to nothing.

// chain is a replica's hash, and what it knows of those of others.
type chain struct {
	value uint64            // of the decrees below slot_out; 0 while it is not known
	marks map[uint64]uint64 // what it was before the slots at which it is compared, the last ones
	last  uint64            // of these
	peers map[Addr]*compared
}

// compared is what is known of another replica.
type compared struct {
	agreed  uint64 // decrees below this slot are the same
	slot    uint64 // it said this of a slot that is not executed here, …
	value   uint64 // … or 0 if it did not
	differs uint64 // decrees below this slot are not the same, those below agreed are; 0 if there is no such slot
}

// A Divergence says that another replica executed other decrees.
type Divergence struct {
	With         Addr
	First, Below uint64 // the first decree that is another one is of a slot in between
}

const (
	// chainEvery is how many slots lie between two comparisons.
	chainEvery = 16
	// chainMarks is how many of them are remembered for those who lag.
	chainMarks = 64
	// chainEra is how many slots there are before the hash begins anew. It does so that a
	// replica whose state is of an earlier version, without one, takes part from there on.
	chainEra = 1 << 16
	// chainBegin is the hash of no decrees.
	chainBegin = 1
)

func newChain() chain { return chain{peers: make(map[Addr]*compared)} }

// resume goes on from a state in which slots below slotOut are executed.
func (c *chain) resume(value, slotOut uint64) {
	c.value, c.marks, c.last = value, make(map[uint64]uint64), 0
	if slotOut <= 1 {
		c.value = chainBegin
	}
	c.mark(slotOut)
	for _, p := range c.peers {
		if p.slot < slotOut {
			p.value = 0 // it was not executed here
		}
	}
}

// extend takes in the decree of the next slot.
func (c *chain) extend(slot uint64, decree []byte) {
	if slot%chainEra == 0 {
		c.value = chainBegin
	}
	if c.value == 0 {
		return
	}
	var length [8]byte // so that it matters where one decree ends and the next begins
	for i := range length {
		length[i] = byte(len(decree) >> (8 * i))
	}
	high, low := uint32(c.value>>32), uint32(c.value)
	for _, part := range [][]byte{length[:], decree} {
		high = crc32.Update(high, crc32.IEEETable, part)
		low = crc32.Update(low, castagnoli, part)
	}
	c.value = max(chainBegin, uint64(high)<<32|uint64(low))
	c.mark(slot + 1)
}

// mark remembers what the hash is before a slot, and compares it with what others said.
func (c *chain) mark(slot uint64) {
	if c.value == 0 || slot%chainEvery != 0 {
		return
	}
	c.marks[slot], c.last = c.value, slot
	delete(c.marks, slot-chainMarks*chainEvery)
	for _, p := range c.peers {
		if p.value != 0 && p.slot == slot {
			p.compare(slot, p.value, c.value)
			p.value = 0
		}
	}
}

// hear takes what another replica says of the decrees below a slot.
func (c *chain) hear(from Addr, slot, value uint64) {
	if value == 0 {
		return
	}
	p := c.peers[from]
	if p == nil {
		p = new(compared)
		c.peers[from] = p
	}
	if own, ok := c.marks[slot]; ok {
		p.compare(slot, value, own)
	} else if slot > c.last && (p.value == 0 || p.slot <= c.last) {
		p.slot, p.value = slot, value
	}
}

// retain forgets all but these replicas: one that comes again under a name is another one.
func (c *chain) retain(replicas []Addr) {
	maps.DeleteFunc(c.peers, func(a Addr, _ *compared) bool { return !slices.Contains(replicas, a) })
}

func (p *compared) compare(slot, theirs, own uint64) {
	switch {
	case theirs != own && (p.differs == 0 || slot < p.differs):
		p.differs = slot
	case theirs == own && p.differs == 0:
		p.agreed = max(p.agreed, slot)
	}
}

// view tells with whom this replica agrees and with whom not. Where it differs from any,
// it agrees with those who executed the same up to there: what was the same before says
// nothing of who is wrong now.
func (c *chain) view() (agrees []Addr, diverged []Divergence) {
	all, upTo := slices.Sorted(maps.Keys(c.peers)), uint64(1)
	for _, a := range all {
		if p := c.peers[a]; p.differs != 0 {
			diverged = append(diverged, Divergence{With: a, First: p.agreed, Below: p.differs})
			upTo = max(upTo, p.differs)
		}
	}
	for _, a := range all {
		if p := c.peers[a]; p.differs == 0 && p.agreed >= upTo {
			agrees = append(agrees, a)
		}
	}
	return agrees, diverged
}

package actors

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// AcceptorOptions are an acceptor's arguments. The figure has none.
type AcceptorOptions struct {
	Configuration Configuration // whose replicas may make it forget (S5)

	ChunkBytes  int    // of pvalues in one p1b or CaughtUp, at the most; a single decree may be longer
	RetainSlots uint64 // this many slots are kept for those who lag, though they could be forgotten …
	RetainBytes int    // … as long as their decrees are not more than this
	MemoryBytes int    // of decrees in memory; what was executed beyond that is in the journal only

	Lease time.Duration // the longest that is granted to a leader in office; 0 for none
}

// Acceptor is the process of Fig. 4, the fault-tolerant memory of Paxos.
//
// It upholds, on its own, A1 (its ballot only grows) and A2 (a pvalue is accepted
// only under the current ballot). A3 (nothing accepted is dropped) is relaxed by
// §4: of a slot it keeps the pvalue with the highest ballot (Divergence D3), and a
// slot that enough replicas have on disk is forgotten (S5, Divergence D4).
type Acceptor struct {
	AcceptorOptions
	ballot   Ballot   // ballot_num, initially ⊥
	accepted pvalues  // accepted, by slot
	slots    []uint64 // of accepted, in their order

	shelf     shelf           // which decrees of accepted are in the journal only
	bytes     int             // of all decrees in accepted, on the shelf or not
	forgotten uint64          // slots below this are forgotten
	heard     uint64          // how many signs of life of ballot came; it begins anywhere
	decided   runs            // what of accepted is known to be decided
	saved     uint64          // decided is on disk for slots below this
	executed  uint64          // slots below this are executed by some replica
	leased    time.Duration   // until then no higher ballot is promised
	durable   map[Addr]uint64 // slots below this are durable at a replica
	wanted    map[Addr]uint64 // slots from this on are wanted of those to whom a replica sends a snapshot
}

// NewAcceptor returns an acceptor with no promises. One that made promises before
// must be given them back with Restore: if it forgets one, a decision can be undone.
func NewAcceptor(o AcceptorOptions) *Acceptor {
	// Fig. 4 l. 1: the zero Ballot is ⊥
	return &Acceptor{
		AcceptorOptions: o,
		accepted:        make(pvalues),
		shelf:           shelf{sizes: make(map[uint64]int)},
		forgotten:       max(1, o.Configuration.First), // those below are of another epoch
		durable:         make(map[Addr]uint64),
		wanted:          make(map[Addr]uint64),
	}
}

// Restore takes back what was persisted.
func (a *Acceptor) Restore(rec *messages.Record) {
	switch k := rec.Kind.(type) {
	case *messages.Record_Ballot:
		a.ballot = later(a.ballot, BallotOf(k.Ballot))
	case *messages.Record_Pvalue:
		a.ballot = later(a.ballot, BallotOf(k.Pvalue.Ballot))
		a.keep(k.Pvalue)
		a.shelve(^uint64(0)) // all of it is on disk
	case *messages.Record_Forgotten:
		a.forgetBelow(k.Forgotten)
	case *messages.Record_Decided:
		a.decided.learn(k.Decided)
	}
}

// Start waits out the lease that it may have granted before a restart. Otherwise an
// acceptor only ever answers.
func (a *Acceptor) Start(env Env) {
	a.leased = env.Now() + a.Lease
	a.heard = env.Rand() >> 1 // what an earlier life said must not look like this one's word
}

// Receive is the loop of Fig. 4.
func (a *Acceptor) Receive(env Env, m proto.Message) {
	switch m := m.(type) {
	case *messages.P1A:
		a.onP1A(env, m)
	case *messages.P2A:
		a.onP2A(env, m)
	case *messages.Confirm:
		a.onConfirm(env, m)
	case *messages.Canvass:
		a.onCanvass(env, m)
	case *messages.Probe:
		a.onProbe(env, m)
	case *messages.Learned:
		a.onLearned(env, m)
	case *messages.Decided:
		a.onDecided(env, m)
	case *messages.CatchUp:
		a.onCatchUp(env, m)
	default:
		env.Refuse(m)
	}
}

// onP1A is Fig. 4, "⟨p1a, λ, b⟩". The answer starts at the slot that the scout
// asked for and goes on, chunk by chunk, as the scout asks again (Divergence D5).
func (a *Acceptor) onP1A(env Env, m *messages.P1A) { // Fig. 4 l. 2
	if b := BallotOf(m.Ballot); b.Leader == a.ballot.Leader || env.Now() >= a.leased || a.isReleased(m) {
		a.adopt(env, b)
		a.hear(b)
	} // within a lease the scout hears of the lower ballot, and asks again (Divergence D10)
	// Fig. 4 l. 3: in chunks (Divergence D5)
	accepted, next, whole := a.told(env, m)
	if !whole {
		return // as if the answer were lost (Divergence D5): the scout asks again, and others too
	}
	env.Send(Addr(m.From), &messages.P1B{
		From:      string(env.Self()),
		Ballot:    a.ballot.Proto(),
		Slot:      m.Slot,
		Accepted:  accepted,
		Forgotten: a.forgotten,
		Next:      next,
	})
}

// isReleased reports whether a scout knows from the leader of the ballot that is held that this
// uses no lease any more. It never will again under that ballot, so it does not matter how late
// the word comes; and leases of lower ballots were over before a majority adopted that one.
func (a *Acceptor) isReleased(m *messages.P1A) bool {
	return a.ballot != Ballot{} && BallotOf(m.Released) == a.ballot
}

// told is the chunk that a scout is told; whole unless not all of it could be read. One that
// is preempted does not look at pvalues, and is told none.
func (a *Acceptor) told(env Env, m *messages.P1A) (accepted []*messages.PValue, next uint64, whole bool) {
	first := max(m.Slot, a.forgotten)
	if a.ballot == BallotOf(m.Ballot) {
		accepted, read, next := a.chunk(env, first, func(*messages.PValue) bool { return true })
		return accepted, next, read == len(accepted)
	}
	if later := a.from(first); len(later) > 0 {
		next = later[0]
	}
	return nil, next, true
}

// onP2A is Fig. 4, "⟨p2a, λ, ⟨b, s, c⟩⟩".
//
// Divergence D2: the figure accepts only when b = ballot_num. Here b may also be
// higher, and is then adopted too, because a p2a can overtake the p1a of its own
// ballot. A1 and A2 hold as before.
func (a *Acceptor) onP2A(env Env, m *messages.P2A) { // Fig. 4 l. 4: a higher ballot, too (Divergence D2)
	if !fits(m.GetPvalue().GetDecree()) {
		return // as if it were lost: it is no decree that was proposed
	}
	a.passOn(env, m)
	slot := m.GetPvalue().GetSlot()
	b := BallotOf(m.GetPvalue().GetBallot())
	switch {
	case b.Compare(a.ballot) < 0:
	case slot < a.forgotten:
		// It is decided and needs no vote: only its commander, which missed that,
		// needs the answer.
		a.adopt(env, b)
	default:
		a.ballot = b // the pvalue's record carries it
		if old := a.accepted[slot]; BallotOf(old.GetBallot()) != b {
			a.hear(b) // commanders that outlive the office say again what they said, and nothing new
		}
		a.keep(m.Pvalue)
		env.Persist(&messages.Record{Kind: &messages.Record_Pvalue{Pvalue: m.Pvalue}})
	}
	// Fig. 4 l. 5
	env.Send(Addr(m.From), &messages.P2B{From: string(env.Self()), Ballot: a.ballot.Proto(), Slot: slot})
}

// onConfirm answers whether a ballot still stands (S8), and grants its leader a lease
// if that asks for one. An acceptor that missed the ballot's p1a adopts it now.
func (a *Acceptor) onConfirm(env Env, m *messages.Confirm) {
	a.adopt(env, BallotOf(m.Ballot))
	a.hear(BallotOf(m.Ballot))
	answer := &messages.Confirmed{From: string(env.Self()), Ballot: a.ballot.Proto(), Number: m.Number}
	if BallotOf(m.Ballot) == a.ballot {
		granted := min(time.Duration(m.Lease), a.Lease)
		a.leased = max(a.leased, env.Now()+granted)
		answer.Lease = uint64(granted)
	}
	env.Send(Addr(m.From), answer)
}

// onCanvass tells a leader that misses the one in office what was heard of it
// here (S10). It promises nothing and changes nothing.
func (a *Acceptor) onCanvass(env Env, m *messages.Canvass) {
	env.Send(Addr(m.From), &messages.Canvassed{
		From: string(env.Self()), Ballot: a.ballot.Proto(), Number: m.Number,
		Heard: a.heard, Executed: a.executed,
	})
}

// onProbe shows that the disk completes writes (S10): what it holds already is written
// again, and the answer waits for that.
func (a *Acceptor) onProbe(env Env, m *messages.Probe) {
	env.Persist(&messages.Record{Kind: &messages.Record_Ballot{Ballot: a.ballot.Proto()}})
	env.Send(Addr(m.From), &messages.Probed{From: string(env.Self())})
}

// adopt raises ballot_num to b if that is higher.
func (a *Acceptor) adopt(env Env, b Ballot) { // Fig. 4 l. 2
	if b.Compare(a.ballot) > 0 {
		a.ballot = b
		env.Persist(&messages.Record{Kind: &messages.Record_Ballot{Ballot: b.Proto()}})
	}
}

// hear counts a sign of life of the ballot that is held: one that only a leader in office
// can give, or one that runs (L1). A scout says few without an answer.
func (a *Acceptor) hear(b Ballot) {
	if b == a.ballot {
		a.heard++
	}
}

// keep adds a pvalue, in place of one with a lower ballot.
func (a *Acceptor) keep(v *messages.PValue) {
	if v.Slot < a.forgotten {
		return
	}
	a.bytes -= a.size(v.Slot)
	old, held := a.accepted[v.Slot]
	if !held {
		i, _ := slices.BinarySearch(a.slots, v.Slot) // nearly always the end
		a.slots = slices.Insert(a.slots, i, v.Slot)
	}
	if a.accepted.add(v) { // Fig. 4 l. 4: one pvalue a slot (Divergence D3)
		a.shelf.load(v, old)
	}
	a.bytes += a.size(v.Slot)
}

// chunk lists what is accepted from a slot on, in slot order, up to a slot that
// take refuses or to ChunkBytes; next is the slot at which that limit struck, or 0. Those
// before the place whole have their decrees; those from there on could not all be read.
func (a *Acceptor) chunk(env Env, first uint64, take func(*messages.PValue) bool) (chunk []*messages.PValue, whole int, next uint64) {
	room := a.ChunkBytes
	for _, slot := range a.from(first) {
		v := a.accepted[slot]
		if !take(v) {
			break
		}
		if room -= a.size(slot) + pvalueBytes; room < 0 && len(chunk) > 0 {
			next = slot
			break
		}
		chunk = append(chunk, v)
	}
	return chunk, a.recall(env, chunk), next
}

// from lists the slots in which something is accepted, from one on.
func (a *Acceptor) from(first uint64) []uint64 {
	i, _ := slices.BinarySearch(a.slots, first)
	return a.slots[i:]
}

// onLearned forgets what enough replicas have on disk (S5).
func (a *Acceptor) onLearned(env Env, m *messages.Learned) {
	a.executed = max(a.executed, m.Executed)
	replicas := a.Configuration.Replicas()
	if !slices.Contains(replicas, Addr(m.From)) {
		return
	}
	a.durable[Addr(m.From)] = max(a.durable[Addr(m.From)], m.Durable)
	a.wanted[Addr(m.From)] = m.Wanted
	marks := make([]uint64, len(replicas))
	for i, r := range replicas {
		marks[i] = a.durable[r]
	}
	slices.Sort(marks)
	safe := marks[len(marks)-a.Configuration.keepers()]

	below := a.forgotten
	bytes := a.bytes + pvalueBytes*len(a.accepted)
	for below < safe && (bytes > a.RetainBytes || safe-below > a.RetainSlots && !a.isWanted(below)) {
		bytes -= a.size(below) + pvalueBytes
		below++
	}
	if below > a.forgotten {
		a.forgetBelow(below)
		env.Persist(&messages.Record{Kind: &messages.Record_Forgotten{Forgotten: below}})
	}
	a.shelve(a.executed)
}

// pvalueBytes is about what a pvalue takes of memory, besides its decree.
const pvalueBytes = 256

// isWanted tells whether a slot is wanted of one who fetches a snapshot: it could not
// catch up without.
func (a *Acceptor) isWanted(slot uint64) bool {
	for _, first := range a.wanted {
		if first != 0 && slot >= first {
			return true
		}
	}
	return false
}

func (a *Acceptor) forgetBelow(below uint64) {
	kept := a.from(below)
	for _, slot := range a.slots[:len(a.slots)-len(kept)] {
		a.bytes -= a.size(slot)
		delete(a.accepted, slot)
		a.shelf.remove(slot)
	}
	a.slots = kept
	a.forgotten = max(a.forgotten, below)
	a.decided = slices.DeleteFunc(a.decided, func(r *messages.DecidedRun) bool { return r.Below <= below })
}

func later(b, c Ballot) Ballot {
	if b.Compare(c) >= 0 {
		return b
	}
	return c
}

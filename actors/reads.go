package actors

import (
	"slices"

	"github.com/pmmc-go/pmmc/messages"
)

// This file is a replica's side of S8: reads that see every write that was
// answered before they came, without a slot of their own.

// reads is what a replica keeps for the clients that wait to read.
type reads struct {
	wanted uint64     // the client's number of the last read that came
	marked uint64     // reads up to this have a mark …
	served uint64     // … and up to this they were told that they may look
	number uint64     // of the last question; none is used twice in a life
	asked  []question // without an answer, in the order of their numbers
	ticks  int        // since the last was asked
	marks  []mark     // answered, waiting for their slots to be executed
}

// question is one that the leader in office was asked.
type question struct {
	number uint64
	read   uint64 // it covers reads up to this: they came before it was asked
	epoch  uint64 // whose leader was asked
}

type mark struct {
	read  uint64 // reads up to this …
	slot  uint64 // … may look at the state once this slot is executed, unless …
	epoch uint64 // … it turns out to be the last of this epoch
}

// onRead takes a client's wish to read.
func (r *Replica) onRead(env Env, m *messages.Read) {
	r.reads.wanted = max(r.reads.wanted, m.Number)
	switch {
	case m.Number <= r.reads.served:
		r.ready(env) // the client was not told
	case len(r.reads.asked) == 0:
		r.askForMark(env)
	}
}

// askForMark asks the leader in office up to which slot the reads that came so far
// must wait. The answer counts for them only: a later read needs a later question.
func (r *Replica) askForMark(env Env) {
	c, office, known := r.office(r.slotOut)
	if r.reads.wanted <= r.reads.marked || !known {
		return // it is asked when somebody is in office
	}
	r.reads.number++
	r.reads.ticks = 0
	r.reads.asked = append(r.reads.asked, question{number: r.reads.number, read: r.reads.wanted, epoch: c.Epoch})
	env.Send(LeaderAddr(office.Name, c.Epoch), &messages.ReadRequest{
		From: string(env.Self()), Number: r.reads.number, Incarnation: r.Incarnation, Life: env.Life(),
	})
}

// askForMarkAgain asks anew when there is no answer, less and less often.
func (r *Replica) askForMarkAgain(env Env) {
	r.reads.ticks++
	if n := len(r.reads.asked); n == 0 || r.reads.ticks >= 1<<min(n, maxReadPatience) {
		r.askForMark(env)
	}
}

// maxReadPatience bounds, as a power of two, the ticks between two questions.
const maxReadPatience = 5

// isOfThisLife reports whether a mark answers a question of this life: of this incarnation of
// the node, and of this life of the replica in that (S13). A leader whose build does not know of
// lives repeats the number alone; then only chance, of 1 to 2⁴⁰, keeps lives apart.
func (r *Replica) isOfThisLife(env Env, m *messages.ReadMark) bool {
	return m.Incarnation == r.Incarnation && m.Life == env.Life() || m.Incarnation == 0 && m.Life == 0
}

// onReadMark takes the answer to a question; those asked before it need none.
func (r *Replica) onReadMark(env Env, m *messages.ReadMark) {
	if !r.isOfThisLife(env, m) {
		return // the leader that was asked by an earlier life may be in office no more
	}
	i := slices.IndexFunc(r.reads.asked, func(q question) bool { return q.number == m.Number })
	if i < 0 {
		return
	}
	q := r.reads.asked[i]
	r.reads.marked = max(r.reads.marked, q.read)
	r.reads.marks = append(r.reads.marks, mark{read: q.read, slot: m.Slot, epoch: q.epoch})
	r.reads.asked = r.reads.asked[i+1:]
	r.serveReads(env)
	if len(r.reads.asked) == 0 {
		r.askForMark(env)
	}
}

// serveReads tells the client which of its reads may look at the state.
func (r *Replica) serveReads(env Env) {
	before := r.reads.served
	for len(r.reads.marks) > 0 && r.reads.marks[0].slot < r.slotOut {
		if r.epochs.at(r.reads.marks[0].slot+1).Epoch > r.reads.marks[0].epoch {
			// All of the epoch is executed here. A write that was answered may stand in
			// the next one, of which the leader that was asked knows nothing.
			r.reads.asked, r.reads.marks, r.reads.marked = nil, nil, r.reads.served
			r.askForMark(env)
			break
		}
		r.reads.served = r.reads.marks[0].read
		r.reads.marks = r.reads.marks[1:]
	}
	if r.reads.served > before {
		r.ready(env)
	}
}

func (r *Replica) ready(env Env) {
	env.Send(ClientAddr(r.Name), &messages.ReadReady{From: string(env.Self()), Number: r.reads.served})
}

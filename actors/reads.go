package actors

import "github.com/pmmc-go/pmmc/messages"

// This file is a replica's side of S8: reads that see every write that was
// answered before they came, without a slot of their own.

// reads is what a replica keeps for the clients that wait to read.
type reads struct {
	wanted uint64 // the client's number of the last read that came
	marked uint64 // reads up to this have a mark …
	served uint64 // … and up to this they were told that they may look
	asked  uint64 // the reads that the question under way covers
	number uint64 // of that question; each is asked once
	open   bool   // the question has no answer yet
	ticks  int    // since it was asked
	marks  []mark // answered, waiting for their slots to be executed
}

type mark struct {
	read uint64 // reads up to this …
	slot uint64 // … may look at the state once this slot is executed
}

// onRead takes a client's wish to read.
func (r *Replica) onRead(env Env, m *messages.Read) {
	r.reads.wanted = max(r.reads.wanted, m.Number)
	switch {
	case m.Number <= r.reads.served:
		r.ready(env) // the client was not told
	case !r.reads.open:
		r.askForMark(env)
	}
}

// askForMark asks the leader in office up to which slot the reads that came so far
// must wait. The answer counts for them only, and an unanswered question is never
// asked again under its number.
func (r *Replica) askForMark(env Env) {
	if r.reads.wanted <= r.reads.marked {
		r.reads.open = false
		return
	}
	r.reads.open, r.reads.ticks = true, 0
	office, known := r.Configuration.Member(r.office.Leader)
	if !known {
		return // asked again when somebody is in office
	}
	r.reads.number++
	r.reads.asked = r.reads.wanted
	env.Send(LeaderAddr(office.Name, r.Configuration.Epoch),
		&messages.ReadRequest{From: string(env.Self()), Number: r.reads.number})
}

// askForMarkAgain asks anew when a question has no answer for two ticks.
func (r *Replica) askForMarkAgain(env Env) {
	if !r.reads.open {
		return
	}
	if r.reads.ticks++; r.reads.ticks > 1 {
		r.askForMark(env)
	}
}

// onReadMark takes the answer to the question under way.
func (r *Replica) onReadMark(env Env, m *messages.ReadMark) {
	if !r.reads.open || m.Number != r.reads.number {
		return
	}
	r.reads.marked = r.reads.asked
	r.reads.marks = append(r.reads.marks, mark{read: r.reads.asked, slot: m.Slot})
	r.serveReads(env)
	r.askForMark(env)
}

// serveReads tells the client which of its reads may look at the state.
func (r *Replica) serveReads(env Env) {
	before := r.reads.served
	for len(r.reads.marks) > 0 && r.reads.marks[0].slot < r.slotOut {
		r.reads.served = r.reads.marks[0].read
		r.reads.marks = r.reads.marks[1:]
	}
	if r.reads.served > before {
		r.ready(env)
	}
}

func (r *Replica) ready(env Env) {
	env.Send(ClientAddr(r.member), &messages.ReadReady{From: string(env.Self()), Number: r.reads.served})
}

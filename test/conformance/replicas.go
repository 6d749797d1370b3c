package conformance

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// replica is how far a replica is, and what it said of that.
type replica struct {
	self    actors.Addr
	id      uint32
	slotOut uint64
	flushed uint64 // slots below this are on disk, as this process was told
	durable uint64 // slots below this were said to be on disk, ever
	saidBy  past
	reads   replicaReads
}

// start begins a life: the state is that of the process, and nothing else is left.
func (rep *replica) start() { rep.reads = replicaReads{asked: make(map[readNumber]uint64)} }

// openReplica goes on from what a disk holds: no less than the replica said that was
// there (S5), and no more than was executed.
func (r *Referee) openReplica(member string, o *messages.Opened) {
	rep := r.replicas[actors.ReplicaAddr(member)]
	if rep == nil {
		return
	}
	if o.Executed < rep.durable {
		r.breaks("S5", fmt.Sprintf("%s comes back at slot %d, and said that slots below %d were on disk", rep.self, o.Executed, rep.durable), rep.saidBy)
	}
	if r.whole && o.Executed > r.next {
		r.breaks("R2", fmt.Sprintf("%s comes back at slot %d, which nobody has reached", rep.self, o.Executed))
	}
	rep.slotOut, rep.flushed = o.Executed, 0
	if !r.whole {
		r.next = max(r.next, o.Executed)
	}
}

func (r *Referee) replicaHears(rep *replica, m proto.Message) {
	switch m := m.(type) {
	case *messages.Flushed:
		if m.Below > rep.slotOut {
			r.breaks("S5", fmt.Sprintf("%s is told that slots below %d are on disk; it has executed those below %d", rep.self, m.Below, rep.slotOut))
		}
		rep.flushed = max(rep.flushed, m.Below)
	case *messages.Read:
		r.hearsRead(rep, m)
	case *messages.ReadMark:
		rep.hearsMark(m)
	}
}

func (r *Referee) replicaSays(p *role, rep *replica, to actors.Addr, m proto.Message) {
	switch m := m.(type) {
	case *messages.Propose:
		of := r.epochAt(m.Slot)
		if of == nil {
			return // of long ago
		}
		if m.Slot >= rep.slotOut+of.Window {
			r.breaks("S4", fmt.Sprintf("%s proposes for slot %d at slot_out %d, with a WINDOW of %d", rep.self, m.Slot, rep.slotOut, of.Window))
		}
		if to != actors.LeaderAddr(to.Member(), of.Epoch) {
			r.breaks("S3", fmt.Sprintf("%s proposes for slot %d, which epoch %d governs, to %s", rep.self, m.Slot, of.Epoch, to))
		}
		if s := r.slotAt(m.Slot); s != nil {
			s.proposed[digestOf(m.Decree)] = true
		}
	case *messages.Learned:
		r.saysLearned(rep, m)
	case *messages.Decided:
		for _, v := range m.Decided {
			r.isDecided(v)
			if v.Slot >= rep.slotOut {
				r.breaks("R2", fmt.Sprintf("%s says that it executed slot %d at slot_out %d", rep.self, v.Slot, rep.slotOut))
			}
		}
	case *messages.CaughtUp:
		for _, run := range m.Runs {
			if run.Below > rep.slotOut {
				r.breaks("R2", fmt.Sprintf("%s says that it executed the slots below %d at slot_out %d", rep.self, run.Below, rep.slotOut))
			}
		}
	case *messages.Response:
		r.responds(rep, to, m)
	case *messages.ReadRequest:
		rep.reads.asked[numberAsked(m)] = rep.reads.wanted
	case *messages.ReadReady:
		r.saysReady(rep, m)
	case *messages.SnapshotChunk:
		if !m.Gone && m.Slot >= rep.slotOut {
			r.breaks("R2", fmt.Sprintf("%s gives a snapshot of slot %d at slot_out %d", rep.self, m.Slot, rep.slotOut))
		}
	case *messages.Request, *messages.CatchUp, *messages.SnapshotRequest, *messages.Configured:
	default:
		r.breaks("figures", fmt.Sprintf("%s is a replica and does not say this", p.self))
	}
}

// saysLearned judges that a replica does not overstate how far it is (S5).
func (r *Referee) saysLearned(rep *replica, m *messages.Learned) {
	if m.Executed > rep.slotOut {
		r.breaks("R2", fmt.Sprintf("%s says that it executed slots below %d at slot_out %d", rep.self, m.Executed, rep.slotOut))
	}
	if m.Durable > rep.flushed {
		r.breaks("S5", fmt.Sprintf("%s says that slots below %d are on disk; it was told %d", rep.self, m.Durable, rep.flushed))
	}
	if m.Durable > rep.durable {
		rep.durable, rep.saidBy = m.Durable, r.happened(fmt.Sprintf("said that slots below %d are on disk", m.Durable))
	}
}

// onState judges what becomes of a replica's state.
func (r *Referee) onState(p *role, m proto.Message) {
	rep := r.replicas[p.self]
	switch m := m.(type) {
	case *messages.Executed:
		r.executes(rep, m)
	case *messages.Installed:
		chunk, ok := p.turn.(*messages.SnapshotChunk)
		if !ok || chunk.Slot+1 != m.Executed {
			r.breaks("R2", fmt.Sprintf("%s installs a snapshot below slot %d that it did not receive", p.self, m.Executed))
		}
		if m.Executed < rep.slotOut {
			r.breaks("R2", fmt.Sprintf("%s falls back from slot %d to %d (R4)", p.self, rep.slotOut, m.Executed))
		}
		rep.slotOut = m.Executed
	default:
		r.breaks("trace", "a state that does nothing known")
	}
}

// executes judges Fig. 1 l. 14–16 and perform: R2, S6 and S7.
func (r *Referee) executes(rep *replica, m *messages.Executed) {
	if m.Slot != rep.slotOut {
		r.breaks("R2", fmt.Sprintf("%s executes slot %d at slot_out %d", rep.self, m.Slot, rep.slotOut))
		return
	}
	rep.slotOut++
	r.counts.Executed++
	s := r.slotAt(m.Slot)
	switch {
	case s == nil:
		return
	case !s.decided && r.whole:
		r.breaks("R2", fmt.Sprintf("%s executes slot %d, which is not decided", rep.self, m.Slot))
		return
	case s.ranBy.self == "":
		r.executesFirst(s, m)
	}
	if !slices.Equal(m.Operations, s.ran.operations) {
		r.breaks("S6", fmt.Sprintf("%s executes at slot %d the operations %x; those of the decree that were not executed before are %x",
			rep.self, m.Slot, m.Operations, s.ran.operations), s.decidedBy, s.ranBy)
	}
	if !slices.Equal(m.Results, s.ran.results) {
		r.breaks("S7", fmt.Sprintf("%s executes slot %d with the results %x; before they were %x", rep.self, m.Slot, m.Results, s.ran.results), s.ranBy)
	}
}

// executesFirst notes what a slot does: the model says which operations, the first
// replica that executes it says with which results. Where the trace begins later than
// the cluster, what was executed before it is not known, and that replica is believed.
func (r *Referee) executesFirst(s *slot, m *messages.Executed) {
	r.next = max(r.next, m.Slot+1)
	if s.ran = r.runs(m.Slot, s.commands); !r.whole {
		s.ran = run{operations: m.Operations}
	}
	s.ran.results = m.Results
	s.ranBy = r.happened(fmt.Sprintf("executed slot %d", m.Slot))
	r.counts.Commands += len(s.ran.operations)
}

// responds judges Fig. 1 l. 11: a client is told what came of its command, where it
// was executed.
func (r *Referee) responds(rep *replica, to actors.Addr, m *messages.Response) {
	beside, ok := r.replicas[actors.ReplicaAddr(to.Member())]
	if !ok {
		r.breaks("S6", fmt.Sprintf("%s answers %s, which is no replica's client", rep.self, to))
		return
	}
	for _, a := range m.Answers {
		if a.Refused {
			continue
		}
		if a.Slot >= rep.slotOut {
			r.breaks("R2", fmt.Sprintf("%s answers for slot %d at slot_out %d", rep.self, a.Slot, rep.slotOut))
		}
		if a.Slot > r.responded {
			r.responded, r.respondent = a.Slot, r.happened(fmt.Sprintf("answered for slot %d", a.Slot))
		}
		s := r.slotAt(a.Slot)
		if s == nil || !r.whole {
			continue
		}
		id := commandID{beside.id, m.Incarnation, a.Sequence}
		if accepted, change := s.ran.changes[id]; change {
			if accepted != (len(a.Result) == 0) {
				r.breaks("S3", fmt.Sprintf("%s answers %q to the reconfiguration of slot %d; accepted is %t", rep.self, a.Result, a.Slot, accepted), s.ranBy)
			}
			continue
		}
		result, ok := s.ran.resultOf(id)
		if !ok || result != actors.Digest(a.Result) {
			r.breaks("S6", fmt.Sprintf("%s answers command %d with what did not come of it at slot %d", rep.self, a.Sequence, a.Slot), s.ranBy)
		}
	}
}

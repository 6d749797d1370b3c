package actors

import (
	"hash/crc32"
	"maps"
	"slices"

	"github.com/pmmc-go/pmmc/messages"
)

// This file is how a replica that misses decisions gets them: from acceptors that
// know what was decided or, when they have forgotten it, in a snapshot of another
// replica's state (§4).

// lag is what a replica knows of its own.
type lag struct {
	started  bool            // the acceptor beside it has told what it knows
	executed map[Addr]uint64 // slots below this are executed by another replica …
	durable  map[Addr]uint64 // … and on disk
	seen     uint64          // slot_out at the last tick
	stuck    int             // ticks in which slot_out stood still though it should not
	asked    int             // questions, to ask another one each time

	fetch   *fetch            // the snapshot that is coming
	serving map[Addr]*serving // the snapshots that are going out, by their readers
}

// fetch is a snapshot on its way here.
type fetch struct {
	from   Addr
	slot   uint64 // 0 until the first chunk came
	offset uint64
	writer SnapshotWriter
	ticks  int // since the last chunk
}

// serving is a snapshot on its way to another replica.
type serving struct {
	reader SnapshotReader
	last   *messages.SnapshotChunk // that was sent, to send again
	ticks  int                     // since it was asked for
}

// Patience, in ticks.
const (
	stuckPatience    = 2   // before a gap is looked into: the decision may be on its way
	snapshotPatience = 8   // before decrees that nobody tells are fetched in a snapshot
	chunkPatience    = 4   // before a chunk is asked for again
	fetchPatience    = 200 // before a snapshot is given up, on either side
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Stop closes the snapshots that are under way.
func (r *Replica) Stop() {
	r.dropFetch()
	for to := range r.lag.serving {
		r.dropServing(to)
	}
}

func (r *Replica) catchUpAtStart(env Env) {
	if r.isNew() {
		return // what is decided means nothing without the state before it
	}
	if me, _ := r.epochs.at(r.slotOut).Member(r.ID); me.Acceptor {
		r.askFor(env, me.Name)
		return
	}
	r.started(env)
}

// isNew tells whether this replica is a new member's: it needs a snapshot first.
func (r *Replica) isNew() bool { return r.slotOut < r.epochs[0].First }

// started ends the look at the acceptor beside this replica: now the leader beside
// it may know where the log begins.
func (r *Replica) started(env Env) {
	r.lag.started = true
	r.tellLeaders(env)
}

// askFor asks the acceptor of a member what was decided from slot_out on.
func (r *Replica) askFor(env Env, member string) {
	epoch := r.epochs.at(r.slotOut).Epoch
	env.Send(AcceptorAddr(member, epoch), &messages.CatchUp{From: string(env.Self()), Slot: r.slotOut})
}

// onCaughtUp executes what an acceptor knows, and asks on.
func (r *Replica) onCaughtUp(env Env, m *messages.CaughtUp) {
	before := r.slotOut
	for _, v := range m.Decided {
		if v.GetSlot() == r.slotOut {
			r.onDecision(env, v)
		}
	}
	from := Addr(m.From).Member()
	switch {
	case r.slotOut > before && (!r.lag.started || r.isBehind()):
		r.askFor(env, from)
	case !r.lag.started && from == r.member:
		r.started(env)
	case m.Forgotten > r.slotOut && r.slotOut == before:
		r.beginFetch(env)
	}
}

// isBehind tells whether another replica has executed slot_out.
func (r *Replica) isBehind() bool {
	for _, executed := range r.lag.executed {
		if executed > r.slotOut {
			return true
		}
	}
	return false
}

// lookForGaps asks for what is missing when slot_out stands still.
func (r *Replica) lookForGaps(env Env) {
	r.lookAtSnapshots(env)
	moved := r.slotOut > r.lag.seen
	r.lag.seen = r.slotOut
	behind := r.isBehind()
	switch {
	case r.isNew():
		r.beginFetch(env)
	case !r.lag.started:
		r.catchUpAtStart(env) // the question or its answer was lost
	case moved || (!behind && len(r.decisions) == 0) || r.lag.fetch != nil:
		r.lag.stuck = 0
	default:
		r.lag.stuck++
		r.closeGap(env, behind)
	}
}

func (r *Replica) closeGap(env Env, behind bool) {
	switch {
	case r.lag.stuck < stuckPatience:
	case !behind:
		// Nobody executed slot_out, but a later slot is decided: whoever proposed for
		// slot_out is gone, or its decision was lost. A no-op brings either to light.
		r.send(env, r.slotOut, &proposal{decree: noop}, true)
	case r.lag.stuck > snapshotPatience:
		r.beginFetch(env)
	default:
		if ahead := r.ahead(); len(ahead) > 0 {
			r.lag.asked++
			r.askFor(env, ahead[r.lag.asked%len(ahead)].Member())
		}
	}
}

// ahead lists the replicas that have executed slot_out.
func (r *Replica) ahead() []Addr {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(r.lag.executed)), func(a Addr) bool {
		return r.lag.executed[a] <= r.slotOut
	})
}

// beginFetch asks a replica that is ahead for a snapshot.
func (r *Replica) beginFetch(env Env) {
	ahead := r.ahead()
	if len(ahead) == 0 || r.lag.fetch != nil {
		return
	}
	r.lag.asked++
	r.lag.fetch = &fetch{from: ahead[r.lag.asked%len(ahead)], writer: r.State.Restore()}
	r.askForChunk(env)
}

func (r *Replica) askForChunk(env Env) {
	f := r.lag.fetch
	env.Send(f.from, &messages.SnapshotRequest{From: string(env.Self()), Slot: f.slot, Offset: f.offset})
}

func (r *Replica) dropFetch() {
	if r.lag.fetch != nil {
		r.lag.fetch.writer.Close()
		r.lag.fetch = nil
	}
}

// onSnapshotChunk takes the next part of the snapshot that is coming.
func (r *Replica) onSnapshotChunk(env Env, m *messages.SnapshotChunk) {
	f := r.lag.fetch
	if f == nil || f.from != Addr(m.From) || f.offset != m.Offset || (f.slot != 0 && f.slot != m.Slot) {
		return // a stray
	}
	if crc32.Checksum(m.Data, castagnoli) != m.Checksum {
		return // asked for again
	}
	if m.Slot < r.slotOut || f.writer.Write(m.Data) != nil {
		r.dropFetch()
		return
	}
	f.slot, f.offset, f.ticks = m.Slot, f.offset+uint64(len(m.Data)), 0
	if !m.Last {
		r.askForChunk(env)
		return
	}
	err := f.writer.Finish()
	r.dropFetch()
	if err == nil {
		r.jump(env)
	}
}

// jump goes on from a restored state. What this replica proposed for slots that it
// never saw decided is proposed again, if the sessions do not know it.
func (r *Replica) jump(env Env) {
	r.resume()
	r.lag.stuck = 0
	maps.DeleteFunc(r.decisions, func(slot uint64, _ *messages.PValue) bool { return slot < r.slotOut })
	for _, slot := range slices.Sorted(maps.Keys(r.proposals)) {
		if slot < r.slotOut {
			r.requests = append(r.requests, r.proposals[slot].commands...)
			delete(r.proposals, slot)
		}
	}
	r.dropExecuted(env)
	r.advance(env)
}

// onSnapshotRequest sends the part of a snapshot that another replica asks for.
func (r *Replica) onSnapshotRequest(env Env, m *messages.SnapshotRequest) {
	to := Addr(m.From)
	s := r.lag.serving[to]
	switch {
	case m.Slot == 0 && r.slotOut > 1:
		r.dropServing(to)
		s = &serving{reader: r.State.Snapshot(), last: &messages.SnapshotChunk{Slot: r.slotOut - 1}}
		r.lag.serving[to] = s
	case s == nil || s.last.Slot != m.Slot:
		return // it begins anew when nothing comes
	}
	s.ticks = 0
	if m.Slot != 0 && m.Offset == s.last.Offset {
		env.Send(to, s.last)
		return
	}
	if m.Offset != s.last.Offset+uint64(len(s.last.Data)) || s.last.Last {
		return
	}
	data, last, err := s.reader.Next(r.ChunkBytes)
	if err != nil {
		r.dropServing(to)
		return
	}
	s.last = &messages.SnapshotChunk{
		From: string(env.Self()), Slot: s.last.Slot, Offset: m.Offset,
		Data: data, Checksum: crc32.Checksum(data, castagnoli), Last: last,
	}
	env.Send(to, s.last)
}

func (r *Replica) dropServing(to Addr) {
	if s, ok := r.lag.serving[to]; ok {
		s.reader.Close()
		delete(r.lag.serving, to)
	}
}

// lookAtSnapshots asks again for a chunk that does not come, and ends what nobody
// waits for any more.
func (r *Replica) lookAtSnapshots(env Env) {
	if f := r.lag.fetch; f != nil {
		f.ticks++
		switch {
		case f.ticks > fetchPatience:
			r.dropFetch()
		case f.ticks%chunkPatience == 0:
			r.askForChunk(env)
		}
	}
	for _, to := range slices.Sorted(maps.Keys(r.lag.serving)) {
		if s := r.lag.serving[to]; s.ticks > fetchPatience {
			r.dropServing(to)
		} else {
			s.ticks++
		}
	}
}

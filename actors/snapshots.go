package actors

import (
	"hash/crc32"
	"maps"
	"slices"

	"github.com/pmmc-go/pmmc/messages"
)

// This file is how the state goes from one replica to another, in chunks. The reader
// says at each tick how much has come; that is what lets the next chunks go, so it
// bounds what is under way, and how fast it goes. A snapshot is resumed after a cut of
// any length as long as the one who sends holds it.

// fetch is a snapshot on its way here.
type fetch struct {
	from   Addr
	slot   uint64 // 0 until the first chunk came
	offset uint64
	writer SnapshotWriter
	early  map[uint64]*messages.SnapshotChunk // that came before those in front of them, by offset

	silent    int  // ticks since the last chunk
	elsewhere bool // meanwhile another replica was heard that is ahead …
	alone     int  // … so many ticks ago
}

// serving is a snapshot on its way to another replica.
type serving struct {
	slot   uint64                    // slots up to and with this one are in it
	reader SnapshotReader            // nil once all is read
	sent   []*messages.SnapshotChunk // that may not have come
	next   uint64                    // offset
	ticks  int                       // since it was asked for
}

const (
	chunksAhead = 4 // that are under way, and go in a tick

	// Patience, in ticks.
	chunkPatience   = 4              // before chunks are asked for again
	beginPatience   = 12             // before a snapshot of which nothing came is fetched from another replica instead
	fetchPatience   = 200            // before one of which something came is
	livePatience    = 3 * quietTicks // since a replica was heard that is taken to live
	servingPatience = 2400           // before one that nobody asks for is let go
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Stop closes the snapshots that are under way.
func (r *Replica) Stop() {
	r.dropFetch()
	for to := range r.lag.serving {
		r.dropServing(to)
	}
}

// beginFetch asks a replica that is ahead for a snapshot.
func (r *Replica) beginFetch(env Env) {
	ahead := r.ahead()
	if slices.ContainsFunc(ahead, r.lives) {
		ahead = slices.DeleteFunc(ahead, func(a Addr) bool { return !r.lives(a) })
	}
	if len(ahead) == 0 || r.lag.fetch != nil {
		return
	}
	r.lag.fetches++
	r.lag.fetch = &fetch{from: ahead[r.lag.fetches%len(ahead)], writer: r.State.Restore(), early: make(map[uint64]*messages.SnapshotChunk)}
	r.askForChunks(env)
}

func (r *Replica) askForChunks(env Env) {
	f := r.lag.fetch
	env.Send(f.from, &messages.SnapshotRequest{
		From: string(env.Self()), Slot: f.slot, Offset: f.offset, Executed: r.slotOut,
		Again: f.silent > 0 && f.silent%chunkPatience == 0,
	})
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
	if f == nil || f.from != Addr(m.From) || (f.slot != m.Slot && f.slot != 0) {
		return // a stray
	}
	if m.Gone || m.Slot < r.slotOut {
		r.dropFetch()
		return
	}
	if m.Offset < f.offset || len(f.early) == chunksAhead && m.Offset > f.offset || crc32.Checksum(m.Data, castagnoli) != m.Checksum {
		return // a stray, or asked for again
	}
	f.slot, f.early[m.Offset] = m.Slot, m
	if last, err := f.write(); err != nil {
		r.dropFetch()
	} else if last {
		err := f.writer.Finish()
		r.dropFetch()
		if err == nil {
			r.jump(env)
		}
	}
}

// write writes what came without a gap.
func (f *fetch) write() (last bool, err error) {
	for {
		m, ok := f.early[f.offset]
		if !ok {
			return false, nil
		}
		delete(f.early, f.offset)
		if err := f.writer.Write(m.Data); err != nil {
			return false, err
		}
		f.offset += uint64(len(m.Data))
		f.silent, f.elsewhere, f.alone = 0, false, 0
		if m.Last {
			return true, nil
		}
	}
}

// jump goes on from a restored state. What this replica proposed for slots that it
// never saw decided is proposed again, if the sessions do not know it.
func (r *Replica) jump(env Env) {
	r.resume()
	r.lag.stuck = 0
	maps.DeleteFunc(r.decisions, func(slot uint64, _ *messages.PValue) bool { return slot < r.slotOut })
	maps.DeleteFunc(r.passed, func(slot uint64, _ *messages.PValue) bool { return slot < r.slotOut })
	maps.DeleteFunc(r.named, func(slot uint64, _ Ballot) bool { return slot < r.slotOut })
	for _, slot := range slices.Sorted(maps.Keys(r.proposals)) {
		if slot < r.slotOut {
			r.requests = append(r.requests, r.proposals[slot].commands...)
			delete(r.proposals, slot)
		}
	}
	r.dropExecuted(env)
	r.advance(env)
}

// onSnapshotRequest sends what may be sent of a snapshot that another replica fetches.
func (r *Replica) onSnapshotRequest(env Env, m *messages.SnapshotRequest) {
	to := Addr(m.From)
	if m.Executed > 0 { // a build before this field says nothing
		r.lag.executed[to] = m.Executed
	}
	s := r.lag.serving[to]
	switch {
	case m.Slot == 0 && s.begins() && s.slot >= r.lag.executed[to]: // it has not heard of it yet
	case m.Slot == 0 && r.slotOut > 1:
		r.dropServing(to)
		s = &serving{slot: r.slotOut - 1, reader: r.State.Snapshot()}
		r.lag.serving[to] = s
	case s == nil || s.slot != m.Slot:
		env.Send(to, &messages.SnapshotChunk{From: string(env.Self()), Slot: m.Slot, Gone: true})
		return
	}
	s.ticks = 0
	s.sent = slices.DeleteFunc(s.sent, func(c *messages.SnapshotChunk) bool { return c.Offset < m.Offset })
	if m.Again {
		for _, c := range s.sent {
			env.Send(to, c)
		}
	}
	for s.reader != nil && len(s.sent) < chunksAhead {
		if !r.sendChunk(env, to, s) {
			r.dropServing(to)
			return
		}
	}
}

// begins tells whether all that was sent may still be on its way.
func (s *serving) begins() bool { return s != nil && len(s.sent) > 0 && s.sent[0].Offset == 0 }

// sendChunk reads and sends the next chunk.
func (r *Replica) sendChunk(env Env, to Addr, s *serving) bool {
	data, last, err := s.reader.Next(r.ChunkBytes)
	if err != nil {
		return false
	}
	c := &messages.SnapshotChunk{
		From: string(env.Self()), Slot: s.slot, Offset: s.next,
		Data: data, Checksum: crc32.Checksum(data, castagnoli), Last: last,
	}
	s.next += uint64(len(data))
	s.sent = append(s.sent, c)
	env.Send(to, c)
	if last {
		s.reader.Close()
		s.reader = nil
	}
	return true
}

func (r *Replica) dropServing(to Addr) {
	s, ok := r.lag.serving[to]
	if !ok {
		return
	}
	if s.reader != nil {
		s.reader.Close()
	}
	delete(r.lag.serving, to)
}

// wanted is the first slot that the readers of snapshots will want from acceptors: they
// are not done before they have caught up. It is 0 when there are none.
func (r *Replica) wanted() (first uint64) {
	for _, s := range r.lag.serving {
		if first == 0 || s.slot+1 < first {
			first = s.slot + 1
		}
	}
	return first
}

// lookAtSnapshots asks for the next chunks, and ends what nobody waits for any more.
func (r *Replica) lookAtSnapshots(env Env) {
	if f := r.lag.fetch; f != nil {
		f.silent++
		if f.elsewhere {
			f.alone++
		}
		passed := r.lag.executed[f.from] <= r.slotOut // decisions came meanwhile
		if f.alone > fetchPatience || f.slot == 0 && f.alone > beginPatience || passed {
			r.dropFetch()
		} else {
			r.askForChunks(env)
		}
	}
	for _, to := range slices.Sorted(maps.Keys(r.lag.serving)) {
		s, executed := r.lag.serving[to], r.lag.executed[to]
		s.ticks++
		if caughtUp := executed > s.slot && executed+r.window() >= r.slotOut; caughtUp || s.ticks > servingPatience {
			r.dropServing(to)
		}
	}
}

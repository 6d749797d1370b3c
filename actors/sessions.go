package actors

import (
	"cmp"
	"maps"
	"slices"

	"github.com/pmmc-go/pmmc/messages"
)

// Sessions remembers, for each client, which commands were executed and what came
// of them (S6). It replaces Fig. 1's search of all decisions ever made;
// being replicated state, it depends on the executed decrees alone.
//
// A client is a member; each start of the member's process is an incarnation of
// it, and begins a session that ends the one before. Within a session commands are
// numbered, and each says below which number its client waits for no answer.
type Sessions struct {
	clients map[uint32]*session
	touched map[uint32]*messages.SessionRecord // what the slot under way adds
	dropped []*messages.SessionRecord          // what it makes superfluous
}

type session struct {
	incarnation uint64
	settled     uint64
	answers     map[uint64]*messages.Answer // by sequence, those not settled
	records     []*messages.SessionRecord   // that the answers came with, by slot
}

// NewSessions builds the sessions from the records that were saved.
func NewSessions(records []*messages.SessionRecord) *Sessions {
	s := &Sessions{clients: make(map[uint32]*session), touched: make(map[uint32]*messages.SessionRecord)}
	records = slices.Clone(records)
	slices.SortFunc(records, func(a, b *messages.SessionRecord) int {
		return cmp.Compare(a.Slot, b.Slot)
	})
	for _, rec := range records {
		c := s.open(rec.Client, rec.Incarnation)
		if c == nil {
			continue
		}
		c.records = append(c.records, rec)
		for _, a := range rec.Answers {
			c.answers[a.Sequence] = a
		}
		s.settle(c, rec.Settled)
	}
	s.dropped = nil
	return s
}

// outcome is what the sessions know of a command.
type outcome int

const (
	fresh    outcome = iota // to be executed
	executed                // at an earlier slot, or earlier in this one
	ended                   // its session is over: it must never be executed
)

// look tells what is known of a command, and its answer if it was executed and the
// client may still want to hear it.
func (s *Sessions) look(c *messages.Command) (outcome, *messages.Answer) {
	client, ok := s.clients[c.Client]
	switch {
	case !ok || c.Incarnation > client.incarnation:
		return fresh, nil
	case c.Incarnation < client.incarnation:
		return ended, &messages.Answer{Sequence: c.Sequence, Refused: true}
	case c.Sequence < client.settled:
		return executed, nil
	}
	if a, ok := client.answers[c.Sequence]; ok {
		return executed, a
	}
	return fresh, nil
}

// settled is the number below which a client waits for no answer.
func (s *Sessions) settled(client uint32, incarnation uint64) uint64 {
	if c, ok := s.clients[client]; ok && c.incarnation == incarnation {
		return c.settled
	}
	return 0
}

// begin notes that a command is executed at a slot; its answer's result is still
// to be filled in.
func (s *Sessions) begin(slot uint64, c *messages.Command) *messages.Answer {
	client := s.open(c.Client, c.Incarnation)
	rec := s.touched[c.Client]
	if rec == nil || rec.Incarnation != c.Incarnation {
		rec = &messages.SessionRecord{Client: c.Client, Incarnation: c.Incarnation, Slot: slot}
		s.touched[c.Client] = rec
		client.records = append(client.records, rec)
	}
	a := &messages.Answer{Sequence: c.Sequence, Slot: slot}
	rec.Answers = append(rec.Answers, a)
	client.answers[c.Sequence] = a
	rec.Settled = max(rec.Settled, client.settled, c.Settled)
	return a
}

// changes ends a slot: it returns, in the order of clients, what the slot added and
// what is no longer needed. Drop before put: a client that began a new session in
// the slot has its record in place of the old one.
func (s *Sessions) changes() (drop, put []*messages.SessionRecord) {
	for _, client := range slices.Sorted(maps.Keys(s.touched)) {
		rec := s.touched[client]
		s.settle(s.clients[client], rec.Settled)
		put = append(put, rec)
	}
	clear(s.touched)
	drop, s.dropped = s.dropped, nil
	return drop, put
}

// open finds the session of a client's incarnation, or begins it and ends the one
// before. It returns nil when that session has ended.
func (s *Sessions) open(client uint32, incarnation uint64) *session {
	c, ok := s.clients[client]
	switch {
	case ok && c.incarnation == incarnation:
		return c
	case ok && c.incarnation > incarnation:
		return nil
	case ok:
		s.dropped = append(s.dropped, c.records...)
	}
	c = &session{incarnation: incarnation, answers: make(map[uint64]*messages.Answer)}
	s.clients[client] = c
	return c
}

// settle forgets the answers below a number and the records that held only such.
// The last record stays: it says that the session exists and what is settled.
func (s *Sessions) settle(c *session, below uint64) {
	if below <= c.settled {
		return
	}
	c.settled = below
	maps.DeleteFunc(c.answers, func(sequence uint64, _ *messages.Answer) bool { return sequence < below })
	live := func(rec *messages.SessionRecord) bool {
		return slices.ContainsFunc(rec.Answers, func(a *messages.Answer) bool { return a.Sequence >= below })
	}
	for len(c.records) > 1 && !live(c.records[0]) {
		s.dropped = append(s.dropped, c.records[0])
		c.records = c.records[1:]
	}
}

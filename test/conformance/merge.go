package conformance

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/trace"
)

// A Source is the trace of a node.
type Source struct {
	Name string // as complaints call it
	In   io.Reader
}

// Audit judges the traces of all nodes of a cluster, one each. The events of a node
// stay in their order; one that receives a message waits for the one that sent it, on
// whatever node that was, and a node or role that begins, for the decision of the
// configuration by which it does. Any order of this kind is one that may have been, and the
// rules hold in all of them. The error is the *Breach, ErrNothing, or says why a trace
// cannot be read.
func Audit(sources ...Source) (Counts, error) {
	m := &merge{}
	for i, s := range sources {
		m.streams = append(m.streams, &stream{Source: s, number: i, in: trace.NewReader(s.In, s.Name)})
	}
	m.referee = New(Options{Merged: true, Name: m.name})
	err := m.run()
	if err == nil {
		err = m.referee.Finish()
	}
	return m.referee.Counts(), err
}

type merge struct {
	referee *Referee
	streams []*stream
}

// stream is a trace that is being read, with the event that is its next.
type stream struct {
	Source
	number int
	in     *trace.Reader
	member string // whose it is
	next   *actors.Event
	line   int
	ended  bool
}

// lineBits of a place are the line in its file.
const lineBits = 40

func (s *stream) place() place { return place(uint64(s.number)<<lineBits | uint64(s.line)) }

func (m *merge) name(n uint64) string {
	return fmt.Sprintf("%s:%d", m.streams[n>>lineBits].Name, n&(1<<lineBits-1))
}

// peek reads the next event, unless it is there.
func (s *stream) peek() error {
	if s.next != nil || s.ended {
		return nil
	}
	e, line, err := s.in.Next()
	switch {
	case errors.Is(err, io.EOF):
		s.ended = true
		return nil
	case err != nil:
		return err
	}
	s.next, s.line = &e, line
	if s.member == "" {
		s.member = e.Self.Member()
	}
	if e.Self.Member() != s.member {
		return fmt.Errorf("%s:%d: an event of %s in the trace of %s", s.Name, line, e.Self, s.member)
	}
	return nil
}

func (m *merge) run() error {
	for moved := true; moved; {
		moved = false
		for _, s := range m.streams {
			n, err := m.advance(s)
			if err != nil {
				return err
			}
			moved = moved || n > 0
		}
	}
	return m.stuck()
}

// advance judges the events of a stream up to one that must wait.
func (m *merge) advance(s *stream) (n int, err error) {
	for {
		if err := s.peek(); err != nil {
			return n, err
		}
		if s.next == nil || !m.ready(*s.next) {
			return n, nil
		}
		if b := m.referee.judge(*s.next, s.place()); b != nil {
			return n, b
		}
		s.next = nil
		n++
	}
}

func (m *merge) ready(e actors.Event) bool {
	if e.Kind == actors.Received {
		return m.referee.wire.heard(e.Self, e.Message)
	}
	return !m.referee.isEarly(e)
}

// held is an event that waits for a message to be sent.
type held struct {
	event actors.Event
	at    place
	key   uint64
}

// stuck ends a merge in which no stream can go on: all are at their ends, or somebody
// received what nobody sent. Who only waits for another who waits is not to blame.
func (m *merge) stuck() error {
	var waiting []held
	later := make(map[uint64]bool) // what is sent in the rest of the traces
	for _, s := range m.streams {
		if s.next != nil {
			h := held{event: *s.next, at: s.place()}
			if h.event.Kind == actors.Received {
				h.key = m.referee.wire.key(h.event.Self, h.event.Message)
			}
			waiting = append(waiting, h)
		}
		for s.next != nil {
			if e := s.next; e.Kind == actors.Sent {
				later[m.referee.wire.key(e.Peer, e.Message)] = true
			}
			s.next = nil
			if err := s.peek(); err != nil {
				return err
			}
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	blame := slices.IndexFunc(waiting, func(h held) bool { return h.event.Kind == actors.Received && !later[h.key] })
	h := waiting[max(blame, 0)]
	if from := senderOf(h.event); !slices.ContainsFunc(m.streams, func(s *stream) bool { return s.member == from }) {
		return fmt.Errorf("%s: a message from %q, whose trace is not here: all nodes' traces are judged together", m.name(uint64(h.at)), from)
	}
	if b := m.referee.judge(h.event, h.at); b != nil {
		return b
	}
	return fmt.Errorf("%s: %v of %s waits for what is in none of the traces", m.name(uint64(h.at)), h.event.Kind, h.event.Self)
}

func senderOf(e actors.Event) string {
	if m, ok := e.Message.(interface{ GetFrom() string }); ok {
		return actors.Addr(m.GetFrom()).Member()
	}
	return ""
}

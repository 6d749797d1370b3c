package runtime

import (
	"slices"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// OfficeStats is what a node saw of who is in office.
type OfficeStats struct {
	Changes []Change                 // the last ones, at most ChangesKept, oldest first
	Elected uint64                   // how often somebody came into office who was not in it before members changed
	Reasons map[actors.Reason]uint64 // of all changes
	Since   time.Time                // when the one in office, or nobody, came to be that; zero if nobody ever was
}

// Change is a change of where the node's leader stands, or of whom it takes to be in
// office. A member without a leader sees only who was elected.
type Change struct {
	At    time.Time // on this node's clock, monotonic part included
	Epoch uint64
	actors.Stand
}

// succession tells where an office changes hands. Who is in office when members change runs
// in the next epoch, too, and carries on: nobody else was in office in between.
type succession struct{ last Change }

// news tells whether somebody came into office, or nobody is in it any more.
func (s *succession) news(now Change) bool {
	nobody := now.InOffice == actors.Ballot{}
	if nobody && now.Why == actors.WhyEpoch {
		return false // it runs
	}
	last := s.last
	s.last = now
	carriesOn := now.Epoch > last.Epoch && !nobody && now.InOffice.Leader == last.InOffice.Leader
	return now.InOffice != last.InOffice && !carriesOn
}

// ElectedSince is how often the office changed hands since a time, of what is remembered.
func (o OfficeStats) ElectedSince(t time.Time) (n int) {
	var s succession
	for _, c := range o.Changes {
		if s.news(c) && c.InOffice != (actors.Ballot{}) && !c.At.Before(t) {
			n++
		}
	}
	return n
}

// ChangesKept is how many changes a node remembers.
const ChangesKept = 32

// noteStand takes note of where the leader of a shell stands after a turn, or of the
// leader that a replica without one beside it was told of.
func (s *shell) noteStand(m any) {
	switch r := s.role.(type) {
	case *actors.Leader:
		epoch, _ := s.self.Epoch()
		s.stands(epoch, r.Stand())
	case *actors.Replica:
		if m, ok := m.(*messages.Office); ok && m.Epoch >= s.stood.Epoch && actors.Addr(m.From).Member() != s.self.Member() {
			s.stands(m.Epoch, actors.Stand{InOffice: actors.BallotOf(m.Ballot), Why: actors.WhyElected})
		}
	}
}

func (s *shell) stands(epoch uint64, stand actors.Stand) {
	if stand == s.stood.Stand || (s.stood == Change{} && stand.InOffice == actors.Ballot{} && stand.Why == "") {
		return // as before, or as at the beginning
	}
	s.stood = Change{At: time.Now(), Epoch: epoch, Stand: stand}
	s.node.counts.changed(s.stood)
}

func (c *counts) changed(now Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var before Change
	if n := len(c.office.Changes); n > 0 {
		before = c.office.Changes[n-1]
	}
	if now.Epoch == before.Epoch && now.Stand == before.Stand {
		return // the leader crashed, and has found out again
	}
	if len(c.office.Changes) == ChangesKept {
		c.office.Changes = slices.Delete(c.office.Changes, 0, 1)
	}
	c.office.Changes = append(c.office.Changes, now)
	c.office.Reasons[now.Why]++
	if c.succession.news(now) {
		c.office.Since = now.At
		if now.InOffice != (actors.Ballot{}) {
			c.office.Elected++
		}
	}
}

package actors

import (
	"cmp"
	"fmt"

	"github.com/pmmc-go/pmmc/messages"
)

// Ballot is the pair ⟨round, leader⟩. The zero Ballot is ⊥: it is below every
// other and belongs to no leader.
type Ballot struct {
	Round  uint64
	Leader uint32 // a member's number, from 1
}

// Compare orders ballots by round, then by leader.
func (b Ballot) Compare(c Ballot) int {
	return cmp.Or(cmp.Compare(b.Round, c.Round), cmp.Compare(b.Leader, c.Leader))
}

// String is "round.leader", or "⊥".
func (b Ballot) String() string {
	if b == (Ballot{}) {
		return "⊥"
	}
	return fmt.Sprintf("%d.%d", b.Round, b.Leader)
}

// Proto is the ballot as it travels.
func (b Ballot) Proto() *messages.Ballot {
	return &messages.Ballot{Round: b.Round, Leader: b.Leader}
}

// BallotOf is the ballot that travelled as m; none is ⊥.
func BallotOf(m *messages.Ballot) Ballot {
	return Ballot{Round: m.GetRound(), Leader: m.GetLeader()}
}

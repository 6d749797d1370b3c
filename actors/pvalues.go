package actors

import (
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// pvalues holds, of all the pvalues added, the one with the highest ballot for
// each slot: the paper's pmax, taken as they come (§4.1).
type pvalues map[uint64]*messages.PValue

// add tells whether it added v: not where one of as high a ballot was there.
func (p pvalues) add(v *messages.PValue) (added bool) {
	if old, ok := p[v.GetSlot()]; ok && BallotOf(old.Ballot).Compare(BallotOf(v.GetBallot())) >= 0 {
		return false
	}
	p[v.GetSlot()] = v // Fig. 7 l. 5: pmax
	return true
}

// noop is the decree that changes nothing; it fills holes (S9).
var noop = []byte{}

// IsNoop tells whether a decree is the one that changes nothing.
func IsNoop(decree []byte) bool { return len(decree) == 0 }

// decreeOf decodes what a slot decided. Bytes that nobody could have proposed are
// a no-op, on every replica alike.
func decreeOf(encoded []byte) *messages.Decree {
	d := &messages.Decree{}
	if err := proto.Unmarshal(encoded, d); err != nil {
		return &messages.Decree{}
	}
	return d
}

// encode encodes a decree, once, where it is proposed.
func encode(commands []*messages.Command) []byte {
	b, err := proto.Marshal(&messages.Decree{Commands: commands})
	if err != nil {
		panic(Failure{err}) // commands are plain numbers and bytes: it cannot be
	}
	return b
}

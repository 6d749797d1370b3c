package cluster

import (
	"testing"

	"github.com/pmmc-go/pmmc/actors"
)

// L1: whoever promotes learners has a successor. Every replica has a place of its own, so
// that those behind it take over one after the other.
func TestL1_EachReplicaHasAPlaceInThePromotionOfLearners(t *testing.T) {
	c := actors.Configuration{Members: []actors.Member{
		{ID: 1, Name: "alpha", Replica: true}, {ID: 2, Name: "beta", Leader: true},
		{ID: 3, Name: "gamma", Replica: true, Leader: true}, {ID: 4, Name: "delta", Replica: true},
	}}
	for inOffice, places := range map[string]map[string]int{
		"":      {"alpha": 0, "gamma": 1, "delta": 2}, // nobody is known to be in office
		"beta":  {"alpha": 0, "gamma": 1, "delta": 2}, // which cannot ask for anything
		"gamma": {"gamma": 0, "alpha": 1, "delta": 2},
		"alpha": {"alpha": 0, "gamma": 1, "delta": 2},
	} {
		for member, want := range places {
			if got := (Status{Configuration: c, InOffice: inOffice, Member: member}).place(); got != want {
				t.Errorf("while %q is in office, %s is at place %d, want %d", inOffice, member, got, want)
			}
		}
	}
}

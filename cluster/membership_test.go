package cluster

import (
	"maps"
	"testing"

	"github.com/pmmc-go/pmmc/actors"
)

// While two configurations are in force, an address that went from one member to
// another, or from a placeholder to a name, is that of the later one alone: two names at
// one address would end every node.
func TestAnAddressHasOneMember(t *testing.T) {
	before := actors.Configuration{Epoch: 1, Members: []actors.Member{
		{ID: 1, Name: "alpha", Peer: "a:1"}, {ID: 2, Name: "beta", Peer: "b:1"},
		{ID: 3, Name: "gamma", Peer: "c:1"}, {ID: 4, Name: "new-4", Peer: "d:1"},
	}}
	after := actors.Configuration{Epoch: 2, Members: []actors.Member{
		{ID: 1, Name: "alpha", Peer: "b:1"}, {ID: 2, Name: "beta", Peer: "a:1"}, // they changed places
		{ID: 5, Name: "epsilon", Peer: "c:1"}, {ID: 4, Name: "delta", Peer: "d:1"}, {ID: 6, Name: "new-6", Peer: "e:1"},
	}}
	n := &Node{run: []actors.Configuration{before, after}}
	want := map[string]string{"alpha": "b:1", "beta": "a:1", "epsilon": "c:1", "delta": "d:1", "?6": "e:1"}
	if got := n.peers(); !maps.Equal(got, want) {
		t.Errorf("peers are %v, want %v", got, want)
	}
}

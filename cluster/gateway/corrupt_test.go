package gateway

import (
	"slices"
	"testing"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
)

// The alarm is raised for the members of all histories, whichever has the majority: the
// member that stands alone may be the only one that holds what was acknowledged.
func TestAllSidesOfADivergenceAreNamed(t *testing.T) {
	members := twoMembers()
	members.Members = append(members.Members, actors.Member{ID: 3, Name: "gamma"})
	replica := actors.ReplicaAddr
	differs := func(names ...string) (all []actors.Divergence) {
		for _, name := range names {
			all = append(all, actors.Divergence{With: replica(name), First: 1, Below: 16})
		}
		return all
	}
	for _, c := range []struct {
		name, here string
		agrees     []actors.Addr
		diverged   []actors.Divergence
		want       []uint64
	}{
		{"one against two", "gamma", nil, differs("alpha", "beta"), []uint64{1, 2, 3}},
		{"two against one", "alpha", []actors.Addr{replica("beta")}, differs("gamma"), []uint64{1, 2, 3}},
		{"even", "alpha", nil, differs("beta"), []uint64{1, 2}},
		{"one that was removed", "alpha", []actors.Addr{replica("beta")}, differs("delta"), nil},
	} {
		s := cluster.Status{Member: c.here, Configuration: members}
		s.Replica.Agrees, s.Replica.Diverged = c.agrees, c.diverged
		got := sides(s, c.diverged[0])
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

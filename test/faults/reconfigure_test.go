package faults

import (
	"errors"
	"slices"
	"testing"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
)

// with is the configuration with a member added, or put in place of its like.
func with(c actors.Configuration, m actors.Member) actors.Configuration {
	c = without(c, m.Name)
	c.Members = append(c.Members, m)
	return c
}

func without(c actors.Configuration, name string) actors.Configuration {
	c.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m actors.Member) bool { return m.Name == name })
	return c
}

// TestAllMembersAreReplaced grows a cluster under load from three to five, replaces
// every first member, and shrinks it to three.
func TestAllMembersAreReplaced(t *testing.T) {
	c := clustertest.New(t, 3)
	acked, stop := load(t, c, 6)
	c.Eventually("loaded", moreThan(acked, 100))
	for i, name := range clustertest.Names[3:6] {
		n := c.Join(name)
		id := uint32(4 + i)
		learner := n.Member(id)
		learner.Leader, learner.Acceptor = false, false
		c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) { return with(latest, learner), nil })
		c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) {
			return with(latest, n.Member(id)), nil
		})
	}
	more, stopMore := loadNamed(t, c, 6, "six-")
	c.Eventually("at work with six", moreThan(more, 100))
	for _, name := range clustertest.Names[:3] {
		c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) { return without(latest, name), nil })
		<-c.Node(name).Done()
		if err := c.Node(name).Err(); !errors.Is(err, cluster.ErrRemoved) {
			t.Errorf("%s ended with %v, want ErrRemoved", name, err)
		}
	}
	before := more.Load()
	c.Eventually("at work with three", moreThan(more, before+100))
	check(t, c, append(stop(), stopMore()...))
}

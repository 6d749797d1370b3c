package simulation

import (
	"fmt"

	"github.com/pmmc-go/pmmc/actors"
)

// This file is which roles members have. By the paper, a cluster of 2f+1 acceptors that is to
// survive f failures needs f+1 replicas and f+1 leaders, wherever they live.

func nameOfNode(i int) string { return fmt.Sprintf("n%d", i+1) }

func fullMember(id uint32, name string) actors.Member {
	return actors.Member{ID: id, Name: name, Replica: true, Leader: true, Acceptor: true}
}

// cast draws the first members: acceptors, and where members have any set of roles up to two
// who are none.
func (w *World) cast(acceptors int) (all []actors.Member) {
	if !w.Roles {
		for i := range acceptors {
			all = append(all, fullMember(uint32(i+1), nameOfNode(i)))
		}
		return all
	}
	for i := range acceptors + w.rng.IntN(3) {
		m := w.castMember(uint32(i+1), nameOfNode(i))
		m.Acceptor = i < acceptors
		all = append(all, m)
	}
	w.rng.Shuffle(len(all), func(i, j int) { all[i].Acceptor, all[j].Acceptor = all[j].Acceptor, all[i].Acceptor })
	for f := (acceptors - 1) / 2; ; {
		c := actors.Configuration{Members: all}
		m := &all[w.rng.IntN(len(all))]
		switch {
		case len(c.Replicas()) <= f:
			m.Replica = true
		case len(c.Leaders()) <= f:
			m.Leader = true
		case c.Check() != nil: // a member has no role
			for i := range all {
				all[i].Replica = all[i].Replica || !all[i].Acceptor && !all[i].Leader
			}
		default:
			return all
		}
	}
}

// castMember draws a member's roles, at least one of them.
func (w *World) castMember(id uint32, name string) actors.Member {
	if !w.Roles {
		return fullMember(id, name)
	}
	roles := 1 + w.rng.IntN(7)
	return actors.Member{ID: id, Name: name, Replica: roles&1 != 0, Leader: roles&2 != 0, Acceptor: roles&4 != 0}
}

// mayFail is how many members of a configuration may fail.
func mayFail(c actors.Configuration) int { return (len(c.Acceptors()) - 1) / 2 }

// isSound tells whether a configuration survives the failure of a minority of its acceptors.
func isSound(c actors.Configuration) bool {
	f := mayFail(c)
	return f > 0 && len(c.Replicas()) > f && len(c.Leaders()) > f
}

package faults

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

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
	c := watched(t, 3, clustertest.Options{})
	acked, stop := load(t, c, 3)
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

// TestAMemberRemovedWhileItWasAwayEnds: it comes back with its disk, learns that it is
// no member, and disturbs nobody.
func TestAMemberRemovedWhileItWasAwayEnds(t *testing.T) {
	c := watched(t, 4, clustertest.Options{})
	away := c.Node("alpha")
	if away == c.Leader() {
		away = c.Node("beta")
	}
	id := away.Status().ID
	away.Kill()
	c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) {
		return without(latest, away.Name), nil
	})
	acked, stop := load(t, c, 6)
	c.Eventually("loaded", moreThan(acked, 100))
	back := time.Now()
	away.Start()
	<-away.Done()
	if err := away.Err(); !errors.Is(err, cluster.ErrRemoved) {
		t.Errorf("%s ended with %v, want ErrRemoved", away.Name, err)
	}
	if ran := ballotsOf(c, id, back); len(ran) > 0 {
		t.Errorf("%s ran, though it is no member: %v", away.Name, ran)
	}
	check(t, c, stop())
}

// TestBadChangesAreRefused: with the reason, and before anything is decided.
func TestBadChangesAreRefused(t *testing.T) {
	c := clustertest.New(t, 3) // of which nothing is decided: no trace to judge
	ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
	defer cancel()
	alpha := c.Node("alpha")
	for want, change := range map[string]func(actors.Configuration) actors.Configuration{
		"two members have the name": func(l actors.Configuration) actors.Configuration {
			l.Members = append(slices.Clone(l.Members), actors.Member{ID: 9, Name: "beta", Replica: true})
			return l
		},
		"cannot go to": func(l actors.Configuration) actors.Configuration {
			return with(without(l, "gamma"), actors.Member{ID: 3, Name: "delta", Replica: true})
		},
		"both have the address": func(l actors.Configuration) actors.Configuration {
			return with(l, actors.Member{ID: 9, Name: "delta", Replica: true, Peer: l.Members[0].Peer})
		},
		"none of the 1 members is a": func(l actors.Configuration) actors.Configuration {
			l.Members = []actors.Member{{ID: 1, Name: "alpha", Replica: true}}
			return l
		},
		"no majority": func(l actors.Configuration) actors.Configuration {
			for i, name := range []string{"x", "y", "z"} {
				l = with(l, actors.Member{ID: uint32(10 + i), Name: name, Peer: name + ":1", Acceptor: true})
			}
			return l
		},
	} {
		_, err := alpha.Reconfigure(ctx, func(l actors.Configuration) (actors.Configuration, error) { return change(l), nil })
		if !errors.Is(err, cluster.ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want ErrRefused and %q", err, want)
		}
	}
	if epoch := alpha.Status().Configuration.Epoch; epoch != 1 {
		t.Errorf("epoch %d after refusals, want 1", epoch)
	}
}

// TestTheOfficeMoves from leader to leader under load, and no write fails.
func TestTheOfficeMoves(t *testing.T) {
	c := watched(t, 3, clustertest.Options{})
	acked, stop := load(t, c, 6)
	ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
	defer cancel()
	for range 6 {
		before := acked.Load()
		from := c.Leader()
		to := c.Nodes()[int(from.Status().ID)%3]
		if err := to.MoveLeader(ctx, from.Status().ID); !errors.Is(err, cluster.ErrNotInOffice) {
			t.Errorf("%s, which is not in office, moved it: %v", to.Name, err)
		}
		if err := from.MoveLeader(ctx, to.Status().ID); err != nil {
			t.Fatalf("from %s to %s: %v", from.Name, to.Name, err)
		}
		if now := c.Leader(); now != to {
			t.Errorf("%s is in office, not %s", now.Name, to.Name)
		}
		c.Eventually("at work", moreThan(acked, before+50))
	}
	check(t, c, stop())
}

// TestRolesByMember runs a cluster in which each member has other roles: two witnesses,
// which only accept, two replicas with leaders, and a learner.
func TestRolesByMember(t *testing.T) {
	roles := map[string]actors.Member{
		"alpha": {Replica: true, Leader: true}, "beta": {Replica: true, Leader: true},
		"gamma": {Acceptor: true}, "delta": {Acceptor: true}, "epsilon": {Replica: true},
	}
	c := watched(t, 3, clustertest.Options{})
	c.Join("delta")
	c.Join("epsilon")
	c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) {
		for i, name := range []string{"delta", "epsilon"} {
			m := c.Node(name).Member(uint32(4 + i))
			m.Leader, m.Acceptor = false, false
			latest = with(latest, m)
		}
		return latest, nil
	})
	c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) {
		for i, m := range latest.Members {
			r := roles[m.Name]
			latest.Members[i].Replica, latest.Members[i].Leader, latest.Members[i].Acceptor = r.Replica, r.Leader, r.Acceptor
		}
		return latest, nil
	})
	acked, stop := load(t, c, 4)
	c.Eventually("at work with roles by member", moreThan(acked, 100))
	check(t, c, stop())
}

// TestS11_ANameGoesToAnotherMemberInTwoSteps: in one step, a blank node would run the acceptor
// of the member whose name it got, in the epoch that still governs slots.
func TestS11_ANameGoesToAnotherMemberInTwoSteps(t *testing.T) {
	c := clustertest.NewWith(t, 3, clustertest.Options{})
	_, err := c.Node("alpha").Reconfigure(t.Context(), func(latest actors.Configuration) (actors.Configuration, error) {
		i := slices.IndexFunc(latest.Members, func(m actors.Member) bool { return m.Name == "gamma" })
		latest.Members[i].ID = latest.LastID + 1
		return latest, nil
	})
	if !errors.Is(err, cluster.ErrRefused) || !strings.Contains(err.Error(), "remove it in a change of its own") {
		t.Errorf("gamma becomes another member in one step: %v", err)
	}
}

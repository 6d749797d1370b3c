package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pmmc-go/pmmc/actors"
)

// This file is what a node does for the membership without being asked: it promotes
// learners that have kept up, names members that were added without a name, and tells
// the cluster where its own clients reach it.

const (
	upkeepEvery    = 100 * time.Millisecond
	upkeepPatience = 10 * time.Second // with one change; it is tried again
)

// errSettled is a change that is not needed any more.
var errSettled = errors.New("cluster: it is so already")

// upkeep looks at what there is to do now and then, until the node ends.
func (n *Node) upkeep() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n.chores.Go(func() { <-n.ending; cancel() })
	again := time.NewTicker(upkeepEvery)
	defer again.Stop()
	since := make(map[uint32]time.Time) // learners keep up
	for {
		select {
		case <-n.ending:
			return
		case <-again.C:
		}
		if !n.me().Replica {
			continue // it cannot ask the cluster for anything
		}
		for _, change := range []Change{n.publication(), n.naming(), n.promotion(since)} {
			if change != nil {
				n.improve(ctx, change)
			}
		}
	}
}

// improve makes a change, unless another node was faster.
func (n *Node) improve(ctx context.Context, change Change) {
	ctx, cancel := context.WithTimeout(ctx, upkeepPatience)
	defer cancel()
	_, err := n.Reconfigure(ctx, change)
	if err != nil && !errors.Is(err, errSettled) && !errors.Is(err, ErrStopped) {
		n.options.Logger.Warn("could not change the configuration; it is tried again", "error", err)
	}
}

// publication is the change by which the log learns where this node's clients reach it.
func (n *Node) publication() Change {
	client := n.options.Client
	if me, ok := n.Configuration().Named(n.options.Member); !ok || client == "" || me.Client == client {
		return nil
	}
	return editing(n.me().ID, func(m *actors.Member) error {
		if m.Client == client {
			return errSettled
		}
		m.Client = client
		return nil
	})
}

// naming is the change that gives a member the name that its node goes by.
func (n *Node) naming() Change {
	n.mu.Lock()
	names := maps.Clone(n.names)
	clear(n.names)
	n.mu.Unlock()
	for _, m := range n.Configuration().Members {
		if name := names[m.Peer]; m.IsUnnamed() && name != "" {
			return editing(m.ID, func(m *actors.Member) error {
				if !m.IsUnnamed() {
					return errSettled
				}
				m.Name = name
				return nil
			})
		}
	}
	return nil
}

// promotion is the change that promotes the learner that has kept up for long enough. The
// node on duty makes it; each further replica does once it has waited as long again (L1).
func (n *Node) promotion(since map[uint32]time.Time) Change {
	var waiting []actors.Member
	for _, m := range n.Configuration().Members {
		if m.Promote && m.IsLearner() {
			waiting = append(waiting, m)
		}
	}
	if len(waiting) == 0 || n.options.Protocol.AutoPromote == 0 {
		clear(since)
		return nil
	}
	s := n.Status()
	for _, m := range waiting {
		switch begin, kept := since[m.ID]; {
		case !s.KeepsUp(m.Name):
			delete(since, m.ID)
		case !kept:
			since[m.ID] = time.Now()
		case time.Since(begin) >= n.options.Protocol.AutoPromote*time.Duration(1+s.place()):
			return editing(m.ID, promote)
		}
	}
	return nil
}

// place is this node's place in the order of those that promote learners, from 0: the node of
// the leader in office, if it has a replica, then all replicas in the members' order.
func (s Status) place() int {
	order := slices.DeleteFunc(slices.Clone(s.Configuration.Members), func(m actors.Member) bool { return !m.Replica })
	place := slices.IndexFunc(order, func(m actors.Member) bool { return m.Name == s.Member })
	switch office := slices.IndexFunc(order, func(m actors.Member) bool { return m.Name == s.InOffice }); {
	case place == office:
		return 0
	case place < office:
		return place + 1
	}
	return place
}

func promote(m *actors.Member) error {
	if !m.IsLearner() {
		return errSettled
	}
	m.Leader, m.Acceptor, m.Promote = true, true, false
	return nil
}

// editing is the change of one member.
func editing(id uint32, edit func(*actors.Member) error) Change {
	return func(latest actors.Configuration) (actors.Configuration, error) {
		i := slices.IndexFunc(latest.Members, func(m actors.Member) bool { return m.ID == id })
		if i < 0 {
			return latest, fmt.Errorf("%w: there is no member %d", errSettled, id)
		}
		return latest, edit(&latest.Members[i])
	}
}

package actors

import (
	"fmt"
	"strings"

	"github.com/pmmc-go/pmmc/messages"
)

// Configuration is who takes part in the decisions of an epoch's slots.
type Configuration struct {
	Epoch   uint64 // from 1
	First   uint64 // the first slot that it governs
	Window  uint64 // WINDOW
	LastID  uint32 // the highest number that a member ever had
	Origin  uint64 // what the cluster was made from; 0 for nothing (S11)
	Members []Member
}

// Member is a place where roles live.
type Member struct {
	ID   uint32 // its number in ballots, from 1; never given to another
	Name string

	Replica, Leader, Acceptor bool

	Peer   string // where its node hears the others, as host:port
	Client string // where its clients reach it, as host:port

	Promote bool // a learner becomes a leader and an acceptor, once it has kept up
}

// Placeholder is the name of a member that was added without one, by its number, until
// its node says what it is called.
func Placeholder(id uint32) string { return fmt.Sprintf("new-%d", id) }

// IsUnnamed tells whether the name of a member is not known yet.
func (m Member) IsUnnamed() bool { return m.Name == Placeholder(m.ID) }

// IsLearner tells whether a member executes what others decide, and no more.
func (m Member) IsLearner() bool { return m.Replica && !m.Leader && !m.Acceptor }

// Proto is the configuration as a message.
func (c Configuration) Proto() *messages.Configuration {
	m := &messages.Configuration{Epoch: c.Epoch, First: c.First, Window: c.Window, LastId: c.LastID, Origin: c.Origin}
	for _, of := range c.Members {
		m.Members = append(m.Members, &messages.Member{
			Id: of.ID, Name: of.Name, Replica: of.Replica, Leader: of.Leader, Acceptor: of.Acceptor,
			Peer: of.Peer, Client: of.Client, Promote: of.Promote,
		})
	}
	return m
}

// ConfigurationOf is the configuration of a message.
func ConfigurationOf(m *messages.Configuration) Configuration {
	c := Configuration{Epoch: m.GetEpoch(), First: m.GetFirst(), Window: m.GetWindow(), LastID: m.GetLastId(), Origin: m.GetOrigin()}
	for _, of := range m.GetMembers() {
		c.Members = append(c.Members, Member{
			ID: of.GetId(), Name: of.GetName(), Replica: of.GetReplica(), Leader: of.GetLeader(), Acceptor: of.GetAcceptor(),
			Peer: of.GetPeer(), Client: of.GetClient(), Promote: of.GetPromote(),
		})
	}
	return c
}

// Check tells why a cluster could not work in this configuration, or nil.
func (c Configuration) Check() error {
	ids, names, peers := make(map[uint32]string), make(map[string]bool), make(map[string]string)
	for _, m := range c.Members {
		switch {
		case m.Name == "" || m.ID == 0:
			return fmt.Errorf("member %q has the number %d: want a name, and a number from 1", m.Name, m.ID)
		case strings.ContainsAny(m.Name, "/?$"): // of paths, and of names that are none
			return fmt.Errorf("a member cannot have the name %q: it has one of / ? $ in it", m.Name)
		case names[m.Name]:
			return fmt.Errorf("two members have the name %q", m.Name)
		case ids[m.ID] != "":
			return fmt.Errorf("members %q and %q both have the number %d", ids[m.ID], m.Name, m.ID)
		case m.Peer != "" && peers[m.Peer] != "":
			return fmt.Errorf("members %q and %q both have the address %s", peers[m.Peer], m.Name, m.Peer)
		case !m.Replica && !m.Leader && !m.Acceptor:
			return fmt.Errorf("member %q has no role", m.Name)
		}
		ids[m.ID], names[m.Name], peers[m.Peer] = m.Name, true, m.Name
	}
	switch {
	case len(c.Acceptors()) == 0:
		return fmt.Errorf("none of the %d members is an acceptor", len(c.Members))
	case len(c.Replicas()) == 0:
		return fmt.Errorf("none of the %d members is a replica", len(c.Members))
	case len(c.Leaders()) == 0:
		return fmt.Errorf("none of the %d members is a leader", len(c.Members))
	}
	return nil
}

// Follows tells why c cannot come after last, or nil. A number that a member once had
// is never given to another: ballots and sessions go by it. Only who was added without a
// name gets one.
func (c Configuration) Follows(last Configuration) error {
	if c.Epoch != last.Epoch+1 {
		return fmt.Errorf("it was made from epoch %d, and epoch %d has come since", c.Epoch-1, last.Epoch)
	}
	for _, m := range c.Members {
		old, known := last.Member(m.ID)
		switch {
		case known && old.Name != m.Name && !old.IsUnnamed():
			return fmt.Errorf("the number %d of %q cannot go to %q", m.ID, old.Name, m.Name)
		case !known && m.ID <= last.LastID:
			return fmt.Errorf("the number %d of %q is used up: the next is %d", m.ID, m.Name, last.LastID+1)
		}
	}
	return c.Check()
}

// Acceptors lists the acceptors, in the members' order.
func (c Configuration) Acceptors() []Addr {
	return c.addresses(func(m Member) (Addr, bool) { return AcceptorAddr(m.Name, c.Epoch), m.Acceptor })
}

// Leaders lists the leaders, in the members' order.
func (c Configuration) Leaders() []Addr {
	return c.addresses(func(m Member) (Addr, bool) { return LeaderAddr(m.Name, c.Epoch), m.Leader })
}

// Replicas lists the replicas, in the members' order.
func (c Configuration) Replicas() []Addr {
	return c.addresses(func(m Member) (Addr, bool) { return ReplicaAddr(m.Name), m.Replica })
}

func (c Configuration) addresses(of func(Member) (Addr, bool)) []Addr {
	var all []Addr
	for _, m := range c.Members {
		if a, ok := of(m); ok {
			all = append(all, a)
		}
	}
	return all
}

// Member finds a member by its number.
func (c Configuration) Member(id uint32) (Member, bool) {
	for _, m := range c.Members {
		if m.ID == id {
			return m, true
		}
	}
	return Member{}, false
}

// Named finds a member by its name.
func (c Configuration) Named(name string) (Member, bool) {
	for _, m := range c.Members {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}

// keepers is how many replicas must have a slot on disk before acceptors may
// forget it: f+1 of 2f+1 acceptors, or all replicas where there are fewer (S5).
func (c Configuration) keepers() int {
	f := (len(c.Acceptors()) - 1) / 2
	return min(f+1, len(c.Replicas()))
}

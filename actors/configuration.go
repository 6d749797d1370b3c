package actors

import "github.com/pmmc-go/pmmc/messages"

// Configuration is who takes part in the decisions of an epoch's slots.
type Configuration struct {
	Epoch   uint64
	Members []Member
}

// Member is a place where roles live.
type Member struct {
	ID   uint32 // its number in ballots, from 1; never given to another
	Name string

	Replica, Leader, Acceptor bool
}

// Proto is the configuration as a message.
func (c Configuration) Proto() *messages.Configuration {
	m := &messages.Configuration{Epoch: c.Epoch}
	for _, of := range c.Members {
		m.Members = append(m.Members, &messages.Member{
			Id: of.ID, Name: of.Name, Replica: of.Replica, Leader: of.Leader, Acceptor: of.Acceptor,
		})
	}
	return m
}

// ConfigurationOf is the configuration of a message.
func ConfigurationOf(m *messages.Configuration) Configuration {
	c := Configuration{Epoch: m.GetEpoch()}
	for _, of := range m.GetMembers() {
		c.Members = append(c.Members, Member{
			ID: of.GetId(), Name: of.GetName(), Replica: of.GetReplica(), Leader: of.GetLeader(), Acceptor: of.GetAcceptor(),
		})
	}
	return c
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

package actors

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

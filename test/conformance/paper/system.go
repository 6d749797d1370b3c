package paper

import "fmt"

// Size is how large a system is, and with that what bounds its exploration. A process
// takes no turn that would leave the bounds, which no other process can tell from one
// that crashed or from a message that was lost: what is explored are exactly the runs
// of the paper's unbounded system that stay within.
type Size struct {
	Configurations []Configuration // of leaders and acceptors; the first one rules first
	Replicas       int             // 0: none; the leaders are given Propose at the start
	Window         int             // WINDOW
	Slots          int             // a replica proposes for no slot above
	Clients        [][]Op          // what each client wants, one after the other
	Propose        [][]Entry       // without replicas: what each leader is asked
}

// Configuration is how many leaders and acceptors there are.
type Configuration struct {
	Rounds    []int // of each leader: it begins ballots of rounds below this; none: Consensus in place of all
	Acceptors int
}

// System is what the explorer explores.
type System struct {
	Processes []Process
	Alike     []Set[ID] // each a set of processes whose names could be exchanged
	Acceptors []Set[ID] // of each configuration
	Commands  Set[Command]
	Replicas  Set[ID]
	Rounds    map[ID]int                         // each leader begins ballots of rounds below this
	Slots     int                                // no replica proposes for a slot above
	Eager     bool                               // silent turns are steps like any other: see turn
	Deaf      func(Process, Message) bool        // see System.deaf
	Turn      func(p Process, e *Env, m Message) // one turn of p: Process.Receive, or a faulty one
}

func leaderID(n int) ID   { return ID(fmt.Sprintf("leader %d", n)) }
func acceptorID(n int) ID { return ID(fmt.Sprintf("acceptor %d", n)) }
func replicaID(n int) ID  { return ID(fmt.Sprintf("replica %d", n)) }
func clientID(n int) ID   { return ID(fmt.Sprintf("client %d", n)) }

// ids lists the names from first to last.
func ids(name func(int) ID, first, last int) (all Set[ID]) {
	for n := first; n <= last; n++ {
		all = all.With(name(n))
	}
	return all
}

// NewSystem builds the system of a size.
func NewSystem(size Size) System {
	s := System{
		Replicas: ids(replicaID, 1, max(size.Replicas, 1)),
		Rounds:   make(map[ID]int),
		Slots:    size.Slots,
		Turn:     func(p Process, e *Env, m Message) { p.Receive(e, m) },
	}
	s.Deaf = s.deaf
	s.addReplicas(size, s.addConfigurations(size))
	s.addClients(size)
	return s
}

// Within tells whether a process's variables are within bounds.
func (s *System) Within(p Process) bool {
	switch p := p.(type) {
	case *Leader:
		return p.BallotNum.Round < s.Rounds[p.ID]
	case *Replica:
		return p.SlotIn <= s.Slots+1
	}
	return true
}

// addConfigurations adds leaders and acceptors, and returns the leaders of each
// configuration.
func (s *System) addConfigurations(size Size) (leaders []Set[ID]) {
	var lastLeader, lastAcceptor int
	for _, c := range size.Configurations {
		acceptors := ids(acceptorID, lastAcceptor+1, lastAcceptor+c.Acceptors)
		for _, id := range acceptors.List() {
			s.Processes = append(s.Processes, &Acceptor{ID: id})
		}
		first := lastLeader + 1
		for _, n := range c.Rounds {
			lastLeader++
			s.Rounds[leaderID(lastLeader)] = n
			s.Processes = append(s.Processes, NewLeader(lastLeader, acceptors, s.Replicas))
		}
		if len(c.Rounds) == 0 {
			lastLeader++
			s.Processes = append(s.Processes, &Consensus{ID: leaderID(lastLeader), Replicas: s.Replicas})
		}
		lastAcceptor += c.Acceptors
		leaders = append(leaders, ids(leaderID, first, lastLeader))
		s.Acceptors = append(s.Acceptors, acceptors)
		s.Alike = append(s.Alike, acceptors)
	}
	return leaders
}

func (s *System) addReplicas(size Size, leaders []Set[ID]) {
	if size.Replicas == 0 {
		s.addListener(size)
		return
	}
	for _, id := range s.Replicas.List() {
		s.Processes = append(s.Processes, NewReplica(id, size.Window, leaders))
	}
	s.Alike = append(s.Alike, s.Replicas)
}

func (s *System) addClients(size Size) {
	for i, ops := range size.Clients {
		s.Processes = append(s.Processes, &Client{Number: i + 1, Replicas: s.Replicas, Ops: ops})
		for n, op := range ops {
			s.Commands = s.Commands.With(Command{i + 1, n + 1, op})
		}
	}
}

func (s *System) addListener(size Size) {
	l := &Listener{ID: replicaID(1)}
	for i, entries := range size.Propose {
		for _, e := range entries {
			l.Proposes = append(l.Proposes, Letter{leaderID(i + 1), Propose{e}})
			s.Commands = s.Commands.With(e.Command)
		}
	}
	s.Processes = append(s.Processes, l)
}

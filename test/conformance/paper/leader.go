package paper

import (
	"maps"
	"slices"
)

// Leader is the process of Fig. 7, leader(acceptors, replicas).
type Leader struct {
	ID                  ID
	Acceptors, Replicas Set[ID]

	BallotNum Ballot
	Active    bool
	Proposals map[int]Command // by slot; never changed in place
}

// NewLeader is l. 1, but for the scout.
func NewLeader(number int, acceptors, replicas Set[ID]) *Leader {
	return &Leader{
		ID: leaderID(number), Acceptors: acceptors, Replicas: replicas,
		BallotNum: Ballot{0, number},
	}
}

// Start is the rest of l. 1.
func (l *Leader) Start(env *Env) { l.spawnScout(env) }

// Receive is l. 2–7.
func (l *Leader) Receive(env *Env, m Message) {
	switch m := m.(type) {
	case Propose: // l. 2
		if _, taken := l.Proposals[m.Entry.Slot]; taken {
			return
		}
		l.Proposals = over(l.Proposals, map[int]Command{m.Entry.Slot: m.Entry.Command}) // l. 3
		if l.Active {
			l.spawnCommander(env, m.Entry)
		}
	case Adopted: // l. 4
		if m.Ballot != l.BallotNum {
			return
		}
		l.Proposals = over(l.Proposals, pmax(m.PValues)) // l. 5
		l.spawnCommanders(env)
		l.Active = true
	case Preempted: // l. 6
		if m.Ballot.Above(l.BallotNum) { // l. 7
			l.Active = false
			l.BallotNum = Ballot{m.Ballot.Round + 1, l.BallotNum.Leader}
			l.spawnScout(env)
		}
	}
}

func (l *Leader) spawnScout(env *Env) {
	env.Spawn(&Scout{Leader: l.ID, Acceptors: l.Acceptors, Ballot: l.BallotNum})
}

func (l *Leader) spawnCommander(env *Env, e Entry) {
	env.Spawn(&Commander{
		Leader: l.ID, Acceptors: l.Acceptors, Replicas: l.Replicas,
		PValue: PValue{l.BallotNum, e},
	})
}

func (l *Leader) spawnCommanders(env *Env) {
	for _, slot := range slices.Sorted(maps.Keys(l.Proposals)) {
		l.spawnCommander(env, Entry{slot, l.Proposals[slot]})
	}
}

// pmax is for each slot in a set of pvalues the command of that with the highest ballot.
func pmax(pvalues Set[PValue]) map[int]Command {
	highest := make(map[int]PValue)
	for _, v := range pvalues.List() {
		if h, ok := highest[v.Slot]; !ok || v.Ballot.Above(h.Ballot) {
			highest[v.Slot] = v
		}
	}
	commands := make(map[int]Command)
	for slot, v := range highest {
		commands[slot] = v.Command
	}
	return commands
}

// over is x ◁ y: y, and what x has for slots that y lacks.
func over(x, y map[int]Command) map[int]Command {
	sum := make(map[int]Command)
	maps.Copy(sum, x)
	maps.Copy(sum, y)
	return sum
}

// Self is the paper's self().
func (l *Leader) Self() ID { return l.ID }

// Copy copies the variables.
func (l *Leader) Copy() Process { c := *l; return &c }

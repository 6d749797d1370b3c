package paper

import "encoding/binary"

// judge applies the invariants to every state. Those of acceptors depend on the
// acceptors of one configuration alone, and those of replicas on the replicas: what was
// judged once is remembered by what the invariants see of these processes.
type judge struct {
	groups []group
	seen   map[string]bool // witnesses met in states
}

// group is what a number of invariants are about.
type group struct {
	members    Set[ID]
	invariants []invariant[View]
	commands   Set[Command]
	places     []int
	verdicts   map[string]*Broken
}

func newJudge(s System) judge {
	j := judge{seen: make(map[string]bool)}
	add := func(members Set[ID], invariants []invariant[View]) {
		j.groups = append(j.groups, group{
			members: members, invariants: invariants, commands: s.Commands, verdicts: make(map[string]*Broken),
		})
	}
	for _, acceptors := range s.Acceptors {
		add(acceptors, ofAcceptors)
	}
	add(s.Replicas, ofReplicas)
	return j
}

// judgeState returns the first invariant that a state breaks.
func (j *judge) judgeState(x *locals, s state) *Broken {
	for i := range j.groups {
		if err := j.groups[i].judge(x, s, j.seen); err != nil {
			return err
		}
	}
	return nil
}

func (g *group) judge(x *locals, s state, seen map[string]bool) *Broken {
	if g.places == nil {
		for _, id := range g.members.List() {
			g.places = append(g.places, x.place(id))
		}
	}
	var key []byte
	for _, place := range g.places {
		key = binary.AppendUvarint(key, uint64(x.locals[s[place]].view))
	}
	if verdict, ok := g.verdicts[string(key)]; ok {
		return verdict
	}
	view := g.view(x, s)
	verdict := firstBroken(g.invariants, view)
	g.verdicts[string(key)] = verdict
	for name, shows := range viewWitnesses {
		seen[name] = seen[name] || shows(view)
	}
	return verdict
}

// view puts together what the invariants of a group see.
func (g *group) view(x *locals, s state) View {
	v := View{Commands: g.commands}
	for _, place := range g.places {
		l := x.locals[s[place]]
		switch p := l.process.(type) {
		case *Acceptor:
			v.Acceptors = append(v.Acceptors, p)
		case *Replica:
			v.Replicas = append(v.Replicas, p)
			v.Decided = v.Decided.Union(p.Decisions)
		}
		for _, i := range l.inbox {
			switch m := x.messages.all[i].(type) {
			case P2A:
				v.Commanded = v.Commanded.With(m.PValue)
			case Decision:
				v.Decided = v.Decided.With(m.Entry)
			}
		}
	}
	return v
}

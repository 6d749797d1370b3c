package paper

// renaming is one way to exchange names of processes that are alike, which makes of a
// state another one with the same future. Of all the states that can be made of each
// other only one is explored. It remembers what it makes of each local.
type renaming struct {
	names map[ID]ID
	from  []int // by place: the place whose local comes here
	to    []int // by local: 1 + the local renamed, 0: not known yet
}

func newRenaming(names map[ID]ID, places map[ID]int) renaming {
	r := renaming{names: names, from: make([]int, len(places))}
	for id, place := range places {
		r.from[places[r.as(id)]] = place
	}
	return r
}

// as is the new name.
func (r *renaming) as(id ID) ID {
	if to, ok := r.names[id]; ok {
		return to
	}
	return id
}

// source is the place whose local comes to a place. What is spawned keeps its place.
func (r *renaming) source(place int) int {
	if place < len(r.from) {
		return r.from[place]
	}
	return place
}

// renamed returns the local in which names are exchanged.
func (x *locals) renamed(number int, r *renaming) int {
	if number < len(r.to) && r.to[number] != 0 {
		return r.to[number] - 1
	}
	to := 0
	if l := x.locals[number]; l != nil {
		var inbox []int
		for _, m := range l.inbox {
			inbox = append(inbox, x.messages.number(renameMessage(x.messages.all[m], r.as)))
		}
		to = x.intern(renameProcess(l.process, r.as), l.exited, inbox)
	}
	for len(r.to) <= number {
		r.to = append(r.to, 0)
	}
	r.to[number] = 1 + to
	return to
}

// canonical is the key of a state and of all that renaming makes of it: the least of
// theirs. A renaming is given up at the first place where it is more than the least.
func (x *locals) canonical(s state) string {
	least := make(state, len(s))
	for i := range s {
		least[i] = x.renamed(s[i], &x.renamings[0])
	}
	for k := range x.renamings[1:] {
		r := &x.renamings[k+1]
		less := false
		for i := range s {
			number := x.renamed(s[r.source(i)], r)
			if !less && number > least[i] {
				break
			}
			less = less || number < least[i]
			if less {
				least[i] = number
			}
		}
	}
	return encode(least)
}

// renameProcess returns p under another name and with other acceptors answering it.
// Sets of all acceptors or all replicas of a configuration stay what they are.
func renameProcess(p Process, as func(ID) ID) Process {
	switch p := p.Copy().(type) {
	case *Replica:
		p.ID = as(p.ID)
		return p
	case *Acceptor:
		p.ID = as(p.ID)
		return p
	case *Scout:
		p.Waitfor = renameAll(p.Waitfor, as)
		return p
	case *Commander:
		p.Waitfor = renameAll(p.Waitfor, as)
		return p
	default:
		return p
	}
}

// renameMessage returns m from another acceptor.
func renameMessage(m Message, as func(ID) ID) Message {
	switch m := m.(type) {
	case P1B:
		m.Acceptor = as(m.Acceptor)
		return m
	case P2B:
		m.Acceptor = as(m.Acceptor)
		return m
	}
	return m
}

func renameAll(ids Set[ID], as func(ID) ID) (renamed Set[ID]) {
	for id := range ids {
		renamed = renamed.With(as(id))
	}
	return renamed
}

// permutations lists every way to exchange names within sets of processes that are
// alike, which is how to rename one state into another that has the same future. The
// first one leaves all as it is.
func permutations(alike []Set[ID]) []map[ID]ID {
	all := []map[ID]ID{{}}
	for _, set := range alike {
		var more []map[ID]ID
		for _, p := range all {
			for _, order := range orders(set.List()) {
				next := make(map[ID]ID)
				for id, to := range p {
					next[id] = to
				}
				for i, id := range set.List() {
					next[id] = order[i]
				}
				more = append(more, next)
			}
		}
		all = more
	}
	return all
}

// orders lists the orders of ids, the given one first.
func orders(ids []ID) [][]ID {
	if len(ids) == 0 {
		return [][]ID{nil}
	}
	var all [][]ID
	for i, first := range ids {
		rest := append(append([]ID(nil), ids[:i]...), ids[i+1:]...)
		for _, order := range orders(rest) {
			all = append(all, append([]ID{first}, order...))
		}
	}
	return all
}

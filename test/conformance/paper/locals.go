package paper

import (
	"fmt"
	"maps"
	"slices"
)

// A local is one process's part of a state: its variables, and the messages sent to it
// so far, delivered or not, less those that it is deaf to. Locals are numbered as they
// are found, so that a state of the system is one small number for each process, and
// what a turn does is worked out once for each local and looked up ever after: that is
// what lets the figures be written as plainly as they are.
type local struct {
	process Process
	exited  bool // it hears nothing any more
	inbox   []int
	view    int // the number of what invariants see of it

	singles []single
	turns   []turn
	worked  bool        // singles are worked out
	grouped bool        // turns are worked out
	after   map[int]int // the local that it becomes when a message is sent to it
}

// locals numbers processes (as places in a state), messages, and locals.
type locals struct {
	system    System
	places    map[ID]int
	names     []ID
	messages  numbered[Message]
	locals    []*local
	byText    map[string]int
	views     map[string]int
	renamings []renaming
	seen      map[string]bool // witnesses met in turns
}

func newLocals(s System) *locals {
	x := &locals{
		system: s,
		places: make(map[ID]int), byText: make(map[string]int), views: make(map[string]int),
		messages: numbered[Message]{byText: make(map[string]int)},
		locals:   []*local{nil}, // 0 is a process that was not spawned yet
		seen:     make(map[string]bool),
	}
	for _, p := range s.Processes {
		x.place(p.Self())
	}
	for _, names := range permutations(s.Alike) {
		x.renamings = append(x.renamings, newRenaming(names, x.places))
	}
	return x
}

// numbered numbers things that differ in any field.
type numbered[T any] struct {
	all    []T
	byText map[string]int
}

func (n *numbered[T]) number(x T) int {
	text := fmt.Sprintf("%#v", x) // all fields, and maps in the order of their keys
	if i, ok := n.byText[text]; ok {
		return i
	}
	n.all = append(n.all, x)
	n.byText[text] = len(n.all) - 1
	return len(n.all) - 1
}

// place returns where in a state a process stands.
func (x *locals) place(id ID) int {
	if i, ok := x.places[id]; ok {
		return i
	}
	x.names = append(x.names, id)
	x.places[id] = len(x.names) - 1
	return len(x.names) - 1
}

// intern numbers a local. What exited has nothing left but its name.
func (x *locals) intern(p Process, exited bool, inbox []int) int {
	var text string
	if exited {
		text, inbox = "exited "+string(p.Self()), nil
	} else {
		slices.Sort(inbox)
		text = fmt.Sprint(variables(p), inbox)
	}
	if i, ok := x.byText[text]; ok {
		return i
	}
	l := &local{process: p, exited: exited, inbox: inbox, after: make(map[int]int)}
	l.view = x.viewOf(l)
	x.locals = append(x.locals, l)
	x.byText[text] = len(x.locals) - 1
	return len(x.locals) - 1
}

// viewOf numbers what invariants see of a local: some variables, and of the messages sent
// to it those that say what commanders and decisions there were.
func (x *locals) viewOf(l *local) int {
	var told Set[string]
	for _, i := range l.inbox {
		switch m := x.messages.all[i].(type) {
		case P2A:
			told = told.With(m.String())
		case Decision:
			if r, ok := l.process.(*Replica); !ok || !r.Decisions.Has(m.Entry) {
				told = told.With(m.String())
			}
		}
	}
	text := fmt.Sprint(visible(l.process), told)
	if _, ok := x.views[text]; !ok {
		x.views[text] = len(x.views)
	}
	return x.views[text]
}

// delivered returns the local that another one becomes when m is sent to it.
func (x *locals) delivered(number, m int) int {
	l := x.locals[number]
	if l.exited {
		return number
	}
	if next, ok := l.after[m]; ok {
		return next
	}
	next := number
	if !slices.Contains(l.inbox, m) && !x.system.Deaf(l.process, x.messages.all[m]) {
		next = x.intern(l.process, false, append(slices.Clone(l.inbox), m))
	}
	l.after[m] = next
	return next
}

// become returns the local of p after a turn of l, without what p is now deaf to.
func (x *locals) become(l *local, p Process, exited bool) int {
	inbox := slices.DeleteFunc(slices.Clone(l.inbox), func(m int) bool {
		return x.system.Deaf(p, x.messages.all[m])
	})
	return x.intern(p, exited, inbox)
}

// variables is what of a process can differ between two states, and its name.
func variables(p Process) any {
	switch p := p.(type) {
	case *Replica:
		return []any{p.ID, p.Leaders, p.State, p.SlotIn, p.SlotOut, p.Requests, p.Proposals, p.Decisions}
	case *Acceptor:
		return []any{p.ID, p.BallotNum, p.Accepted}
	case *Leader:
		return []any{p.ID, p.BallotNum, p.Active, slices.Sorted(maps.Keys(p.Proposals)), p.Proposals}
	case *Scout:
		return []any{p.Self(), p.Waitfor, p.PValues}
	case *Commander:
		return []any{p.Self(), p.Waitfor}
	case *Client:
		return []any{p.Self(), p.Cid, p.Answers}
	case *Consensus:
		return []any{p.ID, p.Decided}
	}
	return []any{p.Self()}
}

// visible is what of a process the invariants of states look at.
func visible(p Process) any {
	switch p := p.(type) {
	case *Replica:
		return []any{p.ID, p.State, p.SlotIn, p.SlotOut, p.Decisions}
	case *Acceptor:
		return []any{p.ID, p.BallotNum, p.Accepted}
	}
	return nil
}

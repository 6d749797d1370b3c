package paper

import (
	"maps"
	"slices"
)

// A state is the number of each process's local, in the order of places. Places behind
// the last are of processes not spawned yet.
type state []int

// Result is what an exploration found.
type Result struct {
	States      int
	Transitions int
	Depth       int             // messages delivered on the longest of all shortest ways to a state
	Cut         bool            // there were more states than the limit: nothing is proved
	Seen        map[string]bool // which witnesses were met
	Violation   *Violation      // nil if all invariants hold
}

// Violation is a broken invariant and a shortest way to it.
type Violation struct {
	Invariant string
	Why       string
	Trace     []string // the messages delivered, in order
}

// explorer is a search by depth, which is the number of messages delivered: no way to a
// violation is shorter than the one that it reports.
type explorer struct {
	*locals
	judge

	found   map[string]int // states by key
	keys    []string
	parents []int
	depths  []int
	queue   [][]int // by depth, the states to go on from
	suspect *suspect
	result  Result
}

// suspect is a violation than which there may still be a shorter one.
type suspect struct {
	parent, depth int
	last          state
	byTurn        bool // the last turn broke an invariant, and not the last state
}

// Explore visits every state that s can reach, unless there are more than limit, and
// stops at the first that breaks an invariant.
func Explore(s System, limit int) Result {
	x := newExplorer(s)
	x.run(limit)
	return x.result
}

func newExplorer(s System) *explorer {
	return &explorer{locals: newLocals(s), judge: newJudge(s), found: make(map[string]int)}
}

// run is the search.
func (x *explorer) run(limit int) {
	x.visit(x.initial(), -1, 0)
	for depth := 0; depth < len(x.queue) && !x.result.Cut; depth++ {
		if x.suspect != nil && x.suspect.depth <= depth {
			x.result.Violation = x.violation()
			break
		}
		x.result.Depth = depth
		x.expandAll(depth, limit)
	}
	x.result.States = len(x.keys)
	x.result.Seen = maps.Clone(x.locals.seen)
	maps.Copy(x.result.Seen, x.judge.seen)
}

// expandAll visits what follows the states of one depth.
func (x *explorer) expandAll(depth, limit int) {
	for _, i := range x.queue[depth] {
		if len(x.keys) > limit {
			x.result.Cut = true
			return
		}
		if x.depths[i] == depth { // else a shorter way was found meanwhile
			x.expand(i)
		}
	}
	x.queue[depth] = nil
}

// expand visits what follows a state.
func (x *explorer) expand(i int) {
	from := decode(x.keys[i])
	for _, step := range x.steps(from) {
		x.result.Transitions++
		depth := x.depths[i] + len(step.turn.messages)
		if step.turn.broken != nil {
			x.accuse(suspect{i, depth, step.to, true})
			continue
		}
		x.visit(step.to, i, depth)
	}
}

// visit notes a state if it is new, or if this is a shorter way to it.
func (x *explorer) visit(s state, parent, depth int) {
	key := x.canonical(s)
	i, known := x.found[key]
	if known && x.depths[i] <= depth {
		return
	}
	if known {
		x.parents[i], x.depths[i] = parent, depth
	} else {
		i = len(x.keys)
		x.found[key] = i
		x.keys, x.parents, x.depths = append(x.keys, key), append(x.parents, parent), append(x.depths, depth)
	}
	x.reach(depth)
	x.queue[depth] = append(x.queue[depth], i)
	if x.judgeState(x.locals, s) != nil {
		x.accuse(suspect{parent, depth, s, false})
	}
}

// accuse notes a violation, if it is the shortest so far.
func (x *explorer) accuse(s suspect) {
	if x.suspect == nil || s.depth < x.suspect.depth {
		x.suspect = &s
		x.reach(s.depth)
	}
}

// reach makes the queue long enough for a depth.
func (x *explorer) reach(depth int) {
	for len(x.queue) <= depth {
		x.queue = append(x.queue, nil)
	}
}

// initial is the state in which every process has started and no message was delivered.
func (x *explorer) initial() state {
	var s state
	var sent []Letter
	for queue := slices.Clone(x.system.Processes); len(queue) > 0; queue = queue[1:] {
		p := queue[0].Copy()
		env := &Env{}
		p.Start(env)
		sent = append(sent, env.sent...)
		queue = append(queue, env.spawned...)
		s = s.with(x.place(p.Self()), x.intern(p, false, nil))
	}
	for _, l := range sent {
		place := x.place(l.To)
		s[place] = x.delivered(s[place], x.messages.number(l.Message))
	}
	return s
}

// with returns s in which one process has another local.
func (s state) with(place, local int) state {
	next := make(state, max(len(s), place+1))
	copy(next, s)
	next[place] = local
	return next
}

// step is a turn that changes the state.
type step struct {
	place int // whose turn it is
	turn  *turn
	to    state
}

// steps lists what can happen in a state: any message that was sent to a process is
// delivered to it, whether or not it was delivered before. A message that is lost is
// one that is never delivered, and a process that crashed is one that has no turn any
// more: neither needs a step of its own. A turn after which all is as before is none,
// and one that does no more than end a process is a crash.
func (x *explorer) steps(from state) []step {
	var all []step
	for place, number := range from {
		if number == 0 {
			continue
		}
		turns := x.turnsOf(number)
		for i := range turns {
			t := &turns[i]
			to := x.apply(from, place, t)
			same := slices.Equal(to[:place], from[:place]) && slices.Equal(to[place+1:], from[place+1:])
			if nothing := same && (t.exits || t.after == number); !nothing || t.broken != nil {
				all = append(all, step{place, t, to})
			}
		}
	}
	return all
}

// apply is the state after a turn.
func (x *explorer) apply(from state, place int, t *turn) state {
	to := from.with(place, t.after)
	for _, s := range t.spawned {
		to = to.with(s.place, s.local)
	}
	for _, d := range t.sent {
		to[d.place] = x.delivered(to[d.place], d.message)
	}
	return to
}

// encode writes three bytes a place.
func encode(s state) string {
	key := make([]byte, 0, 3*len(s))
	for _, n := range s {
		key = append(key, byte(n>>16), byte(n>>8), byte(n))
	}
	return string(key)
}

func decode(key string) state {
	s := make(state, len(key)/3)
	for i := range s {
		s[i] = int(key[3*i])<<16 | int(key[3*i+1])<<8 | int(key[3*i+2])
	}
	return s
}

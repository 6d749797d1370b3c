package paper

import (
	"fmt"
	"slices"
	"strings"
)

// violation is the shortest violation there is, with the way to it. The search keeps
// states with names exchanged, so the way is walked again from the start: at each state
// towards one that has the key of the next.
func (x *explorer) violation() *Violation {
	keys := []string{x.canonical(x.suspect.last)}
	for i := x.suspect.parent; i > 0; i = x.parents[i] {
		keys = append([]string{x.keys[i]}, keys...)
	}
	w := x.newWalk()
	for _, key := range keys[:len(keys)-1] {
		w.take(func(s step) bool { return s.turn.broken == nil && x.canonical(s.to) == key })
	}
	err := w.take(func(s step) bool {
		return (s.turn.broken != nil) == x.suspect.byTurn && x.canonical(s.to) == keys[len(keys)-1]
	})
	return &Violation{Invariant: err.Invariant, Why: err.Why, Trace: w.lines}
}

// walk is a way through the states, told as one line for each message delivered.
type walk struct {
	*explorer
	now     state
	senders map[delivery]ID // who sent a message first
	lines   []string
}

func (x *explorer) newWalk() *walk {
	w := &walk{explorer: x, now: x.initial(), senders: make(map[delivery]ID)}
	for _, p := range x.system.Processes {
		env := &Env{}
		p.Copy().Start(env)
		w.note(p.Self(), env)
	}
	return w
}

// take goes on by a step that fits, and returns what it breaks.
func (w *walk) take(fits func(step) bool) *Broken {
	steps := w.steps(w.now)
	s := steps[slices.IndexFunc(steps, fits)]
	for _, m := range s.turn.messages {
		w.lines = append(w.lines, fmt.Sprintf("%s → %s  %s",
			w.senders[delivery{s.place, m}], w.names[s.place], w.messages.all[m]))
	}
	w.note(w.names[s.place], s.turn.env)
	w.now = s.to
	if s.turn.broken != nil {
		return s.turn.broken
	}
	return w.judgeState(w.locals, s.to)
}

// note remembers what a process sent, and what those sent that it spawned.
func (w *walk) note(who ID, env *Env) {
	for _, l := range env.sent {
		d := delivery{w.place(l.To), w.messages.number(l.Message)}
		if _, ok := w.senders[d]; !ok {
			w.senders[d] = who
		}
	}
	for _, child := range env.spawned {
		started := &Env{}
		child.Copy().Start(started)
		w.note(child.Self(), started)
	}
}

// String prints the messages delivered, then what they led to.
func (v *Violation) String() string {
	return strings.Join(append(slices.Clone(v.Trace), v.Invariant+" is broken: "+v.Why), "\n")
}

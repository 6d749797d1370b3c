package paper

import (
	"fmt"
	"slices"
)

// A single is what one message does to one local.
type single struct {
	message int
	after   int // the local that it becomes
	exits   bool
	silent  bool
	sent    []delivery
	spawned []spawning
	broken  *Broken // the invariant that the turn itself broke
	env     *Env
}

// A turn is one step of one local: messages are delivered that nobody but the process
// itself notices, and then one that is noticed.
//
// That is the reduction that saves most. A turn that sends nothing and changes nothing
// that invariants look at, like a scout's when it hears the first of three acceptors, can
// be postponed until right before the next turn of the same process that is not silent:
// no other process can tell, as a message once sent can always still be delivered. So
// silent turns are taken only as the beginning of such a turn.
type turn struct {
	single
	messages []int // all that are delivered, in order
}

type delivery struct{ place, message int }

type spawning struct{ place, local int }

// turnsOf lists the turns of a local.
func (x *locals) turnsOf(number int) []turn {
	first := x.locals[number]
	if first.grouped {
		return first.turns
	}
	first.grouped = true
	same := make(map[string]bool)
	reached := map[int]bool{number: true}
	type way struct {
		local    int
		messages []int
	}
	for ways := []way{{local: number}}; len(ways) > 0; ways = ways[1:] {
		for _, s := range x.singlesOf(ways[0].local) {
			messages := append(slices.Clone(ways[0].messages), s.message)
			if s.silent && s.broken == nil && !x.system.Eager {
				if !reached[s.after] {
					reached[s.after] = true
					ways = append(ways, way{s.after, messages})
				}
				continue
			}
			if text := fmt.Sprint(s.after, s.sent, s.spawned, s.broken); !same[text] {
				same[text] = true
				first.turns = append(first.turns, turn{single: s, messages: messages})
			}
		}
	}
	return first.turns
}

// singlesOf lists what each message does to a local, for every choice that it has.
func (x *locals) singlesOf(number int) []single {
	l := x.locals[number]
	if l.worked {
		return l.singles
	}
	l.worked = true
	for _, m := range l.inbox {
		for choices := []int{}; choices != nil; {
			env := &Env{choices: choices}
			p := l.process.Copy()
			x.system.Turn(p, env, x.messages.all[m])
			choices = env.nextChoices()
			if x.system.Within(p) {
				l.singles = append(l.singles, x.single(number, m, p, env))
			}
		}
	}
	return l.singles
}

// single is the turn of a local to p on m, with what it did to the world.
func (x *locals) single(number, m int, p Process, env *Env) single {
	l := x.locals[number]
	s := single{message: m, after: x.become(l, p, env.exited), exits: env.exited, env: env}
	sent := slices.Clone(env.sent)
	for _, child := range env.spawned {
		started := &Env{}
		child.Start(started)
		sent = append(sent, started.sent...)
		s.spawned = append(s.spawned, spawning{x.place(child.Self()), x.intern(child, false, nil)})
	}
	for _, letter := range sent {
		s.sent = append(s.sent, delivery{x.place(letter.To), x.messages.number(letter.Message)})
	}
	s.silent = !s.exits && len(s.sent) == 0 && len(s.spawned) == 0 && x.locals[s.after].view == l.view
	change := Change{l.process, p, x.messages.all[m], sent}
	s.broken = firstBroken(ofChanges, change)
	for name, shows := range changeWitnesses {
		x.seen[name] = x.seen[name] || shows(change)
	}
	return s
}

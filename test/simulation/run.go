package simulation

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/test/conformance"
)

// Run runs the cluster of a seed: first under faults, in which nothing may go wrong,
// then with a core of nodes that nothing happens to, in which all must go right.
func Run(seed uint64, o Options) *World {
	nodes, faults := settings(seed, o)
	if o.Change != nil {
		o.Change(&faults)
	}
	w := NewWorld(seed, nodes, faults)
	referee := conformance.New(conformance.Options{})
	w.Observe = func(e actors.Event) {
		if o.Observe != nil {
			o.Observe(w.Now, e)
		}
		if b := referee.Judge(e); b != nil {
			w.broken("%v", b)
		}
	}
	if o.Tell != nil {
		w.Tell = func(fault string) { o.Tell(w.Now, fault) }
	}
	w.tell("seed %d: %d nodes, %+v", seed, nodes, w.Faults)
	for _, n := range w.Nodes {
		n.Start()
	}
	for round := range orElse(o.Rounds, 16) {
		if len(w.Broken) > 0 {
			break // nothing happens any more
		}
		w.Run(w.draw(12 * tick))
		w.trouble()
		if w.Stretches && round%stretchEvery == stretchEvery-1 {
			w.stretch()
		}
	}
	if len(w.Broken) == 0 {
		w.converge()
	}
	if err := referee.Finish(); err != nil && len(w.Broken) == 0 && !w.stillborn {
		w.broken("%v", err)
	}
	w.Counts["judged"] += int(referee.Counts().Events)
	return w
}

// patience is the bound on the time in which clients must have their answers after faults.
const patience = 1000 * tick

// converge ends the faults, takes away as many nodes as may fail, and wants the others
// to answer all that they were asked and to hold the same.
func (w *World) converge() {
	w.calm()
	for i := 0; i < 2 || i < 8 && w.isShort(); i++ { // who was removed and added again needs a second start
		for _, n := range w.Nodes {
			if !n.up {
				n.restart()
			}
		}
		w.Run(30 * tick)
	}
	if w.stillborn && w.isShort() || slices.ContainsFunc(w.inForce(), func(c actors.Configuration) bool { return w.lostOf(c) > mayFail(c) }) {
		w.Counts["stillborn"]++
		return // nothing is promised: its operator has to begin anew, or a change that was under way needs who was lost meanwhile
	}
	w.settle()
	w.loseMinority()
	w.Run(20 * tick)
	for _, n := range w.Nodes {
		n.Client.Stop()
	}
	for end := w.Now + patience; w.Now < end && !w.isQuiet(); {
		w.Run(5 * tick)
	}
	if len(w.Broken) == 0 {
		w.check()
	}
}

// isShort tells whether a member that lost nothing does not take part.
func (w *World) isShort() bool {
	c := w.newest().latest()
	return slices.ContainsFunc(c.Members, func(m actors.Member) bool {
		n := w.nodeOf(actors.ReplicaAddr(m.Name))
		return !w.lost[m.ID] && (!n.takesPart() || n.member().ID != m.ID)
	})
}

// calm ends all faults.
func (w *World) calm() {
	w.tell("the faults end")
	w.Loss, w.Repeat, w.Late, w.Panic, w.BadSync, w.BadRead, w.Delay = 0, 0, 0, 0, 0, 0, min(w.Delay, tick/5)
	w.Heal()
	for _, n := range w.Nodes {
		n.slow = 0
		n.thaw()
	}
}

// overtaken is how many slots may be executed, one by one, at the side of a client that
// waits for one command: what this bounds is a few dozen.
const overtaken = 200

// settle wants what was asked for to be answered while clients go on: no command starves
// behind later ones. A change of configuration, too, must come to its end: before that,
// it is not said how many nodes may fail.
func (w *World) settle() {
	asked, behind := make(map[*Client][]uint64), make(map[*Client]int)
	for _, n := range w.Nodes {
		if n.up {
			behind[n.Client] = int(w.ahead() - n.state.Out)
			asked[n.Client], n.state.executed = slices.Sorted(maps.Keys(n.Client.open)), 0
		}
	}
	waits := func(n *Node) bool {
		return n.takesPart() && n.member().Replica && !w.mayBeLate(n) && slices.ContainsFunc(asked[n.Client], func(seq uint64) bool { return n.Client.open[seq] != nil })
	}
	changes := func(n *Node) bool {
		return w.mayForget() && n.takesPart() && n.member().ID != 0 && (len(n.epochs) > 1 || n.latest().Epoch != w.newest().latest().Epoch)
	}
	w.idle = w.Threads > 4 // many clients are faster than the small chunks by which others catch up
	end := w.Now + patience
	for len(w.Broken) == 0 && slices.ContainsFunc(w.Nodes, func(n *Node) bool { return waits(n) || changes(n) }) {
		w.Run(5 * tick)
		for _, n := range w.Nodes {
			switch {
			case waits(n) && (n.state.executed > overtaken+behind[n.Client] && !w.idle || w.Now > end):
				w.broken("liveness: a command of %s starves, which has executed %d slots meanwhile:%s", n.name, n.state.executed, n.view())
			case changes(n) && w.Now > end:
				w.broken("liveness: a change of configuration does not come to its end: %v:%s", n.epochs, n.view())
			}
		}
	}
}

// mayForget tells whether f+1 replicas of each configuration take part: before the slots of
// one are on their disks, it must not end (S5).
func (w *World) mayForget() bool {
	return !slices.ContainsFunc(w.inForce(), func(c actors.Configuration) bool {
		keepers := 0
		for _, m := range c.Members {
			keepers += one(m.Replica && w.nodeOf(actors.ReplicaAddr(m.Name)).takesPart() && !w.lost[m.ID])
		}
		return keepers <= mayFail(c)
	})
}

// mayBeLate tells whether a node fetches a snapshot, while f+1 others do not: here states
// grow for as long as clients go on, and so little is kept for those who lag that what the
// snapshot lacks may be gone when it has come. Of what f+1 do not have, acceptors keep all (S5).
func (w *World) mayBeLate(n *Node) bool {
	left := w.replicas()
	late := slices.DeleteFunc(slices.Clone(left), func(n *Node) bool { return !n.restores() })
	return len(left)-len(late) > mayFail(w.newest().latest()) && slices.Contains(late, n)
}

// loseMinority crashes f members for good.
func (w *World) loseMinority() {
	c := w.newest().latest()
	for range mayFail(c) - w.lostOf(c) {
		m := c.Members[w.rng.IntN(len(c.Members))]
		if n := w.nodeOf(actors.ReplicaAddr(m.Name)); n.takesPart() && len(n.epochs) == 1 {
			n.Crash()
		}
	}
}

// isQuiet tells whether all that lives has been answered and has executed the same.
func (w *World) isQuiet() bool {
	left := w.replicas()
	return !slices.ContainsFunc(left, func(n *Node) bool { return n.Client.waits() || n.state.Out != left[0].state.Out })
}

// newest is a node that knows the last configuration.
func (w *World) newest() *Node {
	return slices.MaxFunc(w.Nodes, func(a, b *Node) int { return int(a.latest().Epoch) - int(b.latest().Epoch) })
}

// left are the live members of the last configuration.
func (w *World) left() (all []*Node) {
	c := w.newest().latest()
	for _, n := range w.Nodes {
		if _, member := c.Named(n.name); member && n.takesPart() {
			all = append(all, n)
		}
	}
	return all
}

// replicas are those of left that have one.
func (w *World) replicas() []*Node {
	return slices.DeleteFunc(w.left(), func(n *Node) bool { return !n.member().Replica })
}

// check looks at the end of a run.
func (w *World) check() {
	left := w.replicas()
	if len(left) == 0 || len(w.ackedOps) == 0 {
		w.broken("liveness: nothing was acknowledged: %v", w.Counts)
		return
	}
	first := left[0]
	for _, n := range left {
		if !slices.Equal(n.state.Log, first.state.Log) {
			w.broken("R3: %s and %s differ: %d and %d commands, slot_out %d and %d%s%s", first.name, n.name,
				len(first.state.Log), len(n.state.Log), first.state.Out, n.state.Out, first.view(), n.view())
		}
		if n.Client.waits() {
			w.broken("liveness: %d commands and %d reads of %s have no answer:%s", len(n.Client.open), len(n.Client.reads), n.name, n.view())
		}
	}
	sorted := slices.Sorted(slices.Values(first.state.Log))
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			w.broken("S6: %s was executed twice", sorted[i])
		}
	}
	for _, a := range w.ackedOps {
		if _, found := slices.BinarySearch(sorted, a); !found {
			w.broken("lost: %s was acknowledged", a)
			return
		}
	}
	if !w.history.isLinearizable(first.state.Log) {
		w.broken("S8: what clients saw is not linearizable")
	}
}

// Shrink finds out after how few rounds of trouble a failing seed fails, and which kinds
// of faults it does not need.
func Shrink(seed uint64) string {
	var needless []string
	for _, kind := range Kinds {
		if len(Run(seed, Options{Without: []string{kind}}).Broken) > 0 {
			needless = append(needless, kind)
		}
	}
	for rounds := 1; rounds < 30; rounds++ {
		if w := Run(seed, Options{Rounds: rounds}); len(w.Broken) > 0 {
			return fmt.Sprintf("%d rounds of trouble are enough: %s; it fails, too, without %q", rounds, w.Broken[0], needless)
		}
	}
	return fmt.Sprintf("it takes all rounds of trouble; it fails, too, without %q", needless)
}

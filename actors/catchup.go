package actors

import (
	"maps"
	"slices"

	"github.com/pmmc-go/pmmc/messages"
)

// This file is how a replica that misses decisions gets them: from acceptors that
// know what was decided or are told so or, when they have forgotten it, in a snapshot of
// another replica's state (§4), which is in snapshots.go.

// lag is what a replica knows of its own.
type lag struct {
	started  bool            // the acceptor beside it has told what it knows
	executed map[Addr]uint64 // slots below this are executed by another replica …
	durable  map[Addr]uint64 // … and on disk
	short    map[Addr]bool   // whose disks have less room than they should
	heard    map[Addr]int    // the tick at which it said so
	seen     uint64          // slot_out at the last tick
	stuck    int             // ticks in which slot_out stood still though it should not
	asked    int             // questions, to ask another one each time …
	fetches  int             // … and snapshots, counted apart: several questions go before each

	ran    runs   // under which ballots the last slots that this replica executed were decided
	told   runs   // and those that it misses, as another replica says, …
	teller string // … whose member this is, until it is asked again
	toldAt uint64 // slot_out when it said so
	turn   int    // acceptors that were asked with what it said, to ask another one each time

	fetch   *fetch            // the snapshot that is coming
	serving map[Addr]*serving // the snapshots that are going out, by their readers
}

// Patience, in ticks.
const (
	stuckPatience    = 2  // before a gap is looked into: the decision may be on its way
	startPatience    = 20 // before it does without the acceptor beside it
	snapshotPatience = 40 // before decrees that nobody tells are fetched in a snapshot: it may be long, and an answer slow
)

func (r *Replica) catchUpAtStart(env Env) {
	if r.isNew() {
		return // what is decided means nothing without the state before it
	}
	if me, _ := r.epochs.at(r.slotOut).Member(r.ID); me.Acceptor {
		r.askFor(env, me.Name)
		return
	}
	r.started(env)
}

// isNew tells whether this replica is a new member's: it needs a snapshot first.
func (r *Replica) isNew() bool { return r.slotOut < r.epochs[0].First }

// started ends the look at the acceptor beside this replica: now the leader beside
// it may know where the log begins.
func (r *Replica) started(env Env) {
	r.lag.started = true
	r.tellLeaders(env)
}

// askFor asks the acceptor of a member what was decided from slot_out on, with what this
// replica was told of that. A member that has no acceptor, though its replica is ahead, is
// asked what it can tell.
func (r *Replica) askFor(env Env, member string) {
	c, to := r.epochs.at(r.slotOut), ReplicaAddr(member)
	m := &messages.CatchUp{From: string(env.Self()), Slot: r.slotOut}
	if named, _ := c.Named(member); named.Acceptor {
		to, m.Runs = AcceptorAddr(member, c.Epoch), r.lag.told.from(r.slotOut)
	}
	env.Send(to, m)
}

// runsKept is for how many runs a replica can tell under which ballots they were decided.
const runsKept = 64

// noteRun notes under which ballot a slot was decided that is executed.
func (r *Replica) noteRun(v *messages.PValue) {
	r.lag.ran.learn(&messages.DecidedRun{Ballot: v.Ballot, First: v.Slot, Below: v.Slot + 1})
	if n := len(r.lag.ran); n > runsKept {
		r.lag.ran = slices.Delete(r.lag.ran, 0, n-runsKept)
	}
}

// onCatchUp answers a replica that lags, which asks this one because no acceptor is beside
// it: the decrees are with the acceptors, which do not know them to be decided.
func (r *Replica) onCatchUp(env Env, m *messages.CatchUp) {
	from := Addr(m.From)
	if r.lag.ran.of(m.Slot) != nil && slices.Contains(r.epochs.addresses(Configuration.Replicas), from) {
		env.Send(from, &messages.CaughtUp{From: string(env.Self()), Slot: m.Slot, Runs: r.lag.ran.from(m.Slot)})
	}
}

// onTold takes what another replica says of the slots that this one misses, and asks an
// acceptor for the decrees.
func (r *Replica) onTold(env Env, m *messages.CaughtUp) {
	told := runs(m.Runs).from(r.slotOut)
	if len(told) == 0 || !r.isBehind() {
		return
	}
	r.lag.told, r.lag.teller, r.lag.toldAt = told, Addr(m.From).Member(), r.slotOut
	r.lag.turn++
	acceptors := r.epochs.at(r.slotOut).Acceptors()
	r.askFor(env, acceptors[r.lag.turn%len(acceptors)].Member())
}

// onCaughtUp executes what an acceptor knows, and asks on.
func (r *Replica) onCaughtUp(env Env, m *messages.CaughtUp) {
	if len(m.Runs) > 0 {
		r.onTold(env, m)
		return
	}
	before := r.slotOut
	for _, v := range m.Decided {
		if v.GetSlot() == r.slotOut {
			r.onDecision(env, v)
		}
	}
	from := Addr(m.From).Member()
	switch {
	case r.slotOut > before && (!r.lag.started || r.isBehind()):
		r.askFor(env, from)
	case !r.lag.started && from == r.Name:
		r.started(env)
	case r.lag.teller != "" && r.slotOut > r.lag.toldAt && r.isBehind():
		teller := r.lag.teller
		r.lag.teller = ""
		r.askFor(env, teller) // of what was decided since
	case m.Forgotten > r.slotOut && r.slotOut == before:
		r.beginFetch(env)
	}
}

// isBehind tells whether another replica has executed slot_out.
func (r *Replica) isBehind() bool {
	for _, executed := range r.lag.executed {
		if executed > r.slotOut {
			return true
		}
	}
	return false
}

// lookForGaps asks for what is missing when slot_out stands still.
func (r *Replica) lookForGaps(env Env) {
	r.lookAtSnapshots(env)
	moved := r.slotOut > r.lag.seen
	r.lag.seen = r.slotOut
	behind := r.isBehind()
	switch {
	case r.isNew():
		r.beginFetch(env)
	case !r.lag.started && r.ticks > startPatience:
		r.started(env) // the acceptor is of an epoch that is over, and lives no more
	case !r.lag.started:
		r.catchUpAtStart(env) // the question or its answer was lost
	case moved || !behind && !r.hasGap() || r.lag.fetch != nil && r.lives(r.lag.fetch.from):
		r.lag.stuck = 0
	default:
		r.lag.stuck++
		r.closeGap(env, behind)
	}
}

// hasGap reports whether slot_out is to be decided, or was: a later slot is decided, or a
// read waits for a slot that the leader knows of.
func (r *Replica) hasGap() bool {
	return len(r.decisions)+len(r.named) > 0 || len(r.reads.marks) > 0
}

func (r *Replica) closeGap(env Env, behind bool) {
	if r.lag.stuck >= stuckPatience && !slices.ContainsFunc(r.ahead(), r.lives) {
		// No live replica executed slot_out. Its proposer may be down, or its decision was
		// lost. A no-op makes the leader propose, or tell its decision again.
		r.send(env, r.slotOut, &proposal{decree: noop}, true)
	}
	switch {
	case r.lag.stuck < stuckPatience || !behind:
	case r.lag.stuck > snapshotPatience:
		r.beginFetch(env)
	default:
		if ahead := r.ahead(); len(ahead) > 0 {
			r.lag.asked++
			r.askFor(env, ahead[r.lag.asked%len(ahead)].Member())
		}
	}
}

// lives reports whether a replica was heard lately.
func (r *Replica) lives(a Addr) bool { return r.ticks-r.lag.heard[a] <= livePatience }

// ahead lists the replicas that have executed slot_out.
func (r *Replica) ahead() []Addr {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(r.lag.executed)), func(a Addr) bool {
		return r.lag.executed[a] <= r.slotOut
	})
}

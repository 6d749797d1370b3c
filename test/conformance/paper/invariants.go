package paper

import (
	"fmt"
	"strings"
)

// View is what invariants see of a state.
type View struct {
	Acceptors []*Acceptor // of one configuration
	Commanded Set[PValue] // what commanders were spawned for with these acceptors
	Replicas  []*Replica
	Decided   Set[Entry] // every decision that was sent
	Commands  Set[Command]
}

// Change is what invariants see of a turn.
type Change struct {
	Before, After Process
	Message       Message
	Sent          []Letter
}

// Broken is what is wrong with a state or a turn.
type Broken struct{ Invariant, Why string }

// invariant is a sentence of the paper, and how to see that it does not hold: why is
// empty if it does.
type invariant[T any] struct {
	name string
	why  func(T) string
}

// The invariants of a turn, of the acceptors of one configuration, and of the replicas.
var (
	ofChanges = []invariant[Change]{
		{"A1", increasingBallots}, {"A2", acceptsUnderItsBallot}, {"A3", dropsNothing},
		{"R4", slotsMoveForward}, {"Once proposed", proposesOncePerSlot}, {"One answer", answersAlike},
	}
	ofAcceptors = []invariant[View]{
		{"A4", oneCommandPerBallot}, {"A5", majorityLasts}, {"C1", oneCommander}, {"C2", commandersFollow},
	}
	ofReplicas = []invariant[View]{
		{"R1", oneDecisionPerSlot}, {"R2", nothingUndecidedBelow}, {"R3", equalStates}, {"R5", withinWindow},
		{"Once executed", executesOnce}, {"Requested", decidesRequests},
	}
)

// firstBroken returns the first invariant that does not hold.
func firstBroken[T any](invariants []invariant[T], x T) *Broken {
	for _, i := range invariants {
		if why := i.why(x); why != "" {
			return &Broken{i.name, why}
		}
	}
	return nil
}

// increasingBallots is A1: an acceptor adopts only strictly increasing ballots.
func increasingBallots(c Change) string {
	before, ok := c.Before.(*Acceptor)
	if !ok {
		return ""
	}
	after := c.After.(*Acceptor)
	if before.BallotNum.Above(after.BallotNum) {
		return fmt.Sprintf("%s went from ballot %s back to %s", after.ID, before.BallotNum, after.BallotNum)
	}
	return ""
}

// acceptsUnderItsBallot is A2: an acceptor adds ⟨b, s, c⟩ only under ballot_num = b.
func acceptsUnderItsBallot(c Change) string {
	before, ok := c.Before.(*Acceptor)
	if !ok {
		return ""
	}
	for _, v := range c.After.(*Acceptor).Accepted.List() {
		if !before.Accepted.Has(v) && v.Ballot != before.BallotNum {
			return fmt.Sprintf("%s accepted %s under ballot %s", before.ID, v, before.BallotNum)
		}
	}
	return ""
}

// dropsNothing is A3: an acceptor drops nothing that it accepted.
func dropsNothing(c Change) string {
	before, ok := c.Before.(*Acceptor)
	if !ok {
		return ""
	}
	for _, v := range before.Accepted.List() {
		if !c.After.(*Acceptor).Accepted.Has(v) {
			return fmt.Sprintf("%s dropped %s", before.ID, v)
		}
	}
	return ""
}

// slotsMoveForward is R4: a replica's slots only move forward.
func slotsMoveForward(c Change) string {
	before, ok := c.Before.(*Replica)
	if !ok {
		return ""
	}
	after := c.After.(*Replica)
	if after.SlotIn < before.SlotIn || after.SlotOut < before.SlotOut {
		return fmt.Sprintf("%s went from slots %d, %d back to %d, %d", after.ID,
			before.SlotIn, before.SlotOut, after.SlotIn, after.SlotOut)
	}
	return ""
}

// proposesOncePerSlot is what Fig. 1 l. 5–8 is for: a replica proposes one command for a
// slot, and none for a slot that it knows to be decided.
func proposesOncePerSlot(c Change) string {
	before, ok := c.Before.(*Replica)
	if !ok {
		return ""
	}
	after := c.After.(*Replica)
	proposed := make(map[int]Command)
	for e := range before.Proposals {
		proposed[e.Slot] = e.Command
	}
	for _, l := range c.Sent {
		m, ok := l.Message.(Propose)
		if !ok {
			continue
		}
		e := m.Entry
		if d, decided := at(after.Decisions, e.Slot); decided {
			return fmt.Sprintf("%s proposed %s though %s is decided", after.ID, e, d)
		}
		if other, twice := proposed[e.Slot]; e.Slot < before.SlotIn || twice && other != e.Command {
			return fmt.Sprintf("%s proposed %s, a second command for the slot", after.ID, e)
		}
		proposed[e.Slot] = e.Command
	}
	return ""
}

// answersAlike is what a client sees of R3: all answers to one command are the same.
func answersAlike(c Change) string {
	client, ok := c.After.(*Client)
	if !ok {
		return ""
	}
	results := make(map[int]string)
	for _, a := range client.Answers.List() {
		if other, ok := results[a.Cid]; ok && other != a.Result {
			return fmt.Sprintf("%s was told %q and %q of command %d", client.Self(), other, a.Result, a.Cid)
		}
		results[a.Cid] = a.Result
	}
	return ""
}

// oneCommandPerBallot is A4: two acceptors that accepted for the same ballot and slot
// accepted the same command.
func oneCommandPerBallot(v View) string {
	var all Set[PValue]
	for _, a := range v.Acceptors {
		all = all.Union(a.Accepted)
	}
	return conflicting("accepted", all)
}

// oneCommander is C1: for any ballot and slot at most one commander, hence one command.
func oneCommander(v View) string { return conflicting("commanded", v.Commanded) }

// conflicting finds two commands for one ballot and slot.
func conflicting(what string, pvalues Set[PValue]) string {
	first := make(map[PValue]PValue) // by ballot and slot
	for _, v := range pvalues.List() {
		place := PValue{v.Ballot, Entry{Slot: v.Slot}}
		if w, ok := first[place]; ok {
			return fmt.Sprintf("%s and %s were both %s", w, v, what)
		}
		first[place] = v
	}
	return ""
}

// majorityLasts is A5: once a majority accepted ⟨b, s, c⟩, whatever is accepted for s
// under a higher ballot is c.
func majorityLasts(v View) string {
	for _, a := range v.Acceptors {
		if why := v.contradictsMajority(a.Accepted, "accepted by "+string(a.ID)); why != "" {
			return why
		}
	}
	return ""
}

// commandersFollow is C2: once a majority accepted ⟨b, s, c⟩, any commander for s under a
// higher ballot has c.
func commandersFollow(v View) string { return v.contradictsMajority(v.Commanded, "commanded") }

// contradictsMajority finds a pvalue that differs from what a majority accepted for its
// slot under a lower ballot.
func (v View) contradictsMajority(pvalues Set[PValue], what string) string {
	for _, chosen := range v.chosen().List() {
		for _, w := range pvalues.List() {
			if w.Slot == chosen.Slot && w.Ballot.Above(chosen.Ballot) && w.Command != chosen.Command {
				return fmt.Sprintf("%s was %s though a majority accepted %s", w, what, chosen)
			}
		}
	}
	return ""
}

// chosen is what a majority accepted.
func (v View) chosen() (chosen Set[PValue]) {
	count := make(map[PValue]int)
	for _, a := range v.Acceptors {
		for w := range a.Accepted {
			if count[w]++; 2*count[w] > len(v.Acceptors) {
				chosen = chosen.With(w)
			}
		}
	}
	return chosen
}

// oneDecisionPerSlot is R1: no two different commands are decided for one slot.
func oneDecisionPerSlot(v View) string {
	first := make(map[int]Entry) // by slot
	for _, e := range v.Decided.List() {
		if d, ok := first[e.Slot]; ok {
			return fmt.Sprintf("%s and %s were both decided", d, e)
		}
		first[e.Slot] = e
	}
	return ""
}

// nothingUndecidedBelow is R2: all commands up to slot_out are decided, at each replica.
func nothingUndecidedBelow(v View) string {
	for _, r := range v.Replicas {
		for slot := 1; slot < r.SlotOut; slot++ {
			if _, ok := at(r.Decisions, slot); !ok {
				return fmt.Sprintf("%s is at slot_out %d, and knows no decision for %d", r.ID, r.SlotOut, slot)
			}
		}
	}
	return ""
}

// equalStates is R3: equal slot_out, equal state.
func equalStates(v View) string {
	for i, r := range v.Replicas {
		for _, q := range v.Replicas[:i] {
			if r.SlotOut == q.SlotOut && r.State != q.State {
				return fmt.Sprintf("at slot_out %d, %s has state %q and %s %q", r.SlotOut, q.ID, q.State, r.ID, r.State)
			}
		}
	}
	return ""
}

// withinWindow is R5: slot_in ≤ slot_out + WINDOW.
func withinWindow(v View) string {
	for _, r := range v.Replicas {
		if r.SlotIn > r.SlotOut+r.Window {
			return fmt.Sprintf("%s is at slot_in %d, slot_out %d, with WINDOW %d", r.ID, r.SlotIn, r.SlotOut, r.Window)
		}
	}
	return ""
}

// executesOnce is what Fig. 1 l. 10 is for: a command decided in two slots is executed
// in the first alone. Each command of a system appends a letter of its own.
func executesOnce(v View) string {
	for _, r := range v.Replicas {
		for _, c := range v.Commands.List() {
			if !c.Op.Reconfigures() && strings.Count(r.State, c.Op.Letter) > 1 {
				return fmt.Sprintf("%s executed %s twice: %q", r.ID, c, r.State)
			}
		}
	}
	return ""
}

// decidesRequests: what is decided is what some client asked for.
func decidesRequests(v View) string {
	for _, e := range v.Decided.List() {
		if !v.Commands.Has(e.Command) {
			return fmt.Sprintf("%s was decided, and no client sent it", e)
		}
	}
	return ""
}

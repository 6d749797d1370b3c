package conformance

import (
	"fmt"
	"math/bits"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// epoch is a configuration, and how its acceptors are counted.
type epoch struct {
	actors.Configuration
	index    map[actors.Addr]int
	majority int
}

// acceptorSet is a set of acceptors of one epoch, by their index.
type acceptorSet uint64

func (s acceptorSet) size() int { return bits.OnesCount64(uint64(s)) }

// with returns s with an acceptor added; who is not of the configuration is not
// counted (S12).
func (e *epoch) with(s acceptorSet, a actors.Addr) acceptorSet {
	if i, ok := e.index[a]; ok {
		s |= 1 << i
	}
	return s
}

func (e *epoch) has(s acceptorSet, a actors.Addr) bool {
	i, ok := e.index[a]
	return ok && s&(1<<i) != 0
}

// isMajority tells whether a set of acceptors is a majority (S12).
func (e *epoch) isMajority(set acceptorSet) bool { return set.size() >= e.majority }

// keepers is how many replicas must have a slot on disk before it may be forgotten:
// f+1 of 2f+1 acceptors.
func (e *epoch) keepers() int { return min((len(e.index)-1)/2+1, len(e.Replicas())) }

// epochAt is the epoch of a slot, as far as it is known: that of the configuration
// decided at or below s − WINDOW (S3). It is nil for a slot of an epoch that is over.
func (r *Referee) epochAt(slot uint64) *epoch {
	for i := len(r.epochs) - 1; i >= 0; i-- {
		if r.epochs[i].First <= slot {
			return r.epochs[i]
		}
	}
	return nil
}

func (r *Referee) latest() *epoch { return r.epochs[len(r.epochs)-1] }

// epochNumbered finds an epoch by its number.
func (r *Referee) epochNumbered(number uint64) *epoch {
	for _, e := range r.epochs {
		if e.Epoch == number {
			return e
		}
	}
	return nil
}

// configure begins an epoch.
func (r *Referee) configure(c actors.Configuration) {
	e := &epoch{Configuration: c, index: make(map[actors.Addr]int), majority: len(c.Acceptors())/2 + 1}
	r.epochs = append(r.epochs, e)
	for _, m := range c.Members {
		if former, ok := r.named[m.ID]; ok && former != m.Name {
			r.wire.former[m.Name] = former
		}
		r.named[m.ID] = m.Name
	}
	for i, a := range c.Acceptors() {
		e.index[a] = i
		r.acceptors[a] = newAcceptor(a, e)
	}
	for _, a := range c.Replicas() {
		m, _ := c.Named(a.Member())
		if r.replicas[a] == nil {
			r.replicas[a] = &replica{self: a, id: m.ID, slotOut: 1}
		}
	}
	for _, a := range c.Leaders() {
		m, _ := c.Named(a.Member())
		r.leaders[a] = &leader{self: a, member: m, epoch: e}
	}
}

// knows judges S3 for what a node says to be in force: it is what was decided.
func (r *Referee) knows(o *messages.Opened) {
	for _, m := range o.Configurations {
		c := actors.ConfigurationOf(m)
		known := r.epochNumbered(c.Epoch)
		switch {
		case known != nil && !proto.Equal(m, known.Proto()):
			r.breaks("S3", fmt.Sprintf("this node knows another epoch %d than was decided", c.Epoch))
		case known == nil && (len(r.epochs) == 0 || !r.whole):
			r.configure(c)
		case known == nil && c.Epoch > r.latest().Epoch:
			r.breaks("S3", fmt.Sprintf("this node knows of an epoch %d that nobody decided", c.Epoch))
		}
	}
}

// isEarly tells whether a node, or a role, begins by a configuration that is not decided
// yet, in the order in which merged traces are judged.
func (r *Referee) isEarly(e actors.Event) bool {
	var known uint64 // the latest epoch
	if len(r.epochs) > 0 {
		known = r.latest().Epoch
	}
	switch {
	case !r.whole:
		return false // it may have been decided before the traces begin
	case e.Kind == actors.Opened:
		o, _ := e.Message.(*messages.Opened)
		late := r.nodes[string(e.Self)] == nil && starts(o) > 1 // what was before is not known
		return !late && slices.ContainsFunc(o.GetConfigurations(), func(c *messages.Configuration) bool {
			return c.Epoch > max(known, 1) // the first one is the founders'
		})
	case e.Kind != actors.Restored && e.Kind != actors.Started:
		return false
	case e.Self == actors.ReplicaAddr(e.Self.Member()):
		return r.replicas[e.Self] == nil
	}
	number, ok := e.Self.Epoch()
	return ok && number > known
}

// reconfigures is what executing a reconfiguration comes to: whether it is accepted,
// by the paper: one at a time, WINDOW slots ahead, and made from the last one.
func (r *Referee) reconfigures(slot uint64, c actors.Configuration) bool {
	last := r.latest()
	if last.First > slot || c.Follows(last.Configuration) != nil {
		return false
	}
	c.First, c.Window, c.LastID = slot+last.Window, last.Window, last.LastID
	for _, m := range c.Members {
		c.LastID = max(c.LastID, m.ID)
	}
	r.configure(c)
	return true
}

// over tells whether nobody can speak of an epoch's slots any more: f+1 replicas of its
// successor said that they have all of them on disk.
func (r *Referee) over(i int) bool {
	if i+1 == len(r.epochs) {
		return false
	}
	next, keep := r.epochs[i+1], 0
	for _, a := range next.Replicas() {
		if rep := r.replicas[a]; rep != nil && rep.durable >= next.First { // nil where a member of that name was replaced
			keep++
		}
	}
	return keep >= next.keepers()
}

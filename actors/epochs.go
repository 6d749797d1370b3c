package actors

import (
	"slices"

	"github.com/pmmc-go/pmmc/messages"
)

// This file is a replica's side of S3: which configuration governs which slot, how a
// decree replaces it, and when the one before is needed no more.

// epochs are the configurations of a state, oldest first: at most two, the one that
// governs and its predecessor or successor. A third is decided only when the first is
// no longer needed.
type epochs []Configuration

func epochsOf(all []*messages.Configuration) (e epochs) {
	for _, m := range all {
		e = append(e, ConfigurationOf(m))
	}
	return e
}

// at is the configuration that governs a slot (S3).
func (e epochs) at(slot uint64) Configuration {
	i := len(e) - 1
	for i > 0 && e[i].First > slot {
		i--
	}
	return e[i]
}

func (e epochs) latest() Configuration { return e[len(e)-1] }

// leaver is the member with a number if it is in the earlier configuration only, or "".
func (e epochs) leaver(id uint32) string {
	if len(e) < 2 {
		return ""
	}
	if _, stays := e[1].Member(id); stays {
		return ""
	}
	m, _ := e[0].Member(id)
	return m.Name
}

func (e epochs) proto() (all []*messages.Configuration) {
	for _, c := range e {
		all = append(all, c.Proto())
	}
	return all
}

// addresses lists, once each, what of lists for the configurations.
func (e epochs) addresses(of func(Configuration) []Addr) (all []Addr) {
	for _, c := range e {
		for _, a := range of(c) {
			if !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	return all
}

// reconfigure is what executing a reconfiguration at a slot does: the configuration
// governs from WINDOW slots later on, for no replica has proposed there yet (S4). The
// result says why it was refused, on every replica alike, or is empty.
func (r *Replica) reconfigure(slot uint64, m *messages.Configuration) []byte {
	last := r.epochs.latest()
	next := ConfigurationOf(m)
	next.First = slot + last.Window
	next.Window, next.LastID, next.Origin = last.Window, last.LastID, last.Origin
	if last.First > slot {
		return []byte("the configuration decided before it does not govern yet")
	}
	if err := next.Follows(last); err != nil {
		return []byte(err.Error())
	}
	for _, m := range next.Members {
		next.LastID = max(next.LastID, m.ID)
	}
	r.epochs = epochs{last, next}
	r.unsaved = true
	r.chain.retain(last.Replicas())
	return nil
}

// farewell is the answer to a command of a member that is leaving.
type farewell struct {
	member      string
	incarnation uint64
	answer      *messages.Answer
}

// bidFarewell answers for the replicas of members that are leaving, which hear of no
// slot of the new configuration: what their clients had asked for may be decided there.
func (r *Replica) bidFarewell(env Env, slot uint64, parting []farewell) {
	for _, f := range parting {
		env.Send(ClientAddr(f.member), &messages.Response{
			From: string(env.Self()), Slot: slot, Answers: []*messages.Answer{f.answer}, Incarnation: f.incarnation,
		})
	}
}

// changedEpochs are the epochs, if the state does not have them yet.
func (r *Replica) changedEpochs() []*messages.Configuration {
	if !r.unsaved {
		return nil
	}
	r.unsaved = false
	return r.epochs.proto()
}

// needed are the epochs whose roles must live: not one of which all slots are executed
// and on disk at f+1 replicas of its successor, which answer for them from then on. Replicas
// that leave do not count: one of them may be down for ever.
func (r *Replica) needed() epochs {
	if len(r.epochs) < 2 {
		return r.epochs
	}
	next, keepers := r.epochs[1], 0
	for _, a := range next.Replicas() {
		if r.durableAt(a) >= next.First {
			keepers++
		}
	}
	if keepers < next.keepers() {
		return r.epochs
	}
	return r.epochs[1:]
}

func (r *Replica) durableAt(a Addr) uint64 {
	if a == ReplicaAddr(r.Name) {
		return r.durable
	}
	return r.lag.durable[a]
}

// isUntimely tells whether a command would reconfigure too early. Its client asks
// again.
func (r *Replica) isUntimely(c *messages.Command) bool {
	return c.Configuration != nil && len(r.needed()) > 1
}

// fillWindow proposes no-ops while a reconfiguration waits and no client speaks: it is
// to govern soon. One replica does, so that they do not contend; the next one takes over when
// slot_out stands still (L1).
func (r *Replica) fillWindow(env Env) {
	first := r.epochs.latest().First
	if r.slotIn >= first || !r.isOnDuty(env) {
		return
	}
	for ; r.slotIn < first && r.mayPropose(); r.slotIn++ {
		if !r.isDecided(r.slotIn) {
			p := &proposal{decree: noop}
			r.proposals[r.slotIn] = p
			r.send(env, r.slotIn, p, false)
		}
	}
}

// duty is how long the window that waits to be filled has stood still.
type duty struct {
	slotOut uint64 // at the last tick
	ticks   int    // it has stood still …
	longest int    // … and the most that it did
}

// fillPatience is how many ticks the next replica waits for the one before it to fill the
// window.
const fillPatience = 10

// noteDuty counts the ticks in which slot_out stands still while a reconfiguration waits.
func (r *Replica) noteDuty() {
	d := &r.duty
	switch {
	case r.slotOut >= r.epochs.latest().First:
		*d = duty{}
	case r.slotOut > d.slotOut:
		d.ticks = 0
	default:
		d.ticks++
	}
	d.slotOut, d.longest = r.slotOut, max(d.longest, d.ticks)
}

// isOnDuty reports whether this replica is to fill the window: the replica beside the leader
// in office at once, or the first one, and each further one after its patience.
func (r *Replica) isOnDuty(env Env) bool {
	order := r.epochs.at(r.slotIn).Replicas()
	if first := r.besideLeader(); first != "" {
		order = slices.DeleteFunc(order, func(a Addr) bool { return a == first })
		order = slices.Insert(order, 0, first)
	}
	place := slices.Index(order, env.Self())
	return place >= 0 && r.duty.longest >= place*fillPatience
}

// tellStewards tells the nodes of all members which epochs they have to run.
func (r *Replica) tellStewards(env Env) {
	if r.isNew() {
		return // it knows the last configuration only, not whether the one before is needed
	}
	needed := r.needed()
	news := len(needed) != r.toldEpochs.count || needed.latest().Epoch != r.toldEpochs.latest
	if news {
		r.toldEpochs = toldEpochs{count: len(needed), latest: needed.latest().Epoch}
	}
	r.toldEpochs.ticks++
	m := &messages.Configured{From: string(env.Self()), Configurations: needed.proto(), Heir: r.heir()}
	if news || r.ticks%quietTicks == 0 {
		env.Send(StewardAddr(r.Name), m)
	}
	if !news && (r.ticks%quietTicks != 0 || r.toldEpochs.ticks > farewellTicks) {
		return
	}
	for _, to := range r.epochs.addresses(Configuration.stewards) {
		if to != StewardAddr(r.Name) {
			env.Send(to, m)
		}
	}
}

// heir is the member whose leader is to run first in the latest epoch: the one in
// office before it, if it can.
func (r *Replica) heir() uint32 {
	latest := r.epochs.latest()
	if m, ok := latest.Member(r.offices[r.epochs[0].Epoch].Leader); ok && m.Leader {
		return m.ID
	}
	i := slices.IndexFunc(latest.Members, func(m Member) bool { return m.Leader })
	return latest.Members[i].ID
}

// toldEpochs is what the stewards were last told.
type toldEpochs struct {
	count  int
	latest uint64
	ticks  int // since
}

// farewellTicks is how long members hear of a change of configuration. Who was away
// hears of it when its node says hello.
const farewellTicks = 600

func (c Configuration) stewards() []Addr {
	return c.addresses(func(m Member) (Addr, bool) { return StewardAddr(m.Name), true })
}

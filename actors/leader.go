package actors

import (
	"cmp"
	"fmt"
	"maps"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// LeaderOptions are a leader's arguments. The figure's are in Configuration.
type LeaderOptions struct {
	ID            uint32 // whose ballots it uses: its member's number
	Configuration Configuration
	Eager         bool          // it runs at once if it never ran: its epoch begins, and nobody else will
	Tick          time.Duration // between two pings, and between two confirmations of its ballot
	Timeout       TimeoutOptions
	Resend        time.Duration // of its scouts and commanders
	DiskTimeout   time.Duration // without a write that the disk beside it completes, after which it gives up its office; 0 is never
	CatchUp       time.Duration // between two looks of a replica at what is missing: its Tick; 0 stands for Tick

	Lease time.Duration // for which it asks acceptors in office (S8); 0 for none …
	Drift float64       // … and by how much, of 1, any clock may be too fast or too slow
}

// standing is where a leader stands in its run for office.
type standing int

const (
	passive    standing = iota // somebody else is in office, or nobody known
	canvassing                 // asks the acceptors whether they miss the one in office, too
	recording                  // runs once its round is on disk; if somebody shows itself until then, it does not
	scouting                   // a scout of ballot is under way
	inOffice                   // the figure's active = true
)

// Leader is the process of Fig. 7. Its file holds the figure: proposals, scouts
// and commanders. When to run is in election.go, reads and the proof that it is
// still in office are in confirm.go.
type Leader struct {
	LeaderOptions
	ballot    Ballot // ballot_num
	standing  standing
	why       Reason  // of its standing, and of whom it takes to be in office
	acceptors []Addr  // of the configuration, as its commanders want them …
	replicas  []Addr  // … and its replicas
	proposals pvalues // by slot, from dropped on (§4.1)

	round    uint64   // the highest that may have been used, by this leader or before it (S2)
	writing  uint64   // a round of its own that this life has written and that is not on disk yet; 0 for none
	spare    uint64   // a round of its own that is on disk and that no scout said; 0 for none
	progress progress // of the replicas that answer for what is dropped
	known    uint64   // slots below this are executed by some replica, which may be down
	highest  uint64   // slot that was ever proposed or adopted here
	floor    uint64   // slots below this are forgotten: nothing may be proposed there (S5)

	// Proposals below dropped are dropped. Under one ballot it only grows: a second decree
	// for a slot would break C1. A new ballot begins at the first slot that may be missing.
	dropped uint64
	lacking int      // ticks in office for which slots below dropped have been missing
	adopted interval // slots that were adopted and have no commander yet

	election election
	office   office
	disk     disk
	released Ballot // its leader uses no lease any more and asks for a successor; ⊥ for none
}

// NewLeader returns a leader that has used no ballot. One that ran before must be
// given its rounds back with Restore.
func NewLeader(o LeaderOptions) *Leader {
	// Fig. 7 l. 1: a round is taken in run, above those on disk
	return &Leader{
		LeaderOptions: o,
		progress:      progressOf(o.Configuration, o.ID, livePatience*cmp.Or(o.CatchUp, o.Tick)),
		acceptors:     o.Configuration.Acceptors(),
		replicas:      o.Configuration.Replicas(),
		proposals:     make(pvalues),
		election:      election{timeout: newTimeout(o.Timeout)},
		office:        office{confirmedAt: make(map[Addr]int)},
	}
}

// Restore takes back the rounds that may have been used: S2, no ballot twice.
func (l *Leader) Restore(rec *messages.Record) {
	if k, ok := rec.Kind.(*messages.Record_Round); ok {
		l.round = max(l.round, k.Round)
	}
}

// Start is Fig. 7 before "for ever", but that the first scout waits like any
// other until the leader in office is missed (Divergence D8).
func (l *Leader) Start(env Env) {
	l.election.begin(env)
	l.listen(env) // Fig. 7 l. 1: the scout waits (Divergence D8)
	l.tellReplica(env)
	env.After(l.Tick, &messages.Tick{})
}

// Receive is the loop of Fig. 7.
func (l *Leader) Receive(env Env, m proto.Message) {
	switch m := m.(type) {
	case *messages.Propose:
		l.onPropose(env, m)
	case *messages.Recorded:
		l.onRecorded(env, m)
	case *messages.Promising:
		l.onPromising(m)
	case *messages.Adopted:
		l.onAdopted(env, m)
	case *messages.Preempted:
		l.onPreempted(env, BallotOf(m.Ballot))
	case *messages.Learned:
		l.onLearned(env, m)
	case *messages.Ping:
		l.onPing(env, m)
	case *messages.Pong:
		l.onPong(env, m)
	case *messages.Canvassed:
		l.onCanvassed(env, m)
	case *messages.Succeed:
		l.onSucceed(env, m)
	case *messages.Confirmed:
		l.onConfirmed(env, m)
	case *messages.Probed:
		l.onProbed(m)
	case *messages.ReadRequest:
		l.onReadRequest(env, m)
	case *messages.Tick:
		l.onTick(env)
		l.lookForLost(env)
	default:
		env.Refuse(m)
	}
}

// onPropose is Fig. 7, "⟨propose, s, c⟩". A slot that has a proposal keeps it.
//
// Divergence D14: the figure does nothing then. Here a commander that has ended is spawned
// again, for its decision may be lost; and what is not near is dropped.
func (l *Leader) onPropose(env Env, m *messages.Propose) { // Fig. 7 l. 2
	low := max(l.dropped, l.floor)
	if !fits(m.Decree) || m.Slot < low || m.Slot >= low+leadWindows*l.Configuration.Window {
		return
	}
	if _, ok := l.proposals[m.Slot]; !ok { // Fig. 7 l. 2
		if len(l.proposals) == 0 {
			l.office.progressed() // nothing waited so far
		}
		l.propose(m.Slot, m.Decree) // Fig. 7 l. 3
	}
	// Fig. 7 l. 3: and again (Divergence D14)
	if l.standing == inOffice {
		l.command(env, m.Slot)
	}
}

// leadWindows is how many windows ahead of its own replica a leader takes
// proposals: two replicas' windows can lie one apart; more is not memory well spent.
const leadWindows = 4

func (l *Leader) propose(slot uint64, decree []byte) {
	l.proposals[slot] = &messages.PValue{Slot: slot, Decree: decree}
	l.highest = max(l.highest, slot)
}

// command spawns the commander for ⟨ballot_num, s, c⟩, unless it lives. Its name
// says its ballot and slot, so that no two of them live at once (C1).
func (l *Leader) command(env Env, slot uint64) {
	v := l.proposals[slot]
	if BallotOf(v.Ballot) != l.ballot {
		v = &messages.PValue{Ballot: l.ballot.Proto(), Slot: slot, Decree: v.Decree}
		l.proposals[slot] = v
	}
	o := CommanderOptions{
		Leader:    env.Self(),
		Acceptors: l.acceptors,
		Replicas:  l.replicas,
		PValue:    v,
		Resend:    l.Resend,
	}
	name := fmt.Sprintf("commander-%d-%d", l.ballot.Round, slot)
	env.Spawn(name, func() Role { return NewCommander(o) }) // Fig. 7 l. 3
}

// onAdopted is Fig. 7, "⟨adopted, ballot_num, pvals⟩".
func (l *Leader) onAdopted(env Env, m *messages.Adopted) { // Fig. 7 l. 4
	if l.standing != scouting || BallotOf(m.Ballot) != l.ballot {
		return
	}
	// Fig. 7 l. 5: the scout has taken pmax already
	for _, v := range m.Accepted {
		l.propose(v.Slot, v.Decree)
	}
	// What acceptors forgot, enough replicas have on disk.
	l.floor = max(l.floor, m.Forgotten)
	low := max(l.dropped, l.floor)
	l.highest = max(l.highest, low-1)
	l.dropBelow(low)
	// S9: a slot that nobody proposed would block all later ones (Divergence D15).
	for slot := low; slot <= l.highest; slot++ {
		if _, ok := l.proposals[slot]; !ok {
			l.propose(slot, noop)
		}
	}
	l.adopted = interval{low, l.highest + 1}
	l.commandAdopted(env)
	l.takeOffice(env) // Fig. 7 l. 5
}

// onPreempted is Fig. 7, "⟨preempted, ⟨r′, λ′⟩⟩".
//
// Divergence D8: the figure runs again at once. Here the leader stays out while
// the preempting one is alive, and for longer after each duel (§3): after it was preempted
// while it ran, too. Who is preempted in office guessed nothing (L2): it asked for its
// successor, or stood still, or was cut off.
func (l *Leader) onPreempted(env Env, b Ballot) { // Fig. 7 l. 6
	l.round = max(l.round, b.Round)
	if b.Compare(l.ballot) <= 0 || (l.standing < scouting && b.Compare(l.election.ballot) <= 0) {
		return // a stray, or of the one that is recognised already
	}
	why := WhyElected
	if l.standing >= scouting {
		why = WhyPreempted
	}
	if l.standing == scouting && l.why == WhySilence {
		l.election.timeout.disturbed()
	}
	l.retire() // Fig. 7 l. 7
	l.recognise(env, b, why)
}

// onLearned drops the proposals that live replicas have executed.
func (l *Leader) onLearned(env Env, m *messages.Learned) {
	l.known = max(l.known, m.Executed)
	l.progress.hear(Addr(m.From), m.Executed, env.Now())
	if l.first() > l.dropped {
		l.dropped = l.first()
		l.office.progressed()
		l.dropBelow(l.dropped)
		l.commandAdopted(env)
	}
	if l.Eager && l.round == 0 && l.standing == passive && l.election.ballot == (Ballot{}) && l.first() > 0 {
		l.run(env, WhyEpoch)
	}
}

// first is the first slot of interest: those below are of another epoch, or executed at a
// live replica. It is 0 until that is known.
func (l *Leader) first() uint64 {
	if l.progress.first == 0 {
		return 0
	}
	return max(l.progress.first, l.Configuration.First)
}

func (l *Leader) dropBelow(low uint64) {
	maps.DeleteFunc(l.proposals, func(slot uint64, _ *messages.PValue) bool { return slot < low })
}

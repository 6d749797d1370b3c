package actors

import (
	"fmt"
	"time"

	"github.com/pmmc-go/pmmc/messages"
)

// This file decides when a leader runs for office (§3, S10). Nothing in it matters
// for safety: a leader may run at any time, and the worst is that two disturb each
// other.
//
// A passive leader pings the one in office, and all others when that one does not answer
// or is not known. When it has been silent for a while the leader asks the acceptors what
// they heard, goes on asking until the time-out is over, and runs if a majority heard
// nothing in between. So a node that only lost its own links, or comes back from
// isolation, disturbs nobody.

// election is what a passive leader knows of the one in office.
type election struct {
	timeout  timeout
	ballot   Ballot // of the one in office; ⊥ when none is known
	silent   int    // ticks since a sign of its life, or of another's in office
	limit    int    // how many are too many; drawn anew, with jitter, for each wait
	answered bool   // the last ping, by the one of ballot and nobody else
	laggard  uint64 // executed when it last stood back to catch up
	ran      Ballot // of the last scout, until it is adopted
	counted  uint64 // slots below this made the time-out shorter

	first  uint64                       // number of a canvass of this life; see begin
	ticks  uint64                       // since first; they number the canvasses
	before map[Addr]*messages.Canvassed // an acceptor's first answer of this canvass
	misses waitfor                      // who has not said that it misses the one in office
}

// minSpacing is how many ticks lie between two canvasses at the least: the one in
// office shows itself to acceptors once a tick.
const minSpacing = 3

// begin draws the number of the first canvass. The numbers of an earlier life do not come
// again but by a chance of 1 to 2⁴⁰, and then cost no more than an election: nothing that is
// safe rests on them.
func (e *election) begin(env Env) {
	e.first = env.Rand() >> 1
	e.ticks = e.first
}

// listen starts the wait for a sign of life anew.
func (l *Leader) listen(env Env) {
	e := &l.election
	e.silent = 0
	e.limit = int(jitter(env, l.Tick*time.Duration(e.timeout.ticks(l.Tick))) / l.Tick)
	if l.standing == canvassing || l.standing == recording {
		l.standing = passive
	}
}

// recognise takes note of who runs or is in office.
func (l *Leader) recognise(env Env, b Ballot, why Reason) {
	l.election.ballot, l.election.answered, l.why = b, true, why
	l.listen(env)
	l.tellReplica(env)
}

// tellReplica tells the replica beside this leader to whom requests should go and, in
// office, those that have no leader beside them. It does so at every tick, too: a
// replica may have restarted.
func (l *Leader) tellReplica(env Env) {
	for _, m := range l.Configuration.Members {
		if m.Replica && (m.ID == l.ID || (!m.Leader && l.standing == inOffice)) {
			env.Send(ReplicaAddr(m.Name), &messages.Office{
				From: string(env.Self()), Ballot: l.election.ballot.Proto(), Epoch: l.Configuration.Epoch,
			})
		}
	}
}

// onTick is the beat of a leader: a passive one listens, one in office shows itself.
func (l *Leader) onTick(env Env) {
	env.After(l.Tick, &messages.Tick{})
	l.tellReplica(env)
	l.disk.silent++
	l.adapt()
	if l.standing == inOffice {
		l.onOfficeTick(env)
		return
	}
	e := &l.election
	e.silent++
	e.ticks++
	l.ping(env)
	switch {
	case l.first() == 0:
		e.silent = 0 // its replica has not said where the log begins
	case l.standing == scouting && e.silent > 2*e.limit:
		// A majority answered the canvass: its answers to the scout take longer than that.
		if l.why == WhySilence {
			e.timeout.disturbed()
		}
		l.standing, l.why = passive, WhyNoMajority
		l.listen(env)
	case l.standing == recording && e.silent > 2*e.limit:
		l.why = WhyDisk
		l.listen(env)
	case l.standing == passive && e.silent >= max(1, e.limit-minSpacing):
		l.canvass(env)
	case l.standing == canvassing:
		l.poll(env)
		if e.silent > 4*e.limit {
			// No majority answers, and the one in office does not: nobody is known to be.
			l.round = max(l.round, e.ballot.Round)
			l.recognise(env, Ballot{}, WhyNoMajority)
		}
	}
}

// adapt makes the time-out shorter: for each slot that was executed since the last tick,
// and for a tick in which this leader is in office, or hears the one that is.
func (l *Leader) adapt() {
	e, first := &l.election, l.first()
	if e.counted > 0 && first > e.counted {
		e.timeout.decided(first - e.counted)
	}
	e.counted = max(e.counted, first)
	if l.standing == inOffice || e.answered && e.ballot != (Ballot{}) {
		e.timeout.rest()
	}
}

// ping asks the one that this leader takes to be in office whether it is, as long as that
// answers; else all others, who may be.
func (l *Leader) ping(env Env) {
	e := &l.election
	m, _ := l.Configuration.Member(e.ballot.Leader)
	answers := e.answered && m.Leader && m.ID != l.ID
	for _, other := range l.Configuration.Leaders() {
		if other != env.Self() && (!answers || other == LeaderAddr(m.Name, l.Configuration.Epoch)) {
			env.Send(other, &messages.Ping{From: string(env.Self())})
		}
	}
	e.answered = false
}

// canvass begins to ask whether others, too, miss the one in office.
func (l *Leader) canvass(env Env) {
	e := &l.election
	l.standing = canvassing
	e.before = make(map[Addr]*messages.Canvassed)
	e.misses = waitForAll(l.Configuration.Acceptors())
	l.disk.proven = false
	if own, beside := l.acceptorBeside(); beside {
		env.Send(own, &messages.Probe{From: string(env.Self())})
	}
	l.poll(env)
}

func (l *Leader) poll(env Env) {
	for _, a := range l.Configuration.Acceptors() {
		env.Send(a, &messages.Canvass{From: string(env.Self()), Number: l.election.ticks})
	}
}

// onCanvassed counts who misses the one in office: an acceptor that heard nothing
// of its ballot between the first question and a later one.
func (l *Leader) onCanvassed(env Env, m *messages.Canvassed) {
	e := &l.election
	if l.standing != canvassing {
		return
	}
	if m.Number < e.first || m.Number > e.ticks {
		return // the answer to an earlier life
	}
	from := Addr(m.From)
	before, ok := e.before[from]
	if !ok {
		e.before[from] = m
		return
	}
	if b := BallotOf(m.Ballot); b != BallotOf(before.Ballot) || before.Heard != m.Heard {
		// Somebody runs or is in office, though this leader does not hear it. To suspect that
		// one disturbed nobody, and so the time-out stays (L2), unless it was this leader's
		// own p1a that came late: the network is too slow for its runs.
		if e.ran != (Ballot{}) && b == e.ran {
			e.timeout.disturbed()
		}
		l.listen(env)
		return
	}
	l.round = max(l.round, m.Ballot.GetRound())
	l.known = max(l.known, m.Executed)
	if m.Number < before.Number+minSpacing || e.silent < e.limit {
		return
	}
	e.misses.remove(from)
	if e.misses.majorityAnswered() && l.diskProven() {
		l.runOrCatchUp(env)
	}
}

// runOrCatchUp runs for office, unless this leader's replica is far behind and
// catching up: it would have to decide again what others have executed.
func (l *Leader) runOrCatchUp(env Env) {
	if l.known > l.first()+l.Configuration.Window && l.first() != l.election.laggard {
		l.election.laggard = l.first()
		l.listen(env)
		return
	}
	l.run(env, WhySilence)
}

// run takes a round above all that were seen. It is on disk before a scout first says it
// (S2), and no scout waits for that: it would speak when the disk goes on, however late,
// and take the office from whoever came into it meanwhile (S10).
func (l *Leader) run(env Env, why Reason) {
	// Fig. 7 l. 7: not at once (Divergence D8)
	l.why, l.election.silent = why, 0
	l.round = max(l.round, l.election.ballot.Round)
	if l.spare == l.round && l.spare > l.election.ballot.Round {
		l.scout(env)
		return
	}
	l.standing = recording
	l.record(env)
}

// record writes a new round.
func (l *Leader) record(env Env) {
	l.round++
	l.writing = l.round
	env.Persist(&messages.Record{Kind: &messages.Record_Round{Round: l.round}})
	env.Send(env.Self(), &messages.Recorded{From: string(env.Self()), Round: l.round})
}

// onRecorded sends a scout for the round that is on disk now. If that took long, somebody
// else may be in office: then this leader asks the acceptors once more, and keeps the round.
func (l *Leader) onRecorded(env Env, m *messages.Recorded) {
	if m.Round != l.writing {
		return // of an earlier run or life: a scout may have said it (S2)
	}
	l.writing = 0
	if m.Round < l.round { // a higher one was seen meanwhile
		if l.standing == recording {
			l.run(env, l.why)
		}
		return
	}
	l.spare = m.Round
	switch {
	case l.standing == inOffice: // see lookForLost
		l.retire()
		l.why, l.election.silent = WhyLost, 0
		l.scout(env)
	case l.standing != recording:
	case l.election.silent > minSpacing:
		l.listen(env)
		l.election.silent = max(0, l.election.limit-minSpacing)
	default:
		l.scout(env)
	}
}

// scout sends a scout for the round that is spare.
func (l *Leader) scout(env Env) {
	l.ballot, l.spare = Ballot{Round: l.spare, Leader: l.ID}, 0
	l.election.ran = l.ballot
	l.standing = scouting
	o := ScoutOptions{
		Leader:    env.Self(),
		Acceptors: l.Configuration.Acceptors(),
		Ballot:    l.ballot,
		Released:  l.released,
		Slot:      l.rewind(),
		Resend:    l.Resend,
		Tries:     scoutTries,
	}
	env.Spawn(fmt.Sprintf("scout-%d", l.ballot.Round), func() Role { return NewScout(o) }) // Fig. 7 l. 7
}

// scoutTries is how often a scout asks in vain before it ends without a majority.
const scoutTries = 4

// onPromising waits on for a scout that is being answered: with many decrees that take long.
func (l *Leader) onPromising(m *messages.Promising) {
	if l.standing == scouting && BallotOf(m.Ballot) == l.ballot {
		l.election.silent = 0
	}
}

// onPing says whether this leader is in office.
func (l *Leader) onPing(env Env, m *messages.Ping) {
	pong := &messages.Pong{From: string(env.Self()), Ballot: Ballot{}.Proto()}
	if l.standing >= scouting {
		pong.Ballot = l.ballot.Proto()
		pong.Active = l.standing == inOffice
	}
	env.Send(Addr(m.From), pong)
}

// onPong takes a sign of life, or of retirement. One that runs lives, too: its run ends when
// nobody answers it, and a run against it would only end both. Acceptors show that less well:
// they hear a scout once in a round trip.
func (l *Leader) onPong(env Env, m *messages.Pong) {
	if l.standing >= scouting {
		return // its own scout or commanders will hear of a higher ballot
	}
	e := &l.election
	b := BallotOf(m.Ballot)
	from, _ := l.Configuration.Named(Addr(m.From).Member())
	switch {
	case b.Compare(e.ballot) > 0:
		l.recognise(env, b, WhyElected)
	case b == e.ballot && b != Ballot{}:
		e.answered = true
		l.listen(env)
	case b == Ballot{} && from.ID == e.ballot.Leader && e.ballot != (Ballot{}):
		// It gave up. Nobody need wait for it, but somebody may have run already.
		l.recognise(env, Ballot{}, WhyGaveUp)
		e.silent = max(0, e.limit-minSpacing-int(env.Rand()%3))
		l.ping(env)
	}
}

// onSucceed hands the office over. The leader in office gives up its lease, asks the heir
// to run, and stays until that preempts it: if the heir does not come, nothing is lost but
// reads without a round. The heir runs at once, without a canvass. The commanders of the
// other hear of the higher ballot, and what they did not finish is found by the heir's scout.
func (l *Leader) onSucceed(env Env, m *messages.Succeed) {
	b := BallotOf(m.Ballot)
	switch heir, _ := l.Configuration.Member(m.Heir); {
	case l.standing == inOffice && b == l.ballot && heir.Leader && heir.ID != l.ID:
		l.office.release()
		env.Send(LeaderAddr(heir.Name, l.Configuration.Epoch), &messages.Succeed{
			From: string(env.Self()), Ballot: m.Ballot, Heir: m.Heir, Released: true,
		})
	case l.standing < recording && l.first() > 0 && b == l.election.ballot && (m.Heir == l.ID || m.Heir == 0):
		if m.Released {
			l.released = b
		}
		l.round = max(l.round, b.Round) // it may know of b by a pong only
		l.run(env, WhyHandover)
	}
}

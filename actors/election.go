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

	ticks  uint64                       // ever; they number the canvasses
	before map[Addr]*messages.Canvassed // an acceptor's first answer of this canvass
	misses waitfor                      // who has not said that it misses the one in office
}

// minSpacing is how many ticks lie between two canvasses at the least: the one in
// office shows itself to acceptors once a tick.
const minSpacing = 3

// listen starts the wait for a sign of life anew.
func (l *Leader) listen(env Env) {
	e := &l.election
	e.silent = 0
	e.limit = int(jitter(env, l.Tick*time.Duration(e.timeout.ticks(l.Tick))) / l.Tick)
	if l.standing == canvassing {
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
		e.timeout.preempted()
		l.standing, l.why = passive, WhyNoMajority
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
	from := Addr(m.From)
	before, ok := e.before[from]
	if !ok {
		e.before[from] = m
		return
	}
	if b := BallotOf(m.Ballot); b != BallotOf(before.Ballot) || before.Heard != m.Heard {
		// Somebody is in office, though this leader does not hear it. The time-out was too
		// short for that, but not where another one runs since the first answer. This
		// leader's own ballot is of a p1a that came late: too short again.
		if b == BallotOf(before.Ballot) || b.Leader == l.ID {
			e.timeout.preempted()
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

// run takes a ballot above all that were seen, and sends a scout for it. The
// round is on disk before the scout first says it (S2).
func (l *Leader) run(env Env, why Reason) {
	// Fig. 7 l. 7: not at once (Divergence D8)
	l.round++
	l.ballot = Ballot{Round: l.round, Leader: l.ID}
	l.standing, l.why = scouting, why
	l.election.silent = 0
	env.Persist(&messages.Record{Kind: &messages.Record_Round{Round: l.round}})
	o := ScoutOptions{
		Leader:    env.Self(),
		Acceptors: l.Configuration.Acceptors(),
		Ballot:    l.ballot,
		Slot:      l.rewind(),
		Resend:    l.Resend,
		Tries:     scoutTries,
	}
	env.Spawn(fmt.Sprintf("scout-%d", l.round), func() Role { return NewScout(o) }) // Fig. 7 l. 7
}

// scoutTries is how often a scout asks before it ends without a majority.
const scoutTries = 4

// onPing says whether this leader is in office.
func (l *Leader) onPing(env Env, m *messages.Ping) {
	pong := &messages.Pong{From: string(env.Self()), Ballot: Ballot{}.Proto()}
	if l.standing >= scouting {
		pong.Ballot = l.ballot.Proto()
		pong.Active = l.standing == inOffice
	}
	env.Send(Addr(m.From), pong)
}

// onPong takes a sign of life, or of retirement.
func (l *Leader) onPong(env Env, m *messages.Pong) {
	if l.standing >= scouting {
		return // its own scout or commanders will hear of a higher ballot
	}
	e := &l.election
	b := BallotOf(m.Ballot)
	from, _ := l.Configuration.Named(Addr(m.From).Member())
	switch {
	case m.Active && b.Compare(e.ballot) > 0:
		l.recognise(env, b, WhyElected)
	case m.Active && b == e.ballot:
		e.answered = true
		l.listen(env)
	case b == Ballot{} && from.ID == e.ballot.Leader && e.ballot != (Ballot{}):
		// It gave up. Nobody need wait for it, but somebody may have run already.
		l.recognise(env, Ballot{}, WhyGaveUp)
		e.silent = max(0, e.limit-minSpacing-int(env.Rand()%3))
		l.ping(env)
	}
}

// onSucceed runs at once, without a canvass: who is in office asks for it. Its
// commanders hear of the higher ballot, and what they did not finish is found by this
// leader's scout.
func (l *Leader) onSucceed(env Env, m *messages.Succeed) {
	if l.standing < scouting && l.first() > 0 && BallotOf(m.Ballot) == l.election.ballot {
		l.run(env, WhyHandover)
	}
}

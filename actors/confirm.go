package actors

import (
	"time"

	"github.com/pmmc-go/pmmc/messages"
)

// This file is what a leader does in office besides Fig. 7: it makes sure, in
// rounds of confirmation, that a majority still holds its ballot. The rounds show
// the acceptors that it lives, make reads fresh (S8), and tell it when to give up (S10).

// office is what a leader in office keeps.
type office struct {
	ticks       int
	progressAt  int          // the tick of the last execution beside it
	confirmedAt map[Addr]int // the tick of an acceptor's last confirmation
	shownAt     int          // the tick of the last round

	number  uint64 // of the round under way or, when unheard is empty, of the last; no life used it before
	asking  bool   // a round is under way
	unheard waitfor

	began     time.Duration           // when the round began
	ungranted waitfor                 // who has not granted the lease that it asks for
	leased    time.Duration           // until then a majority promises no higher ballot
	released  bool                    // it never uses a lease again under this ballot: a successor was asked for
	serves    []*messages.ReadRequest // reads that came before the round under way
	waiting   []*messages.ReadRequest // reads that came after
}

// Patience of a leader in office, in its time-outs: for a majority, and for a proposal
// to be executed.
const (
	majorityPatience = 2
	progressPatience = 20
)

func (o *office) progressed() { o.progressAt = o.ticks }

// takeOffice makes this leader the one in office.
func (l *Leader) takeOffice(env Env) {
	l.standing = inOffice // Fig. 7 l. 5
	l.election.ran = Ballot{}
	o := &l.office
	o.serves, o.waiting, o.asking, o.released = nil, nil, false, false
	// An acceptor answers a question of an earlier life with the ballot that it holds, which
	// may be this one: if that came late, it must answer no round of this office (S8).
	o.number = l.ballot.Round << roundShift
	o.progressed()
	for _, a := range l.Configuration.Acceptors() {
		o.confirmedAt[a] = o.ticks
	}
	l.disk.silent = 0 // it would not have run else
	l.recognise(env, l.ballot, l.why)
	l.confirm(env)
}

// roundShift is how many bits of the number of a round of confirmation count the rounds of
// one office: at 10,000 rounds/s, those of three years. What is above them is the ballot's
// round, which no other office has (S2), up to one that is 16 million offices away.
const roundShift = 40

// release ends the use of leases under this ballot, for good: a round of confirmation that is
// under way, or comes late, gives none any more. Only then may an acceptor promise another
// ballot within a lease (S8).
func (o *office) release() { o.released, o.leased = true, 0 }

// retire ends the office or the run for it. Commanders go on until somebody
// preempts them: what was proposed may be decided.
func (l *Leader) retire() {
	l.standing = passive // Fig. 7 l. 7
	l.office.leased = 0
	l.office.serves, l.office.waiting, l.office.asking = nil, nil, false
}

// onReadRequest queues a read for the next round: one that is under way began
// before the read came and proves nothing to it.
func (l *Leader) onReadRequest(env Env, m *messages.ReadRequest) {
	if l.standing != inOffice {
		return // the replica asks again when it knows who is
	}
	if env.Now() < l.office.leased {
		l.mark(env, m)
		return
	}
	if len(l.office.waiting) >= maxWaitingReads {
		return
	}
	l.office.waiting = append(l.office.waiting, m)
	if !l.office.asking {
		l.confirm(env)
	}
}

// maxWaitingReads bounds what replicas that ask again and again can make a leader
// remember. Each replica has one question at a time.
const maxWaitingReads = 1024

// confirm starts a round for all reads that wait.
func (l *Leader) confirm(env Env) {
	o := &l.office
	o.number++
	o.asking, o.shownAt = true, o.ticks
	o.serves, o.waiting = o.waiting, nil
	o.began, o.ungranted = env.Now(), waitForAll(l.Configuration.Acceptors())
	o.unheard = waitForAll(l.Configuration.Acceptors())
	l.askUnheard(env)
}

func (l *Leader) askUnheard(env Env) {
	m := &messages.Confirm{
		From: string(env.Self()), Ballot: l.ballot.Proto(), Number: l.office.number,
	}
	if !l.office.released {
		m.Lease = uint64(l.Lease)
	}
	for _, a := range l.Configuration.Acceptors() {
		if l.office.unheard.isSilent(a) {
			env.Send(a, m)
		}
	}
}

// onConfirmed counts an acceptor that still holds this leader's ballot.
func (l *Leader) onConfirmed(env Env, m *messages.Confirmed) {
	if l.standing != inOffice {
		return
	}
	b := BallotOf(m.Ballot)
	if b != l.ballot {
		l.onPreempted(env, b) // which ignores one that is not above its own
		return
	}
	o := &l.office
	from := Addr(m.From)
	if _, ok := o.confirmedAt[from]; ok {
		o.confirmedAt[from] = o.ticks
	}
	if m.Number != o.number {
		return
	}
	o.unheard.remove(from)
	if l.Lease > 0 && !o.released && time.Duration(m.Lease) >= l.Lease {
		o.ungranted.remove(from)
		if o.ungranted.majorityAnswered() {
			o.leased = o.began + l.usable()
		}
	}
	if !o.asking || !o.unheard.majorityAnswered() {
		return
	}
	o.asking = false
	for _, r := range o.serves {
		l.mark(env, r)
	}
	o.serves = nil
	if len(o.waiting) > 0 {
		l.confirm(env)
	}
}

// usable is how much of a lease counts from the start of its round on this leader's
// clock: as much as has passed on no acceptor's, though theirs be the fastest and its
// own the slowest.
func (l *Leader) usable() time.Duration {
	return time.Duration(float64(l.Lease) * (1 - l.Drift) / (1 + l.Drift))
}

// mark answers a read: whatever was answered before it came is in a slot that this
// leader knows of.
func (l *Leader) mark(env Env, r *messages.ReadRequest) {
	env.Send(Addr(r.From), &messages.ReadMark{
		From: string(env.Self()), Slot: l.highest, Number: r.Number, Incarnation: r.Incarnation, Life: r.Life,
	})
}

// onOfficeTick shows that this leader is in office, asks the silent again, and
// gives up the office that it cannot fulfil.
func (l *Leader) onOfficeTick(env Env) {
	o := &l.office
	o.ticks++
	if why := l.unfit(); why != "" {
		l.retire()
		l.recognise(env, Ballot{}, why)
		return
	}
	if o.asking {
		l.askUnheard(env)
	} else {
		l.confirm(env)
	}
	l.probeInTurn(env)
}

// unfit tells why this leader should give up its office, if it should: no majority of
// acceptors answers, the disk beside it completes no write, or nothing that it proposed is
// executed.
func (l *Leader) unfit() Reason {
	o := &l.office
	limit := l.election.timeout.ticks(l.Tick)
	reached := waitForAll(l.Configuration.Acceptors())
	for a, at := range o.confirmedAt {
		if o.ticks-at <= majorityPatience*limit {
			reached.remove(a)
		}
	}
	switch {
	case !reached.majorityAnswered():
		return WhyNoMajority
	case l.diskHangs():
		return WhyDisk
	case len(l.proposals) > 0 && o.ticks-o.progressAt > progressPatience*limit:
		return WhyNoProgress
	}
	return ""
}

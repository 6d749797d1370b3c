package conformance

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// leader is what a leader said in all of its lives, and heard in this one.
type leader struct {
	self   actors.Addr
	member actors.Member
	epoch  *epoch
	said   uint64 // the highest round that a p1a said
	saidBy past

	life     uint64
	mayRun   uint64 // the highest round for which a majority was canvassed
	adopted  actors.Ballot
	inOffice bool                          // under adopted, as far as it knows
	first    uint64                        // the first slot that its replica has not executed
	highest  uint64                        // that it proposed or adopted
	missing  map[actors.Addr]*sinceUnheard // who misses the one in office
	taking   *taking                       // office, in the turn under way
	succeeds bool                          // who is in office asked it to run
	writes   bool                          // the disk beside it completed a write since it was last in office, or ran
	reads    leaderReads
}

// sinceUnheard is an acceptor's answers to a canvass since it last heard of somebody
// in office.
type sinceUnheard struct {
	first, last *messages.Canvassed
}

// taking is a turn with an adopted in it.
type taking struct {
	low, highest uint64
	spawned      map[uint64]bool
	office       bool // the leader has shown itself in office
	past         past
}

// start begins a life, which knows nothing but its rounds.
func (l *leader) start(life uint64) {
	*l = leader{
		self: l.self, member: l.member, epoch: l.epoch, said: l.said, saidBy: l.saidBy,
		life: life, missing: make(map[actors.Addr]*sinceUnheard), reads: newLeaderReads(),
	}
}

func (r *Referee) leaderHears(l *leader, m proto.Message) {
	switch m := m.(type) {
	case *messages.Canvassed:
		r.hearsCanvassed(l, m)
	case *messages.Adopted:
		r.hearsAdopted(l, m)
	case *messages.Learned:
		if !l.member.Replica || actors.Addr(m.From) == actors.ReplicaAddr(l.member.Name) {
			l.first = max(l.first, m.Executed)
		}
	case *messages.ReadRequest:
		l.reads.came(readQuestion{actors.Addr(m.From), numberAsked(m)}, r.at)
	case *messages.Confirmed:
		l.inOffice = l.inOffice && actors.BallotOf(m.Ballot).Compare(l.adopted) <= 0
		r.hearsConfirmed(l, m)
	case *messages.Preempted:
		l.inOffice = l.inOffice && actors.BallotOf(m.Ballot).Compare(l.adopted) <= 0
	case *messages.Succeed:
		l.succeeds = l.succeeds || m.Heir == l.member.ID || m.Heir == 0
	case *messages.Probed:
		l.writes = l.writes || actors.Addr(m.From) == l.ownAcceptor()
	}
}

func (l *leader) ownAcceptor() actors.Addr {
	return actors.AcceptorAddr(l.member.Name, l.epoch.Epoch)
}

// hearsCanvassed notes who misses the leader in office: who hears nothing of the
// ballot that it holds, between two answers.
func (r *Referee) hearsCanvassed(l *leader, m *messages.Canvassed) {
	from := actors.Addr(m.From)
	s := l.missing[from]
	switch {
	case s == nil || s.first.Heard != m.Heard || actors.BallotOf(s.first.Ballot) != actors.BallotOf(m.Ballot):
		l.missing[from] = &sinceUnheard{first: m, last: m}
	case m.Number < s.first.Number: // the first was the answer to an earlier life
		l.missing[from] = &sinceUnheard{first: m, last: m}
	case m.Number > s.last.Number:
		s.last = m
	}
	if !l.member.Replica {
		l.first = max(l.first, m.Executed)
	}
}

// leaderWrites judges that a leader which decides to run has asked a majority, and
// heard that they miss the one in office, and that the disk beside it works (S10).
func (r *Referee) leaderWrites(l *leader, rec *messages.Record) {
	k, ok := rec.Kind.(*messages.Record_Round)
	if !ok {
		r.breaks("figures", fmt.Sprintf("%s writes what is not its own", l.self))
		return
	}
	var misses acceptorSet
	for from, s := range l.missing {
		if s.last.Number > s.first.Number {
			misses = l.epoch.with(misses, from)
		}
	}
	begins := l.epoch.Epoch > 1 && k.Round == 1 // an epoch in which nobody was in office
	again := l.inOffice && k.Round == l.adopted.Round+1
	unasked := begins || l.succeeds || again
	if !l.epoch.isMajority(misses) && !unasked {
		r.breaks("S10", fmt.Sprintf("%s runs with round %d; %d acceptors miss the one in office, a majority is %d", l.self, k.Round, misses.size(), l.epoch.majority))
	}
	if l.member.Acceptor && !l.writes && !unasked {
		r.breaks("S10", fmt.Sprintf("%s runs with round %d, and has not seen the disk beside it complete a write", l.self, k.Round))
	}
	l.succeeds, l.writes, l.inOffice = false, false, false
	if k.Round <= l.said {
		r.breaks("S2", fmt.Sprintf("%s runs with round %d, and %d was said before", l.self, k.Round, l.said), l.saidBy)
	}
	l.mayRun = max(l.mayRun, k.Round)
	clear(l.missing)
}

// hearsAdopted begins the turn in which a leader takes office: Fig. 7 l. 4.
func (r *Referee) hearsAdopted(l *leader, m *messages.Adopted) {
	b := actors.BallotOf(m.Ballot)
	if b.Compare(l.adopted) <= 0 {
		return
	}
	l.adopted = b
	low := max(l.first, m.Forgotten, l.epoch.First)
	for _, next := range r.epochs {
		if next.Epoch == l.epoch.Epoch+1 {
			low = min(low, next.First) // a replica may have executed slots of the next epoch
		}
	}
	l.taking = &taking{low: low, spawned: make(map[uint64]bool), past: r.happened(fmt.Sprintf("received adopted of %s", b))}
	for _, v := range m.Accepted {
		l.taking.highest = max(l.taking.highest, v.Slot)
	}
}

// endTurn judges S9 when the turn in which a leader took office is over.
func (r *Referee) endTurn(l *leader) {
	t := l.taking
	if t == nil {
		return
	}
	l.taking = nil
	if !t.office {
		return // it does not run any more
	}
	for slot := range t.spawned {
		t.highest = max(t.highest, slot)
	}
	low := t.low // or lower, where a live replica has executed less than one that is down
	for slot := range t.spawned {
		low = min(low, slot)
	}
	for slot := low; slot <= t.highest && slot < low+2*l.epoch.Window; slot++ { // later ones are decided later (D15)
		if !t.spawned[slot] {
			r.breaks("S9", fmt.Sprintf("%s took office and asked no commander for slot %d, of slots %d to %d", l.self, slot, low, t.highest), t.past)
			return
		}
	}
	l.highest = max(l.highest, t.highest, t.low-1)
}

func (r *Referee) leaderSays(l *leader, to actors.Addr, m proto.Message) {
	switch m := m.(type) {
	case *messages.Confirm:
		l.writes, l.inOffice = false, true
		r.saysConfirm(l, m)
	case *messages.ReadMark:
		r.saysMark(l, to, m)
	case *messages.Pong:
		if b := actors.BallotOf(m.Ballot); m.Active && b != l.adopted {
			r.breaks("figures", fmt.Sprintf("%s says that it is in office under %s; it adopted %s", l.self, b, l.adopted))
		}
	case *messages.Succeed:
		if b := actors.BallotOf(m.Ballot); b != l.adopted || !m.Released {
			r.breaks("figures", fmt.Sprintf("%s asks for a successor of %s; it adopted %s", l.self, b, l.adopted))
		}
		l.reads.released = l.adopted
	case *messages.Recorded:
		if known := r.disks[l.self].known.round; m.Round > known {
			r.breaks("S2", fmt.Sprintf("%s says that round %d is on disk; %d is", l.self, m.Round, known))
		}
	case *messages.Ping: // who is in office does not
		l.inOffice = false
	case *messages.Canvass, *messages.Probe, *messages.Office:
	default:
		r.breaks("figures", fmt.Sprintf("%s is a leader and does not say this", l.self))
	}
}

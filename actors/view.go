package actors

import "maps"

// This file is how a node shows what its roles are doing, to operators and tests.
// Views are values: a role can go on while somebody looks at one.

// ReplicaView is what a replica shows of itself.
type ReplicaView struct {
	SlotIn, SlotOut uint64
	Durable         uint64 // slots below this are on disk
	Ahead           uint64 // the highest slot_out of another replica, as far as known
	Requests        int    // commands that wait for a slot
	Proposals       int    // slots proposed and not decided
	Decisions       int    // slots decided that cannot be executed yet
	Epoch           uint64 // the latest that was decided, as far as executed
	Office          Ballot // of the leader in office, as far as known; ⊥ when none is
	Restoring       bool   // a snapshot is coming
	ReadsWaiting    uint64 // the client's reads that may not look yet
	ReadMark        uint64 // the slot that the first of them waits for; 0 when that is unknown

	Recent   []ExecutedDecree // the latest decrees that it executed, the oldest first
	Commands uint64           // that it executed since it began

	Executed map[Addr]uint64 // slots below these are executed by the other replicas, as far as known
	Agrees   []Addr          // other replicas that executed the same decrees, as far as compared
	Diverged []Divergence    // those that did not
	Short    map[Addr]bool   // whether the disks of the other replicas have less room than they should, as far as known
}

// View shows the replica.
func (r *Replica) View() ReplicaView {
	v := ReplicaView{
		SlotIn: r.slotIn, SlotOut: r.slotOut, Durable: r.durable, Requests: len(r.requests),
		Proposals: len(r.proposals), Decisions: len(r.decisions) + len(r.named), Epoch: r.epochs.latest().Epoch, Office: r.offices[r.epochs.at(r.slotIn).Epoch],
		Restoring: r.lag.fetch != nil, ReadsWaiting: r.reads.wanted - r.reads.served,
		Executed: maps.Clone(r.lag.executed), Short: maps.Clone(r.lag.short),
		Recent: r.recent.last(), Commands: r.recent.commands,
	}
	v.Agrees, v.Diverged = r.chain.view()
	if len(r.reads.marks) > 0 {
		v.ReadMark = r.reads.marks[0].slot
	}
	for _, executed := range r.lag.executed {
		v.Ahead = max(v.Ahead, executed)
	}
	return v
}

// LeaderView is what a leader shows of itself.
type LeaderView struct {
	Ballot    Ballot // ballot_num
	Standing  string // passive, canvassing, recording, scouting or active
	InOffice  Ballot // of the one that it takes to be in office; ⊥ is of nobody
	Why       Reason // of these two
	Proposals int    // slots proposed and not executed beside it
	Highest   uint64 // slot ever proposed or adopted
	Timeout   string // before it misses the one in office
}

// View shows the leader.
func (l *Leader) View() LeaderView {
	return LeaderView{
		Ballot: l.ballot, Standing: l.standing.String(), InOffice: l.election.ballot, Why: l.why,
		Proposals: len(l.proposals),
		Highest:   l.highest, Timeout: l.election.timeout.now.String(),
	}
}

// Reason is why a leader runs, is in office, or is not.
type Reason string

// The reasons of leaders. The first ones are why it runs or was elected, the next ones
// why its own office or run ended, the last ones what it heard of others.
const (
	WhySilence  Reason = "silence"  // a majority had not heard of anybody in office
	WhyHandover Reason = "handover" // the one in office asked it to
	WhyEpoch    Reason = "epoch"    // a configuration begins
	WhyLost     Reason = "lost"     // every replica that executed what it had dropped is down

	WhyPreempted  Reason = "preempted"   // an acceptor promised a higher ballot
	WhyNoMajority Reason = "no majority" // of acceptors answered
	WhyDisk       Reason = "disk"        // the acceptor beside it completed no write
	WhyNoProgress Reason = "no progress" // nothing that it proposed was executed

	WhyElected Reason = "elected" // another one was elected, or runs
	WhyGaveUp  Reason = "gave up" // the one in office said so
)

// Reasons lists them all.
var Reasons = []Reason{
	WhySilence, WhyHandover, WhyEpoch, WhyLost, WhyPreempted, WhyNoMajority, WhyDisk, WhyNoProgress, WhyElected, WhyGaveUp,
}

// Stand is where a leader stands, as far as it matters to others: until it scouts it is passive.
type Stand struct {
	Standing string // passive, scouting or active
	InOffice Ballot // of the one that it takes to be in office; ⊥ is of nobody
	Why      Reason
}

// Stand shows where the leader stands. It costs next to nothing.
func (l *Leader) Stand() Stand {
	s := Stand{Standing: l.standing.String(), InOffice: l.election.ballot, Why: l.why}
	if l.standing < scouting {
		s.Standing = passive.String()
	}
	return s
}

func (s standing) String() string {
	return [...]string{"passive", "canvassing", "recording", "scouting", "active"}[s]
}

// AcceptorView is what an acceptor shows of itself.
type AcceptorView struct {
	Ballot    Ballot // ballot_num
	Accepted  int    // pvalues held
	Bytes     int    // of their decrees …
	InMemory  int    // … and of those that are not in the journal only
	Forgotten uint64 // slots below this are forgotten
	Decided   uint64 // slots below this are known to be decided, without those forgotten
}

// View shows the acceptor.
func (a *Acceptor) View() AcceptorView {
	return AcceptorView{
		Ballot: a.ballot, Accepted: len(a.accepted), Bytes: a.bytes, InMemory: a.bytes - a.shelf.bytes,
		Forgotten: a.forgotten, Decided: a.decided.below(),
	}
}

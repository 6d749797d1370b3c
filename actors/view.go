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

	Executed map[Addr]uint64 // slots below these are executed by the other replicas, as far as known
	Agrees   []Addr          // other replicas that executed the same decrees, as far as compared
	Diverged []Divergence    // those that did not
	Short    map[Addr]bool   // whether the disks of the other replicas have less room than they should, as far as known
}

// View shows the replica.
func (r *Replica) View() ReplicaView {
	v := ReplicaView{
		SlotIn: r.slotIn, SlotOut: r.slotOut, Durable: r.durable, Requests: len(r.requests),
		Proposals: len(r.proposals), Decisions: len(r.decisions), Epoch: r.epochs.latest().Epoch, Office: r.offices[r.epochs.at(r.slotIn).Epoch],
		Restoring: r.lag.fetch != nil, ReadsWaiting: r.reads.wanted - r.reads.served,
		Executed: maps.Clone(r.lag.executed), Short: maps.Clone(r.lag.short),
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
	Standing  string // passive, canvassing, scouting or active
	Proposals int    // slots proposed and not executed beside it
	Highest   uint64 // slot ever proposed or adopted
	Timeout   string // before it misses the one in office
}

// View shows the leader.
func (l *Leader) View() LeaderView {
	return LeaderView{
		Ballot: l.ballot, Standing: l.standing.String(), Proposals: len(l.proposals),
		Highest: l.highest, Timeout: l.election.timeout.now.String(),
	}
}

func (s standing) String() string {
	return [...]string{"passive", "canvassing", "scouting", "active"}[s]
}

// AcceptorView is what an acceptor shows of itself.
type AcceptorView struct {
	Ballot    Ballot // ballot_num
	Accepted  int    // pvalues held
	Bytes     int    // of their decrees
	Forgotten uint64 // slots below this are forgotten
	Decided   uint64 // slots below this are known to be decided, without those forgotten
}

// View shows the acceptor.
func (a *Acceptor) View() AcceptorView {
	return AcceptorView{
		Ballot: a.ballot, Accepted: len(a.accepted), Bytes: a.bytes,
		Forgotten: a.forgotten, Decided: a.knownBelow(),
	}
}

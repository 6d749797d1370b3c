package paper

// deaf tells whether a process will never again do anything, or anything else than it
// did already, about a message. Such a message is dropped: states that differ in it
// alone have the same future, and are one state. Once deaf to a message a process stays
// so:
//
//   - a replica that has ⟨s, c⟩ in decisions adds nothing to it (Fig. 1 l. 13), and after
//     each turn there is nothing left to perform or to propose (l. 14, 17);
//   - a leader's proposals lose no slot (Fig. 7 l. 2), its ballot_num only grows, and
//     what is not of its ballot (l. 4) or not above it (l. 6) it ignores;
//   - a scout's or commander's waitfor only shrinks, and pvalues only grow;
//   - a scout or commander that would exit with a preempted that its leader is deaf to
//     would do no more than crash, which is explored without it;
//   - a client has every answer once.
//
// An acceptor answers always. A process that exited is deaf to all.
func (s *System) deaf(p Process, m Message) bool {
	switch p := p.(type) {
	case *Replica:
		d, ok := m.(Decision)
		return ok && p.Decisions.Has(d.Entry)
	case *Leader:
		return s.leaderDeaf(p, m)
	case *Scout:
		b := m.(P1B)
		return b.Ballot != p.Ballot && s.unmoved(p.Leader, p.Ballot, b.Ballot) ||
			b.Ballot == p.Ballot && !p.Waitfor.Has(b.Acceptor) && len(p.PValues.Union(b.Accepted)) == len(p.PValues)
	case *Commander:
		b := m.(P2B)
		return b.Ballot != p.PValue.Ballot && s.unmoved(p.Leader, p.PValue.Ballot, b.Ballot) ||
			b.Ballot == p.PValue.Ballot && !p.Waitfor.Has(b.Acceptor)
	case *Client:
		return p.Answers.Has(m.(Response))
	}
	return false
}

// leaderDeaf is deaf for leaders. A repeated adopted would only have one spawn again the
// commanders that it has: in the paper a scout is a part of its leader, and C1 says that
// no commander is spawned twice, so what a scout says to its leader may be delayed or
// lost, and is not repeated.
func (s *System) leaderDeaf(l *Leader, m Message) bool {
	switch m := m.(type) {
	case Propose:
		_, taken := l.Proposals[m.Entry.Slot]
		return taken
	case Adopted:
		return l.BallotNum.Above(m.Ballot) || l.Active && m.Ballot == l.BallotNum
	case Preempted:
		return s.unmoved(l.ID, l.BallotNum, m.Ballot)
	}
	return false
}

// unmoved tells whether a leader that has come to ballot b or further never does anything
// about ⟨preempted, other⟩: other is not above b, or it leaves the leader no ballot within
// bounds.
func (s *System) unmoved(leader ID, b, other Ballot) bool {
	return !other.Above(b) || other.Round+1 >= s.Rounds[leader]
}

package paper

// The systems in which mistakes of acceptors, scouts, commanders and leaders do harm.
var (
	duel      = Size{Configurations: synod(3, 1, 1), Propose: rivals}
	longDuel  = Size{Configurations: synod(3, 2, 1), Propose: rivals}
	ambiguous = Size{Configurations: synod(3, 2, 1), Propose: bothRivals}
)

var synodMutants = []mutant{
	{
		name: "an acceptor promises without comparing (Fig. 4 l. 2)", caught: "A1", size: duel,
		fault: on(func(a *Acceptor, e *Env, m P1A) {
			a.BallotNum = m.Ballot
			e.Send(m.Scout, P1B{a.ID, a.BallotNum, a.Accepted})
		}),
	}, {
		name: "an acceptor accepts under a lower ballot (Fig. 4 l. 4)", caught: "A2", size: duel,
		fault: on(func(a *Acceptor, e *Env, m P2A) {
			a.Accepted = a.Accepted.With(m.PValue)
			e.Send(m.Commander, P2B{a.ID, m.PValue.Ballot})
		}),
	}, {
		name: "an acceptor keeps the pvalue that it accepted last (Fig. 4 l. 4)", caught: "A3", size: Size{
			Configurations: synod(3, 1, 1), Propose: twoSlots,
		},
		fault: on(func(a *Acceptor, e *Env, m P2A) {
			if m.PValue.Ballot == a.BallotNum {
				a.Accepted = SetOf(m.PValue)
			}
			e.Send(m.Commander, P2B{a.ID, a.BallotNum})
		}),
	}, {
		name: "an acceptor accepts whatever comes under its own ballot (Fig. 4 l. 4)", caught: "A4", size: duel,
		fault: on(func(a *Acceptor, e *Env, m P2A) {
			if a.BallotNum != (Ballot{}) {
				a.Accepted = a.Accepted.With(PValue{a.BallotNum, m.PValue.Entry})
			}
			e.Send(m.Commander, P2B{a.ID, a.BallotNum})
		}),
	}, {
		name: "an acceptor takes all ballots of one leader for the same (Fig. 4 l. 4)", caught: "A5", size: longDuel,
		fault: on(func(a *Acceptor, e *Env, m P2A) {
			if m.PValue.Ballot.Leader == a.BallotNum.Leader {
				a.Accepted = a.Accepted.With(PValue{a.BallotNum, m.PValue.Entry})
			}
			e.Send(m.Commander, P2B{a.ID, a.BallotNum})
		}),
	}, {
		name: "an acceptor's p1b omits what it accepted (Fig. 4 l. 3)", caught: "C2", size: duel,
		fault: on(func(a *Acceptor, e *Env, m P1A) {
			if m.Ballot.Above(a.BallotNum) {
				a.BallotNum = m.Ballot
			}
			e.Send(m.Scout, P1B{a.ID, a.BallotNum, nil})
		}),
	}, {
		name: "a scout counts a minority (Fig. 6(b) l. 3)", caught: "C2", size: duel,
		fault: on(func(s *Scout, e *Env, m P1B) {
			if m.Ballot == s.Ballot {
				e.Send(s.Leader, Adopted{s.Ballot, m.Accepted})
				e.Exit()
			}
		}),
	}, {
		name: "a scout counts one acceptor twice (Fig. 6(b) l. 2)", caught: "C2", size: duel, hears: true, unlike: true,
		fault: on(func(s *Scout, e *Env, m P1B) {
			if m.Ballot == s.Ballot && !s.Waitfor.Has(m.Acceptor) {
				m.Acceptor = s.Waitfor.List()[0]
			}
			s.Receive(e, m)
		}),
	}, {
		name: "a leader's acceptors are of two configurations (Fig. 7)", caught: "C2", size: Size{
			Configurations: []Configuration{{Rounds: []int{1, 1}, Acceptors: 3}, {Acceptors: 2}}, Propose: rivals,
		},
		change: func(s *System) {
			s.Alike = nil
			for _, p := range s.Processes {
				if p.Self() == leaderID(2) {
					p.(*Leader).Acceptors = ids(acceptorID, 3, 5)
				}
			}
		},
	}, {
		name: "a commander counts a minority (Fig. 6(a) l. 3)", caught: "R1", size: duel,
		fault: on(func(k *Commander, e *Env, m P2B) {
			if m.Ballot == k.PValue.Ballot {
				e.SendAll(k.Replicas, Decision{k.PValue.Entry})
				e.Exit()
			}
		}),
	}, {
		name: "a commander counts one acceptor twice (Fig. 6(a) l. 2)", caught: "R1", size: duel, hears: true, unlike: true,
		fault: on(func(k *Commander, e *Env, m P2B) {
			if m.Ballot == k.PValue.Ballot && !k.Waitfor.Has(m.Acceptor) {
				m.Acceptor = k.Waitfor.List()[0]
			}
			k.Receive(e, m)
		}),
	}, {
		name: "a commander does not look at the ballot of a p2b (Fig. 6(a) l. 4)", caught: "R1", size: duel, hears: true,
		fault: on(func(k *Commander, e *Env, m P2B) {
			k.Receive(e, P2B{m.Acceptor, k.PValue.Ballot})
		}),
	}, {
		name: "a leader skips pmax (Fig. 7 l. 5)", caught: "C2", size: duel,
		fault: adopting(func(own map[int]Command, _ Set[PValue]) map[int]Command { return own }),
	}, {
		name: "a leader's own proposals win over what it adopts (Fig. 7 l. 5)", caught: "C2", size: duel,
		fault: adopting(func(own map[int]Command, adopted Set[PValue]) map[int]Command {
			return over(pmax(adopted), own)
		}),
	}, {
		name: "pmax takes the lowest ballot (Fig. 7 l. 5)", caught: "C2", size: longDuel,
		fault: adopting(func(own map[int]Command, adopted Set[PValue]) map[int]Command {
			lowest := make(map[int]PValue)
			for v := range adopted {
				if l, ok := lowest[v.Slot]; !ok || l.Ballot.Above(v.Ballot) {
					lowest[v.Slot] = v
				}
			}
			for slot, v := range lowest {
				own = over(own, map[int]Command{slot: v.Command})
			}
			return own
		}),
	}, {
		name: "a leader proposes two commands for one slot in a ballot (Fig. 7 l. 2)", caught: "C1", size: ambiguous, hears: true,
		fault: on(func(l *Leader, e *Env, m Propose) {
			l.Proposals = over(l.Proposals, map[int]Command{m.Entry.Slot: m.Entry.Command})
			if l.Active {
				l.spawnCommander(e, m.Entry)
			}
		}),
	}, {
		name: "a leader begins again with the ballot that it had, knowing nothing (Fig. 7 l. 7)", caught: "C1", size: ambiguous, hears: true,
		fault: on(func(l *Leader, e *Env, m Preempted) {
			l.Proposals, l.Active = nil, false
			l.spawnScout(e)
		}),
	}, {
		name: "a leader proposes what nobody asked for (Fig. 7 l. 2)", caught: "Requested", size: duel,
		fault: on(func(l *Leader, e *Env, m Propose) {
			l.Receive(e, Propose{Entry{m.Entry.Slot, Command{}}})
		}),
	},
}

// adopting is a leader that makes its proposals in another way than Fig. 7 l. 5.
func adopting(merge func(own map[int]Command, adopted Set[PValue]) map[int]Command) fault {
	return on(func(l *Leader, e *Env, m Adopted) {
		if m.Ballot == l.BallotNum {
			l.Proposals = merge(l.Proposals, m.PValues)
			l.spawnCommanders(e)
			l.Active = true
		}
	})
}

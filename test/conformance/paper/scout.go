package paper

// Scout is the process of Fig. 6(b), scout(λ, acceptors, b).
type Scout struct {
	Leader    ID
	Acceptors Set[ID]
	Ballot    Ballot

	Waitfor Set[ID]     // l. 1
	PValues Set[PValue] // l. 1: initially ∅
}

// Start is l. 1.
func (s *Scout) Start(env *Env) {
	s.Waitfor = s.Acceptors
	env.SendAll(s.Acceptors, P1A{s.Self(), s.Ballot})
}

// Receive is l. 2–4.
func (s *Scout) Receive(env *Env, m Message) {
	p1b := m.(P1B)
	if p1b.Ballot != s.Ballot { // l. 4
		env.Send(s.Leader, Preempted{p1b.Ballot})
		env.Exit()
		return
	}
	s.PValues = s.PValues.Union(p1b.Accepted) // l. 2
	s.Waitfor = s.Waitfor.Without(p1b.Acceptor)
	if 2*len(s.Waitfor) < len(s.Acceptors) { // l. 3
		env.Send(s.Leader, Adopted{s.Ballot, s.PValues})
		env.Exit()
	}
}

// Self is the paper's self(): no two leaders share a ballot, and none uses one twice.
func (s *Scout) Self() ID { return ID("scout " + s.Ballot.String()) }

// Copy copies the variables.
func (s *Scout) Copy() Process { c := *s; return &c }

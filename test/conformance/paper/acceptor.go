package paper

// Acceptor is the process of Fig. 4, acceptor().
type Acceptor struct {
	ID        ID
	BallotNum Ballot      // l. 1: initially ⊥
	Accepted  Set[PValue] // l. 1: initially ∅
}

// Receive is l. 2–5.
func (a *Acceptor) Receive(env *Env, m Message) {
	switch m := m.(type) {
	case P1A: // l. 2
		if m.Ballot.Above(a.BallotNum) {
			a.BallotNum = m.Ballot
		}
		env.Send(m.Scout, P1B{a.ID, a.BallotNum, a.Accepted}) // l. 3
	case P2A: // l. 4
		if m.PValue.Ballot == a.BallotNum {
			a.Accepted = a.Accepted.With(m.PValue)
		}
		env.Send(m.Commander, P2B{a.ID, a.BallotNum}) // l. 5
	}
}

// Start does nothing: an acceptor only ever answers.
func (a *Acceptor) Start(*Env) {}

// Self is the paper's self().
func (a *Acceptor) Self() ID { return a.ID }

// Copy copies the variables.
func (a *Acceptor) Copy() Process { c := *a; return &c }

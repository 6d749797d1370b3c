package paper

// Commander is the process of Fig. 6(a), commander(λ, acceptors, replicas, ⟨b, s, c⟩).
type Commander struct {
	Leader              ID
	Acceptors, Replicas Set[ID]
	PValue              PValue

	Waitfor Set[ID] // l. 1
}

// Start is l. 1.
func (k *Commander) Start(env *Env) {
	k.Waitfor = k.Acceptors
	env.SendAll(k.Acceptors, P2A{k.Self(), k.PValue})
}

// Receive is l. 2–4.
func (k *Commander) Receive(env *Env, m Message) {
	p2b := m.(P2B)
	if p2b.Ballot != k.PValue.Ballot { // l. 4
		env.Send(k.Leader, Preempted{p2b.Ballot})
		env.Exit()
		return
	}
	k.Waitfor = k.Waitfor.Without(p2b.Acceptor) // l. 2
	if 2*len(k.Waitfor) < len(k.Acceptors) {    // l. 3
		env.SendAll(k.Replicas, Decision{k.PValue.Entry})
		env.Exit()
	}
}

// Self is the paper's self(): C1 makes the pvalue a name.
func (k *Commander) Self() ID { return ID("commander " + k.PValue.String()) }

// Copy copies the variables.
func (k *Commander) Copy() Process { c := *k; return &c }

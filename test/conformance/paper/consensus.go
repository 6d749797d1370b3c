package paper

// Consensus stands for the leaders and acceptors of one configuration where only the
// replicas are under examination. It does whatever a correct synod may: of the commands
// proposed for a slot it decides any one, which is the one whose proposal the explorer
// delivers first.
type Consensus struct {
	ID       ID
	Replicas Set[ID]
	Decided  Set[Entry]
}

// Receive decides.
func (c *Consensus) Receive(env *Env, m Message) {
	e := m.(Propose).Entry
	if _, decided := at(c.Decided, e.Slot); decided {
		return
	}
	c.Decided = c.Decided.With(e)
	env.SendAll(c.Replicas, Decision{e})
}

// Start does nothing: it waits for proposals.
func (c *Consensus) Start(*Env) {}

// Self is under what name replicas know it.
func (c *Consensus) Self() ID { return c.ID }

// Copy copies the variables.
func (c *Consensus) Copy() Process { d := *c; return &d }

// Listener stands for the replicas where only the synod is under examination. What it was
// sent is what was decided.
type Listener struct {
	ID       ID
	Proposes []Letter // what the replicas ask of leaders
}

// Start sends the proposals.
func (l *Listener) Start(env *Env) { env.sent = l.Proposes }

// Receive does nothing.
func (l *Listener) Receive(*Env, Message) {}

// Self is under what name commanders know it.
func (l *Listener) Self() ID { return l.ID }

// Copy copies the variables.
func (l *Listener) Copy() Process { d := *l; return &d }

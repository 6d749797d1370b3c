package paper

// Replica is the process of Fig. 1, replica(leaders, initial state). Its state is the
// string of the letters that operations appended, so that equal states mean the same
// operations in the same order.
type Replica struct {
	ID             ID
	Window         int
	Configurations []Set[ID] // the leaders that a reconfiguration op stands for

	Leaders         Set[ID]
	State           string
	SlotIn, SlotOut int
	Requests        Set[Command]
	Proposals       Set[Entry]
	Decisions       Set[Entry]
}

// NewReplica is l. 1.
func NewReplica(id ID, window int, configurations []Set[ID]) *Replica {
	return &Replica{
		ID: id, Window: window, Configurations: configurations,
		Leaders: configurations[0], SlotIn: 1, SlotOut: 1,
	}
}

// Receive is l. 12–17.
func (r *Replica) Receive(env *Env, m Message) {
	switch m := m.(type) {
	case Request: // l. 12
		r.Requests = r.Requests.With(m.Command)
	case Decision: // l. 13
		r.Decisions = r.Decisions.With(m.Entry)
		r.performAll(env)
	}
	r.propose(env) // l. 17
}

// performAll is l. 14–16.
func (r *Replica) performAll(env *Env) {
	for c, ok := at(r.Decisions, r.SlotOut); ok; c, ok = at(r.Decisions, r.SlotOut) { // l. 14
		r.yield(c)        // l. 15
		r.perform(env, c) // l. 16
	}
}

// propose is l. 2–8.
func (r *Replica) propose(env *Env) {
	for r.SlotIn < r.SlotOut+r.Window && len(r.Requests) > 0 { // l. 3
		r.reconfigure()                                        // l. 4
		if _, decided := at(r.Decisions, r.SlotIn); !decided { // l. 5
			r.proposeNext(env, Choose(env, r.Requests)) // l. 6–7
		}
		r.SlotIn++ // l. 8
	}
}

// reconfigure is l. 4.
func (r *Replica) reconfigure() {
	if c, ok := at(r.Decisions, r.SlotIn-r.Window); ok && c.Op.Reconfigures() {
		r.Leaders = r.Configurations[c.Op.Configuration-1]
	}
}

// proposeNext is l. 6–7.
func (r *Replica) proposeNext(env *Env, c Command) {
	r.Requests = r.Requests.Without(c)
	r.Proposals = r.Proposals.With(Entry{r.SlotIn, c})
	env.SendAll(r.Leaders, Propose{Entry{r.SlotIn, c}})
}

// yield is l. 15: the slot went to c, and what was proposed for it is proposed again.
func (r *Replica) yield(c Command) {
	if mine, ok := at(r.Proposals, r.SlotOut); ok {
		r.Proposals = r.Proposals.Without(Entry{r.SlotOut, mine})
		if mine != c {
			r.Requests = r.Requests.With(mine)
		}
	}
}

// perform is l. 9–11.
func (r *Replica) perform(env *Env, c Command) {
	if r.performed(c) || c.Op.Reconfigures() { // l. 10
		r.SlotOut++
		return
	}
	r.execute(env, c)
}

// performed is the condition of l. 10: ∃ s < slot_out: ⟨s, c⟩ ∈ decisions.
func (r *Replica) performed(c Command) bool {
	for e := range r.Decisions {
		if e.Slot < r.SlotOut && e.Command == c {
			return true
		}
	}
	return false
}

// execute is l. 11.
func (r *Replica) execute(env *Env, c Command) {
	r.State += c.Op.Letter
	r.SlotOut++
	env.Send(clientID(c.Client), Response{c.Cid, r.State})
}

// at returns the command of a slot.
func at(entries Set[Entry], slot int) (Command, bool) {
	for e := range entries {
		if e.Slot == slot {
			return e.Command, true
		}
	}
	return Command{}, false
}

// Start does nothing: a replica waits to be asked.
func (r *Replica) Start(*Env) {}

// Self is the paper's self().
func (r *Replica) Self() ID { return r.ID }

// Copy copies the variables.
func (r *Replica) Copy() Process { c := *r; return &c }

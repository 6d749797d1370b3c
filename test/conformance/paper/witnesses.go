package paper

// Witnesses are what an exploration must have met, or its silence means nothing.
const (
	Preemption   = "a leader was preempted"
	Adoption     = "a leader adopted a pvalue of another ballot"
	Decided      = "a command was decided"
	AllExecuted  = "every replica executed every command"
	Collision    = "a replica lost a slot to another command and proposed again"
	DecidedTwice = "one command was decided for two slots"
	Reconfigured = "a replica went over to another configuration"
	OutOfOrder   = "a replica learned a slot before one below it"
)

var changeWitnesses = map[string]func(Change) bool{
	Preemption: func(c Change) bool {
		m, ok := c.Message.(Preempted)
		return ok && m.Ballot.Above(c.Before.(*Leader).BallotNum)
	},
	Adoption: func(c Change) bool {
		m, ok := c.Message.(Adopted)
		if !ok {
			return false
		}
		for v := range m.PValues {
			if v.Ballot != m.Ballot {
				return m.Ballot == c.Before.(*Leader).BallotNum
			}
		}
		return false
	},
	Collision: func(c Change) bool {
		m, ok := c.Message.(Decision)
		if !ok {
			return false
		}
		before, ok := c.Before.(*Replica)
		if !ok || before.SlotOut != m.Entry.Slot {
			return false
		}
		mine, ok := at(before.Proposals, m.Entry.Slot)
		return ok && mine != m.Entry.Command
	},
	OutOfOrder: func(c Change) bool {
		m, ok := c.Message.(Decision)
		if !ok {
			return false
		}
		before, ok := c.Before.(*Replica)
		return ok && before.SlotOut < m.Entry.Slot
	},
	Reconfigured: func(c Change) bool {
		before, ok := c.Before.(*Replica)
		return ok && before.Leaders.String() != c.After.(*Replica).Leaders.String()
	},
}

var viewWitnesses = map[string]func(View) bool{
	Decided: func(v View) bool { return len(v.Decided) > 0 },
	AllExecuted: func(v View) bool {
		for _, r := range v.Replicas {
			for c := range v.Commands {
				if !r.performed(c) {
					return false
				}
			}
		}
		return len(v.Replicas) > 0
	},
	DecidedTwice: func(v View) bool {
		slots := make(map[Command]int)
		for e := range v.Decided {
			if slots[e.Command]++; slots[e.Command] > 1 {
				return true
			}
		}
		return false
	},
}

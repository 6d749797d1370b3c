package paper

// The systems in which mistakes of replicas do harm.
var (
	collisions = Size{Configurations: abstract(1), Replicas: 2, Window: 1, Slots: 3, Clients: atOnce}
	pipelined  = Size{Configurations: abstract(1), Replicas: 2, Window: 2, Slots: 3, Clients: atOnce}
	soonMoving = Size{Configurations: abstract(2), Replicas: 2, Window: 1, Slots: 3, Clients: [][]Op{{opA}, {opB}, {opNext}}}
	moving     = Size{Configurations: abstract(2), Replicas: 2, Window: 2, Slots: 4, Clients: [][]Op{{opA}, {opB}, {opNext}}}
)

var replicaMutants = []mutant{
	{
		name: "a replica ignores WINDOW (Fig. 1 l. 3)", caught: "R5", size: collisions,
		fault: proposing(func(r *Replica, e *Env) {
			for ; len(r.Requests) > 0; r.SlotIn++ {
				if _, decided := at(r.Decisions, r.SlotIn); !decided {
					r.proposeNext(e, Choose(e, r.Requests))
				}
			}
		}),
	}, {
		name: "a replica reconfigures at once, and not WINDOW slots later (Fig. 1 l. 4)", caught: "R1", size: moving,
		fault: proposing(func(r *Replica, e *Env) {
			for c := range r.Decisions {
				if c.Command.Op.Reconfigures() {
					r.Leaders = r.Configurations[c.Command.Op.Configuration-1]
				}
			}
			r.proposeIn(e, r.Leaders)
		}),
	}, {
		name: "one of two replicas does not reconfigure (Fig. 1 l. 4)", caught: "R1", size: soonMoving, unlike: true,
		fault: func(p Process, e *Env, m Message) bool {
			return p.Self() == replicaID(2) && proposing(func(r *Replica, e *Env) {
				r.proposeIn(e, r.Configurations[0])
			})(p, e, m)
		},
	}, {
		name: "a replica proposes for a slot that it knows is decided (Fig. 1 l. 5)", caught: "Once proposed", size: pipelined,
		fault: proposing(func(r *Replica, e *Env) {
			for ; r.SlotIn < r.SlotOut+r.Window && len(r.Requests) > 0; r.SlotIn++ {
				r.proposeNext(e, Choose(e, r.Requests))
			}
		}),
	}, {
		name: "a replica proposes two commands for one slot (Fig. 1 l. 8)", caught: "Once proposed", size: collisions,
		fault: proposing(func(r *Replica, e *Env) {
			for r.SlotIn < r.SlotOut+r.Window && len(r.Requests) > 0 {
				if _, decided := at(r.Decisions, r.SlotIn); decided {
					r.SlotIn++
				} else {
					r.proposeNext(e, Choose(e, r.Requests))
				}
			}
		}),
	}, {
		name: "a replica proposes next where it executes next (Fig. 1 l. 16)", caught: "R4", size: pipelined,
		fault: performing(func(r *Replica, e *Env, c Command) {
			r.yield(c)
			r.perform(e, c)
			r.SlotIn = r.SlotOut
		}),
	}, {
		name: "a replica executes its own proposal where another one was decided (Fig. 1 l. 16)", caught: "R3", size: collisions,
		fault: performing(func(r *Replica, e *Env, c Command) {
			mine, ok := at(r.Proposals, r.SlotOut)
			r.yield(c)
			if ok {
				c = mine
			}
			r.perform(e, c)
		}),
	}, {
		name: "a replica executes what it learns without waiting for slots below (Fig. 1 l. 14)", caught: "R2", size: pipelined,
		fault: on(func(r *Replica, e *Env, m Decision) {
			r.Decisions = r.Decisions.With(m.Entry)
			r.SlotOut = max(r.SlotOut, m.Entry.Slot)
			r.performAll(e)
			r.propose(e)
		}),
	}, {
		name: "a replica executes a command again that was decided for two slots (Fig. 1 l. 10)", caught: "Once executed", size: collisions,
		fault: performing(func(r *Replica, e *Env, c Command) {
			r.yield(c)
			r.execute(e, c)
		}),
	}, {
		name: "a replica answers again, from the state as it is now (Fig. 1 l. 10)", caught: "One answer", size: pipelined,
		fault: performing(func(r *Replica, e *Env, c Command) {
			if r.performed(c) {
				e.Send(clientID(c.Client), Response{c.Cid, r.State})
			}
			r.yield(c)
			r.perform(e, c)
		}),
	},
}

// proposing is a replica with another propose() than that of Fig. 1 l. 2–8.
func proposing(propose func(*Replica, *Env)) fault {
	return func(p Process, e *Env, m Message) bool {
		r, ok := p.(*Replica)
		if !ok {
			return false
		}
		switch m := m.(type) {
		case Request:
			r.Requests = r.Requests.With(m.Command)
		case Decision:
			r.Decisions = r.Decisions.With(m.Entry)
			r.performAll(e)
		}
		propose(r, e)
		return true
	}
}

// performing is a replica that deals with a decided command in another way than that of
// Fig. 1 l. 15–16.
func performing(perform func(*Replica, *Env, Command)) fault {
	return on(func(r *Replica, e *Env, m Decision) {
		r.Decisions = r.Decisions.With(m.Entry)
		for c, ok := at(r.Decisions, r.SlotOut); ok; c, ok = at(r.Decisions, r.SlotOut) {
			perform(r, e, c)
		}
		r.propose(e)
	})
}

// proposeIn is propose() with leaders that no decision changes.
func (r *Replica) proposeIn(e *Env, leaders Set[ID]) {
	r.Leaders = leaders
	for ; r.SlotIn < r.SlotOut+r.Window && len(r.Requests) > 0; r.SlotIn++ {
		if _, decided := at(r.Decisions, r.SlotIn); !decided {
			r.proposeNext(e, Choose(e, r.Requests))
		}
	}
}

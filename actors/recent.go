package actors

import "github.com/pmmc-go/pmmc/messages"

// recentDecrees is how many decrees a replica remembers for those who look at it.
const recentDecrees = 32

// recent is what a replica executed last. It is for those who look: no turn depends on it.
type recent struct {
	ring     [recentDecrees]ExecutedDecree
	decrees  uint64 // ever noted
	commands uint64 // in them
}

// ExecutedDecree is a decree that a replica executed, without what it says.
type ExecutedDecree struct {
	Slot     uint64
	Ballot   Ballot // under which it was decided
	Kind     string // commands, no-op or reconfiguration
	Commands int
	Bytes    int // of the decree
}

func (r *recent) note(v *messages.PValue, d *messages.Decree) {
	e := ExecutedDecree{
		Slot: v.Slot, Ballot: BallotOf(v.Ballot), Kind: "commands", Commands: len(d.Commands), Bytes: len(v.Decree),
	}
	switch {
	case e.Commands == 0:
		e.Kind = "no-op"
	case d.Commands[0].Configuration != nil:
		e.Kind = "reconfiguration"
	}
	r.ring[r.decrees%recentDecrees] = e
	r.decrees++
	r.commands += uint64(e.Commands)
}

// last lists what was noted last, the oldest first.
func (r *recent) last() []ExecutedDecree {
	all := make([]ExecutedDecree, 0, recentDecrees)
	for i := r.decrees - min(r.decrees, recentDecrees); i < r.decrees; i++ {
		all = append(all, r.ring[i%recentDecrees])
	}
	return all
}

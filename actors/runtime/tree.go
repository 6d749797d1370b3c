package runtime

import (
	"path"
	"time"
)

// Policy says how an actor comes back after a panic. Protoactor's default would
// bring each back blank, acceptors without their promises.
type Policy int

const (
	// Replay builds the role anew from what it persisted; answers that waited for
	// the disk are dropped, as if they had been lost on the way.
	Replay Policy = iota
	// Again builds the role anew with the arguments it was spawned with. It is for
	// scouts and commanders: asking the acceptors twice is harmless.
	Again
	// Halt ends the node. It is what is left when the others fail too often: a node
	// that is down is a fault that Paxos tolerates.
	Halt
)

// Rule is a branch of the supervision tree.
type Rule struct {
	Name     string // a path.Match pattern for paths inside the node
	Policy   Policy
	Restarts int           // more than these …
	Within   time.Duration // … in this time, and the node ends
}

// Tree is the supervision tree of a node, from the top. An actor that no pattern
// matches halts the node when it panics.
var Tree = []Rule{
	{"replica", Replay, 5, time.Minute},
	{"client", Again, 5, time.Minute},
	{"steward", Again, 5, time.Minute},
	{"herald", Again, 5, time.Minute},
	{"epoch-*/acceptor", Replay, 5, time.Minute},
	{"epoch-*/leader", Replay, 5, time.Minute}, // and with a new ballot (S2)
	{"epoch-*/leader/scout-*", Again, 10, time.Minute},
	{"epoch-*/leader/commander-*", Again, 10, time.Minute},
}

// ruleOf finds the rule for a path inside the node.
func ruleOf(p string) Rule {
	for _, r := range Tree {
		if ok, err := path.Match(r.Name, p); ok && err == nil {
			return r
		}
	}
	return Rule{Name: p, Policy: Halt}
}

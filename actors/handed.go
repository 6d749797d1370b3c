package actors

import (
	"cmp"
	"maps"
	"slices"

	"github.com/pmmc-go/pmmc/messages"
)

// This file is how commands come to the replica beside the leader in office, which
// proposes for all (Divergence D9). Any replica may propose, and does where it must; but
// two that propose for one slot get one of their decrees decided, and it is the one whose
// way to the leader is shorter that wins.

// handOver asks another replica to propose commands.
func (r *Replica) handOver(env Env, proposer Addr, commands []*messages.Command) {
	for _, c := range commands {
		if r.isMine(c) {
			r.handed[idOf(c)] = c
		}
	}
	for len(commands) > 0 { // in messages no longer than a decree
		n := r.batch(commands)
		env.Send(proposer, &messages.Request{From: string(env.Self()), Commands: commands[:n:n]})
		commands = commands[n:]
	}
}

// handOverLost hands over all that waits when this replica lost a slot. It is the one
// beside the leader that wins them: while that has work, the next ones would be lost, too.
func (r *Replica) handOverLost(env Env) {
	proposer := r.besideLeader()
	if proposer == "" || proposer == env.Self() {
		return
	}
	for _, c := range r.requests {
		delete(r.queued, idOf(c))
	}
	r.handOver(env, proposer, r.requests)
	r.requests = nil
}

// handOverAgain asks the replica beside a new leader for what the one beside the
// last was asked for; whatever was decided meanwhile is executed once (S6).
func (r *Replica) handOverAgain(env Env) {
	commands := slices.SortedFunc(maps.Values(r.handed), func(a, b *messages.Command) int {
		return cmp.Compare(a.Sequence, b.Sequence)
	})
	clear(r.handed)
	r.onRequest(env, &messages.Request{From: string(env.Self()), Commands: commands})
}

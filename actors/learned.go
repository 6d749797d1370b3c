package actors

import (
	"slices"

	"github.com/pmmc-go/pmmc/messages"
)

// This file is how a replica tells others how far it is, and hears it of them: the
// acceptor and the leader beside it, those who may forget (S5), those who lag.

// tellAcceptor hands what this turn executed to the acceptor beside this replica,
// and its progress, now and then, to the leader beside it.
func (r *Replica) tellAcceptor(env Env) {
	for len(r.justRan) > 0 {
		c := r.epochs.at(r.justRan[0].Slot)
		n := 1
		for n < len(r.justRan) && r.epochs.at(r.justRan[n].Slot).Epoch == c.Epoch {
			n++
		}
		if me, _ := c.Member(r.ID); me.Acceptor {
			env.Send(AcceptorAddr(me.Name, c.Epoch), &messages.Decided{From: string(env.Self()), Decided: r.justRan[:n:n]})
		}
		r.justRan = r.justRan[n:]
	}
	r.justRan = nil
	if r.lag.started && r.slotOut >= r.told+max(1, r.window()/8) {
		r.tellLeaders(env)
	}
}

// tellLeaders tells the leaders beside this replica how far it is.
func (r *Replica) tellLeaders(env Env) {
	r.told = r.slotOut
	for _, c := range r.needed() {
		if me, _ := c.Member(r.ID); me.Leader {
			env.Send(LeaderAddr(me.Name, c.Epoch), r.learned(env))
		}
	}
}

func (r *Replica) learned(env Env) *messages.Learned {
	return &messages.Learned{
		From: string(env.Self()), Executed: r.slotOut, Durable: r.durable, Wanted: r.wanted(), Short: r.short,
		Marked: r.chain.last, Chain: r.chain.marks[r.chain.last],
	}
}

// onLearned takes note of how far another replica is.
func (r *Replica) onLearned(m *messages.Learned) {
	from := Addr(m.From)
	r.lag.executed[from], r.lag.heard[from] = m.Executed, r.ticks
	r.lag.durable[from] = max(r.lag.durable[from], m.Durable)
	r.lag.short[from] = m.Short
	r.chain.hear(from, m.Marked, m.Chain)
	if f := r.lag.fetch; f != nil && from != f.from && m.Executed > r.slotOut {
		f.elsewhere = true
	}
}

// tellOthers sends ⟨learned⟩ to all who need it: to replicas, that they see whether
// they lag, and to acceptors, that they may forget (S5). Without news it is sent
// less often, for those to whom it got lost.
func (r *Replica) tellOthers(env Env) {
	m := r.learned(env)
	news := m.Executed != r.lastTold.GetExecuted() || m.Durable != r.lastTold.GetDurable() || m.Wanted != r.lastTold.GetWanted() || m.Short != r.lastTold.GetShort()
	if !r.lag.started || (!news && r.ticks%quietTicks != 0) {
		return
	}
	r.lastTold = m
	for _, to := range r.needed().addresses(r.interested) {
		if to != env.Self() {
			env.Send(to, m)
		}
	}
}

// quietTicks is how many ticks a replica without news says nothing.
const quietTicks = 10

// interested lists who of a configuration is told how far this replica is: replicas,
// acceptors, the leader beside it, and leaders without a replica of their own.
func (r *Replica) interested(c Configuration) []Addr {
	leaders := c.addresses(func(m Member) (Addr, bool) {
		return LeaderAddr(m.Name, c.Epoch), m.Leader && (m.ID == r.ID || !m.Replica)
	})
	return slices.Concat(c.Replicas(), c.Acceptors(), leaders)
}

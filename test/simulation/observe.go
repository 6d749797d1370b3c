package simulation

import (
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// This file tells an observer what a live node would.

func (w *World) observe(e actors.Event) {
	if w.Observe != nil {
		w.Observe(e)
	}
}

func (p *process) observe(e actors.Event) {
	e.Self, e.Life = p.self, p.life
	p.node.world.observe(e)
}

func (n *Node) observeOpened() {
	n.world.observe(actors.Event{Kind: actors.Opened, Self: actors.Addr(n.member.Name), Message: &messages.Opened{
		Cluster: "simulation", Member: n.member.ID, Disk: uint64(n.member.ID), Incarnation: uint64(n.life),
		Executed: n.state.Out, Configurations: []*messages.Configuration{n.world.Config.Proto()},
	}})
}

// observed is the node's state, with its life told.
func (n *Node) observed() actors.State {
	self := actors.ReplicaAddr(n.member.Name)
	return actors.Observed(n.state, func(k actors.Kind, m proto.Message) {
		n.world.observe(actors.Event{Kind: k, Self: self, Message: m})
	})
}

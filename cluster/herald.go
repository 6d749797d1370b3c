package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// herald is the actor that tells other members how this node is, and asks them. It
// goes the way of the protocol's own messages, so members know each other by their
// certificates, and none has to be a client of another.
type herald struct {
	node *Node

	mu     sync.Mutex
	show   func() []byte // nil while there is nobody who would
	number uint64
	asked  map[uint64]asked
}

// asked is a question without an answer.
type asked struct {
	member string
	view   chan []byte // has room for it
}

// newHerald returns a herald whose questions begin at a number of its own: the answer to an
// earlier life of the node must not answer one of this life.
func newHerald(n *Node) *herald {
	return &herald{node: n, number: rand.Uint64() >> 1, asked: make(map[uint64]asked)}
}

// Present sets how this node shows itself to members that ask. It must not block.
func (n *Node) Present(show func() []byte) {
	n.herald.mu.Lock()
	defer n.herald.mu.Unlock()
	n.herald.show = show
}

// Ask asks another member to show itself, and returns what its Present makes there. It
// is empty where nobody presents.
func (n *Node) Ask(ctx context.Context, member string) ([]byte, error) {
	if !n.transport.Stats().Peers[member].Connected {
		return nil, fmt.Errorf("cluster: ask %s: no connection", member)
	}
	h := n.herald
	a := asked{member, make(chan []byte, 1)}
	h.mu.Lock()
	h.number++
	number := h.number
	h.asked[number] = a
	h.mu.Unlock()
	defer h.forget(number)
	n.tree.Send(actors.HeraldAddr(member), &messages.Show{From: h.self(), Number: number})
	select {
	case view := <-a.view:
		return view, nil
	case <-n.ending:
		return nil, ErrStopped
	case <-ctx.Done():
		return nil, fmt.Errorf("cluster: ask %s: no answer: %w", member, context.Cause(ctx))
	}
}

func (h *herald) self() string { return string(actors.HeraldAddr(h.node.options.Member)) }

func (h *herald) forget(number uint64) (a asked, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a, known = h.asked[number]
	delete(h.asked, number)
	return a, known
}

// heraldActor is the actor of a herald. What waits for an answer is the herald's.
type heraldActor struct{ *herald }

// Receive is one turn.
func (h heraldActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *messages.Show:
		h.onShow(m)
	case *messages.Shown:
		if a, known := h.forget(m.Number); known && a.member == actors.Addr(m.From).Member() {
			a.view <- m.View
		}
	}
}

func (h *herald) onShow(m *messages.Show) {
	h.mu.Lock()
	show := h.show
	h.mu.Unlock()
	answer := &messages.Shown{From: h.self(), Number: m.Number}
	if show != nil {
		answer.View = show()
	}
	h.node.tree.Send(actors.Addr(m.From), answer)
}

package simulation

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
)

// Cut takes a link down, in one direction.
func (w *World) Cut(from, to string) { w.cut[[2]string{from, to}] = from != to }

// Heal brings all links up.
func (w *World) Heal() { clear(w.cut) }

// deliver sends m, as the network wants it.
func (w *World) deliver(from string, to actors.Addr, m proto.Message) {
	local := from == to.Member()
	times := 1
	if !local && w.happens(w.Loss) {
		times = 0
	} else if !local && w.happens(w.Repeat) {
		times = 2
	}
	node := w.nodeOf(to)
	if times == 0 || node == nil {
		return
	}
	if !local {
		m = proto.Clone(m) // nodes share nothing; roles of one node do
	}
	if !local && w.happens(w.Late) {
		w.at(w.draw(100*tick), func() { // it comes once more, when nobody thinks of it
			if node.up && !w.cut[[2]string{from, to.Member()}] {
				node.receive(to, m)
			}
		})
	}
	for range times {
		delay := w.draw(100 * time.Microsecond)
		if !local {
			delay = w.draw(w.Delay) + node.slow
		}
		life := node.life
		w.at(delay, func() {
			if node.up && !w.cut[[2]string{from, to.Member()}] && (!local || node.life == life) {
				node.receive(to, m)
			}
		})
	}
}

func (w *World) nodeOf(a actors.Addr) *Node {
	i := slices.IndexFunc(w.Nodes, func(n *Node) bool { return n.name == a.Member() })
	if i < 0 {
		return nil
	}
	return w.Nodes[i]
}

// shapes are ways in which links fail together.
var shapes = []struct {
	name string
	up   func(w *World, i, j, k int) bool // whether the link from i to j stays; k is drawn
}{
	{"a node alone", func(_ *World, i, j, k int) bool { return i != k && j != k }},
	{"a node that is not heard", func(_ *World, i, _, k int) bool { return i != k }},
	{"a node that does not hear", func(_ *World, _, j, k int) bool { return j != k }},
	{"a hub", func(_ *World, i, j, k int) bool { return i == k || j == k }},
	{"a chain", func(_ *World, i, j, _ int) bool { return i-j == 1 || j-i == 1 }},
	{"two sides", func(_ *World, i, j, k int) bool { return (i <= k) == (j <= k) }},
	{"links at random", func(w *World, _, _, _ int) bool { return w.rng.IntN(3) > 0 }},
}

// breakLinks gives the network a shape.
func (w *World) breakLinks() {
	shape := shapes[w.rng.IntN(len(shapes))]
	k := w.rng.IntN(len(w.Nodes))
	w.Heal()
	for i, from := range w.Nodes {
		for j, to := range w.Nodes {
			if i != j && !shape.up(w, i, j, k) {
				w.Cut(from.name, to.name)
			}
		}
	}
	w.Counts["broken links"]++
	w.tell("links: %s (%s)", shape.name, fmt.Sprint(w.Nodes[k].name))
}

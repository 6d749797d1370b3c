package simulation

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// Client writes and reads at the side of one node, a few commands at a time, and
// checks what it is told. It dies with its node.
type Client struct {
	node     *Node
	stopped  bool
	sequence uint64
	open     map[uint64]*attempt
	reads    map[uint64]*attempt
	read     uint64
}

// attempt is an operation that has no answer yet.
type attempt struct {
	command *messages.Command // nil for a read
	acked   int               // how many commands were acknowledged to anybody before it
	since   time.Duration
	record  *record
}

func newClient(n *Node) *Client {
	c := &Client{node: n, open: make(map[uint64]*attempt), reads: make(map[uint64]*attempt)}
	if n.Client != nil {
		c.stopped = n.Client.stopped
	}
	for range n.world.Threads {
		c.write()
	}
	c.readAgain()
	c.tick()
	return c
}

func (c *Client) abandon() {
	c.open, c.reads, c.stopped = nil, nil, c.stopped || !c.node.up && c.node.member().ID == 0
}

// forsake gives up what is open: the replica beside the client ends. The client goes on
// once there is one again.
func (c *Client) forsake() {
	writes, reads := len(c.open), len(c.reads)
	clear(c.open)
	clear(c.reads)
	for range writes {
		c.write()
	}
	if reads > 0 {
		c.readAgain()
	}
}

// Stop makes the client begin nothing more.
func (c *Client) Stop() { c.stopped = true }

// waits tells whether something has no answer.
func (c *Client) waits() bool { return len(c.open)+len(c.reads) > 0 }

// later does something if the client still lives then.
func (c *Client) later(d time.Duration, do func()) {
	c.node.world.at(d, func() {
		if c.node.up && c.node.Client == c {
			do()
		}
	})
}

func (c *Client) write() {
	me := c.node.member()
	switch {
	case c.stopped:
		return
	case !me.Replica || c.node.world.idle:
		c.later(2*tick, c.write)
		return
	}
	c.sequence++
	name := fmt.Sprintf("%s/%d/%d", c.node.name, c.node.life, c.sequence)
	c.propose(&messages.Command{Operation: []byte(name)}, c.node.world.history.begin(name))
}

// propose asks for a command.
func (c *Client) propose(cmd *messages.Command, r *record) {
	cmd.Client, cmd.Incarnation, cmd.Sequence = c.node.member().ID, c.node.id.Incarnation, c.sequence
	c.open[c.sequence] = &attempt{command: cmd, since: c.node.world.Now, record: r}
	cmd.Settled = slices.Min(slices.Collect(maps.Keys(c.open)))
	c.send(&messages.Request{Commands: []*messages.Command{cmd}})
}

// reconfigure asks for a configuration.
func (c *Client) reconfigure(next actors.Configuration) {
	c.sequence++
	c.propose(&messages.Command{Configuration: next.Proto()}, nil)
}

func (c *Client) readAgain() {
	switch {
	case c.stopped:
		return
	case !c.node.member().Replica || c.node.world.idle:
		c.later(2*tick, c.readAgain)
		return
	}
	c.read++
	c.reads[c.read] = &attempt{acked: len(c.node.world.ackedOps), since: c.node.world.Now, record: c.node.world.history.begin("")}
	c.send(&messages.Read{Number: c.read})
}

func (c *Client) send(m proto.Message) {
	c.node.world.deliver(c.node.name, actors.ReplicaAddr(c.node.name), m)
}

// tick asks again for what has no answer.
func (c *Client) tick() {
	c.later(6*tick, func() {
		for _, seq := range slices.Sorted(maps.Keys(c.open)) {
			c.send(&messages.Request{From: c.node.name, Commands: []*messages.Command{c.open[seq].command}, Again: true})
		}
		if len(c.reads) > 0 {
			c.send(&messages.Read{Number: c.read})
		}
		c.tick()
	})
}

func (c *Client) receive(m proto.Message) {
	switch m := m.(type) {
	case *messages.Response:
		if m.Incarnation != c.node.id.Incarnation {
			return // to a life of before
		}
		for _, a := range m.Answers {
			c.answered(a)
		}
	case *messages.ReadReady:
		for _, number := range slices.Sorted(maps.Keys(c.reads)) {
			if number <= m.Number {
				c.looks(number)
			}
		}
	}
}

func (c *Client) answered(a *messages.Answer) {
	w, open := c.node.world, c.open[a.Sequence]
	if open == nil {
		return
	}
	delete(c.open, a.Sequence)
	cmd := open.command
	switch {
	case a.Refused:
		w.broken("S6: %s was refused in its own session", cmd)
	case cmd.Configuration != nil && len(a.Result) == 0:
		w.Counts["reconfiguration"]++
		w.tell("epoch %d is decided", cmd.Configuration.Epoch)
	case cmd.Configuration == nil:
		w.ackedOps = append(w.ackedOps, string(cmd.Operation))
		w.history.end(open.record, string(a.Result))
		w.Counts["acked"]++
		c.later(w.draw(6*tick), c.write)
	}
}

// looks reads the state: it must hold what was acknowledged before the read began.
func (c *Client) looks(number uint64) {
	w, read := c.node.world, c.reads[number]
	for _, must := range w.ackedOps[:read.acked] {
		if !c.node.state.ran[must] {
			w.broken("S8: a read at %s misses %s, acknowledged before it came", c.node.name, must)
			return
		}
	}
	w.history.end(read.record, fmt.Sprint(len(c.node.state.Log)))
	w.Counts["read"]++
	delete(c.reads, number)
	c.later(w.draw(8*tick), c.readAgain)
}

package conformance

import (
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// command is a command of a decree, with a digest in place of its operation.
type command struct {
	commandID
	settled   uint64
	operation uint64
	next      *messages.Configuration // of a reconfiguration, in place of the operation
}

type commandID struct {
	client      uint32
	incarnation uint64
	sequence    uint64
}

// commandsOf decodes a decree. Bytes that are none are a no-op.
func commandsOf(decree []byte) []command {
	d := &messages.Decree{}
	if proto.Unmarshal(decree, d) != nil {
		return nil
	}
	all := make([]command, 0, len(d.Commands))
	for _, c := range d.Commands {
		all = append(all, command{commandID{c.Client, c.Incarnation, c.Sequence}, c.Settled, actors.Digest(c.Operation), c.Configuration})
	}
	return all
}

// run is what executing a slot comes to.
type run struct {
	commands   []commandID
	operations []uint64
	results    []uint64
	changes    map[commandID]bool // of configuration: whether they are accepted
	place      map[commandID]int  // of commands, once somebody asked
}

// resultOf finds what came of a command.
func (r *run) resultOf(id commandID) (result uint64, ok bool) {
	if r.place == nil {
		r.place = make(map[commandID]int, len(r.commands))
		for i, c := range r.commands {
			r.place[c] = i
		}
	}
	i, ok := r.place[id]
	if !ok || i >= len(r.results) {
		return 0, false
	}
	return r.results[i], true
}

// sessions is the model of S6, by client: Fig. 1 l. 10 with a memory that ends. A
// client's later incarnation ends the session before it, and within a session the
// client settles commands, from the next slot on.
type sessions map[uint32]*session

type session struct {
	incarnation uint64
	settled     uint64
	done        map[uint64]bool
}

// runs is what a slot comes to.
func (r *Referee) runs(slot uint64, commands []command) run {
	fresh := r.sessions.execute(commands)
	ran := run{changes: make(map[commandID]bool)}
	for _, c := range fresh {
		if c.next != nil {
			ran.changes[c.commandID] = r.reconfigures(slot, actors.ConfigurationOf(c.next))
			continue
		}
		ran.commands = append(ran.commands, c.commandID)
		ran.operations = append(ran.operations, c.operation)
	}
	return ran
}

// execute tells which commands of a slot are executed: those that were not before,
// in sessions that have not ended.
func (s sessions) execute(commands []command) (fresh []command) {
	settled := make(map[uint32]uint64)
	for _, c := range commands {
		of := s[c.client]
		if of == nil || c.incarnation > of.incarnation {
			of = &session{incarnation: c.incarnation, done: make(map[uint64]bool)}
			s[c.client] = of
			delete(settled, c.client)
		}
		if c.incarnation < of.incarnation || c.sequence < of.settled || of.done[c.sequence] {
			continue
		}
		of.done[c.sequence] = true
		settled[c.client] = max(settled[c.client], c.settled)
		fresh = append(fresh, c)
	}
	for client, below := range settled {
		of := s[client]
		for ; of.settled < below; of.settled++ {
			delete(of.done, of.settled)
		}
	}
	return fresh
}

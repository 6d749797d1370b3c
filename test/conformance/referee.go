package conformance

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// Options change how a Referee judges.
type Options struct {
	// Merged says that the order of events is one of several that may have been, as
	// when the traces of nodes were merged. What came first on different nodes is then
	// not known, and a read is judged by what its protocol did, not by what it missed.
	Merged bool
	// Name says where an event stands; the default counts them.
	Name func(place uint64) string
}

// Counts are what a Referee has seen, so that nobody takes an empty trace for a good one.
type Counts struct {
	Events   uint64
	Starts   int // of nodes
	Lives    int // of roles
	Messages int // received
	Ballots  int // said in a p1a
	Adopted  int // of those
	Votes    int // p2b that accept
	Decided  int // slots
	Executed int // slots, by all replicas
	Commands int // executed, each once
	Reads    int // times that a replica let reads look
	Forgot   int // times that an acceptor forgot slots
}

// String is a summary in one line.
func (c Counts) String() string {
	return fmt.Sprintf("referee: %d events, %d messages, %d starts of nodes, %d lives of roles, %d ballots (%d adopted), "+
		"%d votes, %d slots decided, %d executed, %d commands, %d rounds of reads, %d times forgotten",
		c.Events, c.Messages, c.Starts, c.Lives, c.Ballots, c.Adopted,
		c.Votes, c.Decided, c.Executed, c.Commands, c.Reads, c.Forgot)
}

// Referee judges one stream of the events of all nodes of a cluster. It is not safe
// for concurrent use.
type Referee struct {
	options Options
	counts  Counts
	now     actors.Event // under judgement
	at      place
	breach  *Breach

	whole  bool              // the trace begins with the cluster
	epochs []*epoch          // that are not over, in order
	named  map[uint32]string // members, ever

	nodes      map[string]*node
	roles      map[actors.Addr]*role
	disks      map[actors.Addr]*disk
	acceptors  map[actors.Addr]*acceptor
	leaders    map[actors.Addr]*leader
	campaigns  map[actors.Addr]*campaign // by scout
	proposals  map[actors.Addr]*proposal // by commander
	replicas   map[actors.Addr]*replica
	slots      map[uint64]*slot
	floor      uint64 // slots below this are forgotten here, too
	next       uint64 // the first slot that no replica executed
	sessions   sessions
	responded  uint64 // the highest slot that a client got an answer from
	respondent past
	wire       *wire
}

// New returns a referee that has seen nothing.
func New(o Options) *Referee {
	if o.Name == nil {
		o.Name = func(n uint64) string { return fmt.Sprintf("event %d", n) }
	}
	return &Referee{
		options: o, whole: true, floor: 1, next: 1, named: make(map[uint32]string),
		nodes: make(map[string]*node), roles: make(map[actors.Addr]*role),
		disks: make(map[actors.Addr]*disk), acceptors: make(map[actors.Addr]*acceptor),
		leaders: make(map[actors.Addr]*leader), campaigns: make(map[actors.Addr]*campaign),
		proposals: make(map[actors.Addr]*proposal), replicas: make(map[actors.Addr]*replica),
		slots: make(map[uint64]*slot), sessions: make(sessions), wire: newWire(o.Merged),
	}
}

// Judge takes the next event, and returns the breach if it is the first that breaks a
// rule. After a breach nothing is judged.
func (r *Referee) Judge(e actors.Event) *Breach { return r.judge(e, place(r.counts.Events+1)) }

func (r *Referee) judge(e actors.Event, at place) *Breach {
	if r.breach != nil {
		return nil
	}
	r.counts.Events++
	r.now, r.at = e, at
	if e.Kind == actors.Opened {
		r.onOpened(e)
	} else if p := r.roleOf(e); p != nil {
		r.onEvent(p, e)
	}
	return r.breach
}

// ErrNothing is returned when nothing was decided: a trace that shows nothing.
var ErrNothing = errors.New("referee: nothing was judged: no slot was decided")

// Finish ends the stream. It returns the breach, if there was one, or ErrNothing.
func (r *Referee) Finish() error {
	switch {
	case r.breach != nil:
		return r.breach
	case r.counts.Decided == 0:
		return ErrNothing
	}
	return nil
}

// Counts tells what was seen.
func (r *Referee) Counts() Counts { return r.counts }

func (r *Referee) onEvent(p *role, e actors.Event) {
	switch e.Kind {
	case actors.Restored:
		r.onRestored(p, e.Message)
	case actors.Started:
		r.onStarted(p)
	case actors.Received:
		r.onReceived(p, e.Message)
	case actors.Sent:
		r.onSent(p, e.Peer, e.Message)
	case actors.Persisted:
		r.onPersisted(p, e)
	case actors.Durable:
		r.onDurable(p, e.Number)
	case actors.Spawned:
		r.onSpawned(p, e.Peer)
	case actors.Exited:
		delete(r.roles, p.self)
	case actors.Panicked:
		p.turn = nil
	case actors.Executed, actors.Installed:
		r.onState(p, e.Message)
	default:
		r.breaks("trace", fmt.Sprintf("there is no event of the kind %q", e.Kind))
	}
}

func (r *Referee) onReceived(p *role, m proto.Message) {
	if !r.wire.heard(p.self, m) {
		r.breaks("wire", fmt.Sprintf("nobody sent this to %s", p.self))
		return
	}
	r.counts.Messages++
	if p.kind == leaderRole {
		r.endTurn(r.leaders[p.self])
	}
	p.turn = m
	switch p.kind {
	case acceptorRole:
		r.acceptorHears(r.acceptors[p.self], m)
	case leaderRole:
		r.leaderHears(r.leaders[p.self], m)
	case scoutRole:
		r.scoutHears(r.campaigns[p.self], m)
	case commanderRole:
		r.commanderHears(r.proposals[p.self], m)
	case replicaRole:
		r.replicaHears(r.replicas[p.self], m)
	}
}

func (r *Referee) onSent(p *role, to actors.Addr, m proto.Message) {
	if p2a, ok := m.(*messages.P2A); ok && p.kind == acceptorRole {
		r.passesOn(p, to, p2a)
		return
	}
	if from, ok := m.(interface{ GetFrom() string }); !ok || from.GetFrom() != string(p.self) {
		r.breaks("S11", fmt.Sprintf("%s sends a message in another's name", p.self))
		return
	}
	r.wire.say(to, m)
	switch p.kind {
	case acceptorRole:
		r.acceptorSays(r.acceptors[p.self], to, m)
	case leaderRole:
		r.leaderSays(r.leaders[p.self], to, m)
	case scoutRole:
		r.scoutSays(p, r.campaigns[p.self], to, m)
	case commanderRole:
		r.commanderSays(p, r.proposals[p.self], to, m)
	case replicaRole:
		r.replicaSays(p, r.replicas[p.self], to, m)
	}
}

// digest is how decrees are compared and named.
type digest uint64

func digestOf(decree []byte) digest { return digest(actors.Digest(decree)) }

func (d digest) String() string { return fmt.Sprintf("decree %08x", uint64(d)&0xffffffff) }

// noop is the decree of a hole (S9).
var noop = digestOf(nil)

// vote is a pvalue without its slot, and with a digest in place of its decree.
type vote struct {
	ballot actors.Ballot
	decree digest
}

func voteOf(v *messages.PValue) vote {
	return vote{actors.BallotOf(v.GetBallot()), digestOf(v.GetDecree())}
}

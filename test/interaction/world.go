// Package interaction plays scripts with the production roles and prints what they
// say to each other. A script is one idea; its transcript is read as documentation.
package interaction

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// world is a cluster whose messages wait until a script delivers them.
type world struct {
	config actors.Configuration
	roles  map[actors.Addr]*process
	states map[string]*logState
	disks  map[string][]*messages.Record
	queue  []envelope
	out    strings.Builder
	ended  map[uint64]bool // epochs
	held   bool            // disks complete no write until told
	quiet  bool            // elections are played without a word
}

type envelope struct {
	from, to actors.Addr
	m        proto.Message
}

// process is a role and its Env.
type process struct {
	w       *world
	self    actors.Addr
	role    actors.Role
	turnOf  proto.Message      // under way
	waiting []func()           // behind the disk barrier
	unsaved []*messages.Record // not on disk yet
}

func newWorld(n int, window uint64) *world {
	w := &world{
		roles: make(map[actors.Addr]*process), states: make(map[string]*logState),
		disks: make(map[string][]*messages.Record), ended: make(map[uint64]bool),
	}
	w.config.Epoch, w.config.First, w.config.Window = 1, 1, window
	for i, name := range []string{"alpha", "beta", "gamma", "delta", "epsilon"}[:n] {
		w.config.Members = append(w.config.Members, actors.Member{
			ID: uint32(i + 1), Name: name, Replica: true, Leader: true, Acceptor: true,
		})
	}
	for _, m := range w.config.Members {
		w.states[m.Name] = &logState{out: 1}
		w.start(m, window)
	}
	w.settle()
	return w
}

// start starts the roles of a member on what its disk holds.
func (w *world) start(m actors.Member, window uint64) {
	w.startEpoch(m, w.config, false)
	w.spawn(actors.ReplicaAddr(m.Name), actors.NewReplica(actors.ReplicaOptions{
		ID: m.ID, Name: m.Name, Incarnation: 1, Configuration: w.config, State: w.states[m.Name],
		Pipeline: int(window), BatchCommands: 8, BatchBytes: 1 << 20, ChunkBytes: 1 << 20, Tick: time.Second,
	}))
}

// startEpoch starts the acceptor and the leader of a member in a configuration.
func (w *world) startEpoch(m actors.Member, c actors.Configuration, eager bool) {
	w.spawn(actors.AcceptorAddr(m.Name, c.Epoch), actors.NewAcceptor(actors.AcceptorOptions{
		Configuration: c, ChunkBytes: 1 << 20, RetainBytes: 1 << 20,
	}))
	w.spawn(actors.LeaderAddr(m.Name, c.Epoch), actors.NewLeader(actors.LeaderOptions{
		ID: m.ID, Configuration: c, Eager: eager, Tick: 50 * time.Millisecond, Resend: time.Second,
		Timeout: actors.TimeoutOptions{
			Initial: 200 * time.Millisecond, Min: 200 * time.Millisecond, Max: time.Second, Factor: 2, Step: time.Millisecond,
		},
	}))
}

// steward starts and ends the roles of a member as its node would.
func (w *world) steward(member string, m *messages.Configured) {
	needed := make(map[uint64]bool)
	for _, c := range m.Configurations {
		needed[c.Epoch] = true
		config := actors.ConfigurationOf(c)
		me, ok := config.Named(member)
		if _, lives := w.roles[actors.AcceptorAddr(member, c.Epoch)]; lives || !ok || w.ended[c.Epoch] {
			continue
		}
		w.say("  %s starts acceptor and leader of epoch %d\n", member, c.Epoch)
		w.startEpoch(me, config, me.ID == m.Heir && c.Epoch > 1)
	}
	for addr := range w.roles {
		epoch, isOf := addr.Epoch()
		if isOf && addr.Member() == member && !needed[epoch] {
			w.ended[epoch] = true
			delete(w.roles, addr)
		}
	}
}

func (w *world) spawn(self actors.Addr, r actors.Role) {
	p := &process{w: w, self: self, role: r}
	w.roles[self] = p
	if restorer, ok := r.(actors.Restorer); ok {
		for _, rec := range w.disks[self.Member()] {
			if rec.Owner == self.Path() {
				restorer.Restore(rec)
			}
		}
	}
	r.Start(p)
}

// crash ends the roles of a member; what was not on disk is lost.
func (w *world) crash(member string) {
	for addr := range w.roles {
		if addr.Member() == member {
			delete(w.roles, addr)
		}
	}
}

// receive gives a message to its receiver, if it lives.
func (w *world) receive(e envelope) {
	switch m := e.m.(type) {
	case *messages.Configured:
		w.steward(e.to.Member(), m)
		return
	case *messages.Response, *messages.ReadReady:
		return // the client is content
	}
	p, ok := w.roles[e.to]
	if !ok {
		if describe(e.m) != "" {
			w.say("  nobody home\n")
		}
		return
	}
	p.turnOf = proto.Clone(e.m)
	p.role.Receive(p, p.turnOf)
}

func (w *world) say(format string, args ...any) {
	if !w.quiet {
		fmt.Fprintf(&w.out, format, args...)
	}
}

// deliver delivers waiting messages that match, and those that they cause, in order.
func (w *world) deliver(match func(envelope) bool) {
	for {
		i := slices.IndexFunc(w.queue, match)
		if i < 0 {
			return
		}
		e := w.queue[i]
		w.queue = slices.Delete(w.queue, i, i+1)
		if text := describe(e.m); text != "" {
			w.say("%s -> %s  %s\n", short(e.from), short(e.to), text)
		}
		w.receive(e)
	}
}

// settle delivers the messages that scripts do not show.
func (w *world) settle() {
	w.deliver(func(e envelope) bool { return describe(e.m) == "" })
}

// Self is the role's address.
func (p *process) Self() actors.Addr { return p.self }

// Now stands still: time passes when a script says so.
func (p *process) Now() time.Duration { return 0 }

// Rand is no choice of the script's.
func (p *process) Rand() uint64 { return 0 }

// Life is always the first.
func (p *process) Life() uint64 { return 1 }

// Refuse shows a message that a role has no use for.
func (p *process) Refuse(m proto.Message) { p.w.say("  %s refuses %T\n", short(p.self), m) }

// After does nothing: time passes when a script says so.
func (p *process) After(time.Duration, proto.Message) {}

// Exit ends the role.
func (p *process) Exit() {
	p.w.say("  %s exits\n", short(p.self))
	delete(p.w.roles, p.self)
}

// Send queues a message, once the disk barrier lets it.
func (p *process) Send(to actors.Addr, m proto.Message) {
	p.do(func() { p.w.queue = append(p.w.queue, envelope{p.self, to, proto.Clone(m)}) })
}

// Forward queues the message of this turn at once.
func (p *process) Forward(to actors.Addr) {
	p.w.queue = append(p.w.queue, envelope{p.self, to, proto.Clone(p.turnOf)})
}

// Spawn starts a child, once the disk barrier lets it.
func (p *process) Spawn(name string, build func() actors.Role) {
	child := actors.Addr(string(p.self) + "/" + name)
	p.do(func() {
		if _, lives := p.w.roles[child]; lives {
			return
		}
		p.w.say("  %s spawns %s\n", short(p.self), name)
		p.w.spawn(child, build())
	})
}

func (p *process) do(effect func()) {
	if len(p.unsaved) > 0 {
		p.waiting = append(p.waiting, effect)
		return
	}
	effect()
}

// Persist writes a record, now or when the script says sync.
func (p *process) Persist(rec *messages.Record) {
	rec = proto.Clone(rec).(*messages.Record)
	rec.Owner = p.self.Path()
	if text := describeRecord(rec); text != "" {
		p.w.say("  %s writes %s\n", short(p.self), text)
	}
	p.unsaved = append(p.unsaved, rec)
	if !p.w.held {
		p.sync()
	}
}

// Recall reads what is on disk.
func (p *process) Recall(_, _ uint64, f func(*messages.PValue) bool) {
	for _, rec := range p.w.disks[p.self.Member()] {
		if v := rec.GetPvalue(); v != nil && rec.Owner == p.self.Path() && !f(v) {
			return
		}
	}
}

func (p *process) sync() {
	p.w.disks[p.self.Member()] = append(p.w.disks[p.self.Member()], p.unsaved...)
	waiting := p.waiting
	p.unsaved, p.waiting = nil, nil
	for _, effect := range waiting {
		effect()
	}
}

// logState is a state machine that lists the operations that it executed.
type logState struct {
	out    uint64
	log    []string
	staged []string
	saved  []*messages.SessionRecord
	epochs []*messages.Configuration
}

func (s *logState) Configurations() []*messages.Configuration { return s.epochs }

// Chain is not kept.
func (s *logState) Chain() uint64                       { return 0 }
func (s *logState) SlotOut() uint64                     { return s.out }
func (s *logState) Sessions() []*messages.SessionRecord { return s.saved }
func (s *logState) Execute(_ uint64, operations [][]byte) (results [][]byte) {
	for _, op := range operations {
		s.staged = append(s.staged, string(op))
		results = append(results, []byte("done "+string(op)))
	}
	return results
}

func (s *logState) Commit(slot uint64, c actors.Changes) {
	s.log, s.staged = append(s.log, s.staged...), nil
	for _, rec := range c.Put {
		s.saved = append(s.saved, proto.Clone(rec).(*messages.SessionRecord))
	}
	if c.Configurations != nil {
		s.epochs = c.Configurations
	}
	s.out = slot + 1
}

func (s *logState) Snapshot() actors.SnapshotReader { panic("no script takes a snapshot") }
func (s *logState) Restore() actors.SnapshotWriter  { panic("no script takes a snapshot") }

package runtime

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/scheduler"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// shell is the protoactor process of one role, and the role's Env. A restart makes
// a new shell: what waited in the old one is gone.
type shell struct {
	node  *Node
	self  actors.Addr
	build func() actors.Role

	mailbox *mailbox
	ctx     actor.Context
	role    actors.Role
	life    uint64 // its number
	counted life
	stood   Change        // where its leader last stood
	turnOf  proto.Message // under way
	gone    bool          // the role called Exit
	rand    *rand.Rand
	written uint64   // records persisted
	durable uint64   // of those, on disk
	waiting []effect // what the barrier holds back, first in, first out
	sizes   []int    // of the records that are not on disk
	unsaved int      // their sum
	timers  map[*timer]scheduler.CancelFunc
	late    []*timer // whose time came when the role had too much to save

	unreadable map[string]struct{} // why the role could not read from the journal, as far as that was told

	children map[string]struct{} // by the names of their processes, until they are known to be over
}

// effect is what a role did behind the disk barrier.
type effect struct {
	after uint64 // records that must be on disk
	to    actors.Addr
	m     proto.Message
	name  string
	build func() actors.Role
}

// Messages of a shell to itself. Each names the shell, so that those of an earlier
// life of the actor are known.
type (
	synced struct {
		of *shell
		n  uint64
	}
	timer struct {
		of *shell
		m  proto.Message
	}
	show struct{ reply chan any }
)

// Receive is called by protoactor, one message at a time.
func (s *shell) Receive(ctx actor.Context) {
	s.ctx = ctx
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.start()
	case *actor.Restarting, *actor.Stopping:
		s.end()
	case *actor.Stopped:
		s.node.alive.Delete(s.self)
		s.counted.end(s.mailbox)
	case *actor.Terminated:
		delete(s.children, m.Who.Id)
	case *synced:
		if m.of == s && !s.gone {
			s.saved(m.n)
			s.observe(actors.Event{Kind: actors.Durable, Number: m.n})
			s.release()
			s.catchUp()
		}
	case *timer:
		if s.isFull() {
			s.late = append(s.late, m)
			return
		}
		s.ring(m)
	case *show:
		s.show(m)
	case proto.Message:
		if s.isFull() {
			s.Refuse(m) // as if the network had lost it
			return
		}
		s.turn(m)
	}
}

// What a role may leave behind its disk barrier before it takes no more messages: others
// go on and speak to it while its disk hangs, and memory must not grow for so long. It is
// far more than is in flight while disks are well.
const (
	maxWaiting = 1 << 16   // effects
	maxUnsaved = 256 << 20 // bytes of records
)

func (s *shell) isFull() bool { return len(s.waiting) > maxWaiting || s.unsaved > maxUnsaved }

// ring gives the role what a timer was to bring, unless that is of an earlier life.
func (s *shell) ring(t *timer) {
	if _, awaited := s.timers[t]; awaited && t.of == s {
		delete(s.timers, t)
		s.turn(t.m)
	}
}

// catchUp rings those who are late: timers cannot be refused, a role would never tick again.
func (s *shell) catchUp() {
	for len(s.late) > 0 && !s.isFull() {
		t := s.late[0]
		s.late = s.late[1:]
		s.ring(t)
	}
}

// saved takes note that the first n records of this life are on disk.
func (s *shell) saved(n uint64) {
	for ; s.durable < n; s.durable++ {
		s.unsaved -= s.sizes[0]
		s.sizes = s.sizes[1:]
	}
}

// start builds the role, gives it back what it persisted, and lets it begin.
func (s *shell) start() {
	s.timers, s.children = make(map[*timer]scheduler.CancelFunc), make(map[string]struct{})
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.self)) // a hash takes all
	s.life = s.node.lives.Add(1)
	s.rand = rand.New(rand.NewPCG(s.node.Seed, h.Sum64()+s.life)) // no life repeats what another drew
	s.node.alive.Store(s.self, s.mailbox)
	s.role = s.build()
	s.counted = s.node.counts.begin(s.self, s.role)
	if r, ok := s.role.(actors.Restorer); ok {
		restore := func(rec *messages.Record) {
			s.observe(actors.Event{Kind: actors.Restored, Message: rec})
			r.Restore(rec)
		}
		if err := s.node.Journal.Replay(s.self.Path(), restore); err != nil {
			panic(actors.Failure{Err: fmt.Errorf("runtime: restore %s: %w", s.self, err)})
		}
	}
	s.observe(actors.Event{Kind: actors.Started})
	s.role.Start(s)
}

// end frees what the role and the shell hold.
func (s *shell) end() {
	for _, cancel := range s.timers {
		cancel()
	}
	clear(s.timers)
	s.waiting, s.late = nil, nil
	s.gone = true // protoactor still delivers messages to an actor that stops
	if r, ok := s.role.(actors.Stopper); ok {
		r.Stop()
	}
}

// turn is one turn of the role's loop.
func (s *shell) turn(m proto.Message) {
	if s.gone {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			s.observe(actors.Event{Kind: actors.Panicked})
			s.node.Logger.Debug("panic in a role", "role", s.self, "reason", r, "stack", stack())
			panic(r) // the supervisor decides
		}
	}()
	s.turnOf = m
	s.observe(actors.Event{Kind: actors.Received, Message: m})
	_, s.counted.again = m.(*messages.Tick)
	s.role.Receive(s, m)
	s.noteStand(m)
}

func (s *shell) observe(e actors.Event) {
	if s.node.Observe != nil {
		e.Self, e.Life = s.self, s.life
		s.node.Observe(e)
	}
}

func (s *shell) show(m *show) {
	switch r := s.role.(type) {
	case *actors.Replica:
		m.reply <- r.View()
	case *actors.Leader:
		m.reply <- r.View()
	case *actors.Acceptor:
		m.reply <- r.View()
	}
}

// Self is the role's address.
func (s *shell) Self() actors.Addr { return s.self }

// Now is the time since the node began.
func (s *shell) Now() time.Duration { return time.Since(s.node.began) }

// Rand draws from the node's seed, and from the life.
func (s *shell) Rand() uint64 { return s.rand.Uint64() }

// Life numbers the lives of all roles of the node.
func (s *shell) Life() uint64 { return s.life }

// Refuse counts a message.
func (s *shell) Refuse(m proto.Message) { s.node.counts.refuse(s.self, m) }

// Send sends, now or when the barrier allows.
func (s *shell) Send(to actors.Addr, m proto.Message) {
	s.node.counts.sent(&s.counted, m)
	s.do(effect{to: to, m: m})
}

// Forward sends the message of this turn at once: it rests on no record.
func (s *shell) Forward(to actors.Addr) { s.perform(effect{to: to, m: s.turnOf}) }

// Spawn spawns, now or when the barrier allows.
func (s *shell) Spawn(name string, build func() actors.Role) {
	s.do(effect{name: name, build: build})
}

// do is the disk barrier.
func (s *shell) do(e effect) {
	if s.durable == s.written {
		s.perform(e)
		return
	}
	e.after = s.written
	s.waiting = append(s.waiting, e)
}

// release lets out what the disk has caught up with.
func (s *shell) release() {
	n := 0
	for ; n < len(s.waiting) && s.waiting[n].after <= s.durable; n++ {
		s.perform(s.waiting[n])
		s.waiting[n] = effect{} // for the garbage collector
	}
	if s.waiting = s.waiting[n:]; len(s.waiting) == 0 {
		s.waiting = nil
	}
}

func (s *shell) perform(e effect) {
	if e.build == nil {
		s.observe(actors.Event{Kind: actors.Sent, Peer: e.to, Message: e.m})
		s.ctx.Send(s.node.PID(e.to), e.m)
		return
	}
	child := actors.Addr(string(s.self) + "/" + e.name)
	s.observe(actors.Event{Kind: actors.Spawned, Peer: child})
	// A name is free before its parent is told so. Protoactor would take that for the end
	// of a child that has the name by then, and no longer stop it with its parent.
	if _, lives := s.children[s.ctx.Self().Id+"/"+e.name]; lives {
		return
	}
	pid, err := s.ctx.SpawnNamed(s.node.role(child, e.build), e.name)
	if err != nil {
		panic(fmt.Errorf("runtime: spawn %s: %w", child, err))
	}
	s.children[pid.Id] = struct{}{}
}

// Exit stops the actor after this turn.
func (s *shell) Exit() {
	s.observe(actors.Event{Kind: actors.Exited})
	s.counted.exits(s.role)
	s.gone = true
	s.ctx.Stop(s.ctx.Self())
}

// Persist appends to the journal and raises the barrier.
func (s *shell) Persist(rec *messages.Record) {
	rec.Owner = s.self.Path()
	s.written++
	size := proto.Size(rec)
	s.sizes, s.unsaved = append(s.sizes, size), s.unsaved+size
	s.observe(actors.Event{Kind: actors.Persisted, Number: s.written, Message: rec})
	done := &synced{of: s, n: s.written}
	self, root := s.ctx.Self(), s.node.System.Root
	s.node.Journal.Append(rec, func() { root.Send(self, done) })
}

// Recall reads from the journal.
func (s *shell) Recall(first, last uint64, f func(*messages.PValue) bool) {
	err := s.node.Journal.Recall(s.self.Path(), first, last, f)
	if err == nil {
		return
	}
	if _, told := s.unreadable[err.Error()]; !told { // who asks asks again and again
		if s.unreadable == nil { // no commander needs it
			s.unreadable = make(map[string]struct{})
		}
		s.unreadable[err.Error()] = struct{}{}
		s.node.Logger.Error("cannot read what was accepted: who lags must ask other nodes", "role", s.self, "from_slot", first, "error", err)
	}
}

// After sends to the role itself, later.
func (s *shell) After(d time.Duration, m proto.Message) {
	t := &timer{of: s, m: m}
	s.timers[t] = scheduler.NewTimerScheduler(s.node.System.Root).SendOnce(d, s.ctx.Self(), t)
}

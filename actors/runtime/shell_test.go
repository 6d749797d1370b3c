package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// slowJournal is on disk only when the test says so.
type slowJournal struct {
	mu      sync.Mutex
	records []*messages.Record
	waiting []func()
	bad     error // of Recall
}

func (j *slowJournal) Append(rec *messages.Record, done func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records = append(j.records, rec)
	j.waiting = append(j.waiting, done)
}

// sync completes the oldest write.
func (j *slowJournal) sync() {
	j.mu.Lock()
	done := j.waiting[0]
	j.waiting = j.waiting[1:]
	j.mu.Unlock()
	done()
}

func (j *slowJournal) Replay(owner string, f func(*messages.Record)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, rec := range j.records {
		if rec.Owner == owner {
			f(rec)
		}
	}
	return nil
}

func (j *slowJournal) Recall(owner string, _, _ uint64, f func(*messages.PValue) bool) error {
	j.mu.Lock()
	bad := j.bad
	j.mu.Unlock()
	if bad != nil {
		return bad
	}
	more := true
	return j.Replay(owner, func(rec *messages.Record) { more = more && rec.GetPvalue() != nil && f(rec.GetPvalue()) })
}

// puppet does in its turns what the test wants. Messages are Propose, so that they
// carry a number.
type puppet struct {
	do       func(env actors.Env, slot uint64)
	restored *[]uint64
	started  func()
}

func (p *puppet) Start(actors.Env) { p.started() }

func (p *puppet) Restore(rec *messages.Record) {
	*p.restored = append(*p.restored, rec.GetRound())
}

func (p *puppet) Receive(env actors.Env, m proto.Message) {
	if m, ok := m.(*messages.Propose); ok {
		p.do(env, m.Slot)
	}
}

// stage is a node with a puppet that speaks to a listener.
type stage struct {
	t        *testing.T
	node     *Node
	journal  *slowJournal
	log      bytes.Buffer // written to in turns only
	heard    chan uint64
	restored []uint64
	failed   chan error
}

var (
	puppetAddr   = actors.Addr("alpha/epoch-1/leader")
	listenerAddr = actors.Addr("alpha/listener")
)

func newStage(t *testing.T, do func(env actors.Env, slot uint64)) *stage {
	s := &stage{t: t, journal: &slowJournal{}, heard: make(chan uint64, 100), failed: make(chan error, 1)}
	system := actor.NewActorSystem(
		actor.WithDeadLetterThrottleInterval(10*time.Millisecond), // a goroutine lives for so long
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
	)
	started := make(chan bool, 100)
	listener := actor.PropsFromFunc(func(ctx actor.Context) {
		if m, ok := ctx.Message().(*messages.Propose); ok {
			s.heard <- m.Slot
		}
	})
	node, err := Start(Options{
		System: system, Member: "alpha", Journal: s.journal, Seed: 1, Logger: hclog.New(&hclog.LoggerOptions{Output: &s.log}),
		Failed: func(err error) { s.failed <- err },
	}, Child{Name: "epoch-1", Children: []Child{
		{Name: "leader", Build: func() actors.Role {
			return &puppet{do: do, restored: &s.restored, started: func() { started <- true }}
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := system.Root.SpawnNamed(listener, Root+"/listener"); err != nil {
		t.Fatal(err)
	}
	s.node = node
	<-started
	t.Cleanup(func() {
		if err := node.StopAll(); err != nil {
			t.Error(err)
		}
		if err := node.Stop(listenerAddr); err != nil {
			t.Error(err)
		}
		system.Shutdown()
	})
	return s
}

func (s *stage) tell(slot uint64) { s.node.Send(puppetAddr, &messages.Propose{Slot: slot}) }

func (s *stage) hears(want ...uint64) {
	s.t.Helper()
	for _, w := range want {
		select {
		case got := <-s.heard:
			if got != w {
				s.t.Fatalf("the listener heard %d, want %d", got, w)
			}
		case <-time.After(10 * time.Second):
			s.t.Fatalf("the listener does not hear %d", w)
		}
	}
}

// hearsNothing lets the puppet's mailbox drain first: what it had to say is said.
func (s *stage) hearsNothing() {
	s.t.Helper()
	_, _ = s.node.View(puppetAddr, 50*time.Millisecond) // a puppet has no view; its mailbox is empty by then
	select {
	case got := <-s.heard:
		s.t.Fatalf("S1: the listener heard %d ahead of the disk", got)
	default:
	}
}

func say(env actors.Env, slot uint64) { env.Send(listenerAddr, &messages.Propose{Slot: slot}) }

func write(env actors.Env, round uint64) {
	env.Persist(&messages.Record{Kind: &messages.Record_Round{Round: round}})
}

// S1: what is sent after a write waits for it, in the same turn and in later ones,
// first in, first out; what was sent before it does not.
func TestTheDiskBarrier(t *testing.T) {
	s := newStage(t, func(env actors.Env, slot uint64) {
		switch slot {
		case 1:
			say(env, 10)
			write(env, 1)
			say(env, 11)
		case 2:
			say(env, 20) // nothing to write, but what it reports may rest on the write before
		case 3:
			write(env, 2)
			say(env, 30)
		}
	})
	s.tell(1)
	s.hears(10)
	s.tell(2)
	s.tell(3)
	s.hearsNothing()
	s.journal.sync()
	s.hears(11, 20)
	s.hearsNothing()
	s.journal.sync()
	s.hears(30)
}

// A role reads what it persisted; where that fails, it is logged, once for each reason.
func TestRecall(t *testing.T) {
	var s *stage
	s = newStage(t, func(env actors.Env, slot uint64) {
		s.journal.mu.Lock()
		s.journal.bad = map[uint64]error{2: errors.New("a bad sector"), 3: errors.New("a bad sector"), 5: errors.New("a bad sector, too"), 6: errors.New("a bad sector")}[slot]
		s.journal.mu.Unlock()
		if slot == 0 {
			env.Persist(&messages.Record{Kind: &messages.Record_Pvalue{Pvalue: &messages.PValue{Slot: 7}}})
		}
		found := uint64(0)
		env.Recall(7, 7, func(v *messages.PValue) bool { found = v.Slot; return true })
		env.Send(listenerAddr, &messages.Propose{Slot: 100*uint64(strings.Count(s.log.String(), "a bad sector")) + found})
	})
	s.tell(0)
	s.hearsNothing()
	s.journal.sync()
	s.hears(7)
	for slot := range uint64(6) {
		s.tell(slot + 1)
	}
	s.hears(7, 100, 100, 107, 200, 200)
}

// D11: the message of a turn is passed on at once, whatever waits for the disk.
func TestForwardWaitsForNoDisk(t *testing.T) {
	s := newStage(t, func(env actors.Env, slot uint64) {
		write(env, slot)
		say(env, 10*slot)
		env.Forward(listenerAddr)
	})
	s.tell(1)
	s.tell(2)
	s.hears(1, 2)
	s.journal.sync()
	s.hears(10)
	s.journal.sync()
	s.hears(20)
}

// S2: a child spawned after a write does not live before it is on disk: a scout
// must not say a ballot that its leader could forget.
func TestTheDiskBarrierHoldsChildrenBack(t *testing.T) {
	s := newStage(t, func(env actors.Env, slot uint64) {
		write(env, 1)
		env.Spawn("scout-1", func() actors.Role { return starter{} })
	})
	s.tell(1)
	s.hearsNothing()
	s.journal.sync()
	s.hears(77)
}

// starter says 77 when it starts.
type starter struct{}

func (starter) Start(env actors.Env)              { say(env, 77) }
func (starter) Receive(actors.Env, proto.Message) {}

// No restart is blank: a role that panics gets back what it persisted, on disk or
// still on its way, and what waited for the disk is dropped.
func TestARestartReplaysAndDropsWhatWaited(t *testing.T) {
	s := newStage(t, func(env actors.Env, slot uint64) {
		switch slot {
		case 1:
			write(env, 5)
			say(env, 11)
		case 2:
			panic("planted")
		case 3:
			say(env, 30)
		}
	})
	s.tell(1)
	s.tell(2)
	s.tell(3)
	s.hears(30) // not 11
	s.journal.sync()
	s.hearsNothing()
	if fmt.Sprint(s.restored) != "[5]" {
		t.Errorf("restored rounds %v, want [5]", s.restored)
	}
	if got := s.node.Restarts()["epoch-*/leader"]; got != 1 {
		t.Errorf("%d restarts are counted, want 1", got)
	}
}

// A role whose disk hangs is told no more, and does no more by itself: memory would grow for
// as long. What a timer was to bring comes once the disk is back, what others said does not.
func TestAFullBarrier(t *testing.T) {
	full, rang := make(chan bool), make(chan bool, 1)
	s := newStage(t, func(env actors.Env, slot uint64) {
		switch slot {
		case 1:
			env.Persist(&messages.Record{Kind: &messages.Record_Round{Round: 1}})
			for range maxWaiting + 1 {
				env.Send("alpha/nobody", &messages.Propose{})
			}
			env.After(time.Nanosecond, &messages.Propose{Slot: 2})
			close(full)
		case 2:
			rang <- true
			say(env, slot)
		default:
			say(env, slot)
		}
	})
	s.tell(1)
	<-full
	s.tell(3)
	select {
	case <-rang:
		t.Fatal("a role that is told no more ticks on")
	case <-time.After(100 * time.Millisecond):
	}
	s.journal.sync()
	s.hears(2)
	s.tell(4)
	s.hears(4)
}

// A timer of an earlier life is not heard in a later one, nor after Exit.
func TestTimersEndWithTheirRole(t *testing.T) {
	s := newStage(t, func(env actors.Env, slot uint64) {
		switch slot {
		case 1:
			env.After(20*time.Millisecond, &messages.Propose{Slot: 9})
			panic("planted")
		case 2:
			env.After(100*time.Millisecond, &messages.Propose{Slot: 8})
		default:
			say(env, slot)
		}
	})
	s.tell(1)
	s.tell(2)
	s.hears(8) // 9 would have come first
}

// A failure of the world under a role, and a panic that comes too often, end the
// node.
func TestWhatEndsANode(t *testing.T) {
	tests := map[string]struct {
		reason any
		times  uint64
	}{
		"a broken disk":   {actors.Failure{Err: fmt.Errorf("disk broke")}, 1},
		"too many panics": {"disk broke", 6},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(actors.Env, uint64) { panic(tt.reason) })
			for i := range tt.times {
				s.tell(i)
			}
			select {
			case err := <-s.failed:
				if want := "runtime: node/epoch-1/leader: disk broke"; err.Error() != want {
					t.Errorf("failed with %q, want %q", err, want)
				}
			case <-time.After(10 * time.Second):
				t.Error("the node goes on")
			}
		})
	}
}

// Spawning a child whose name lives does nothing: at most one commander lives for a
// ballot and slot (C1).
func TestANameLivesOnce(t *testing.T) {
	s := newStage(t, func(env actors.Env, slot uint64) {
		env.Spawn("commander-1-1", func() actors.Role { return starter{} })
	})
	s.tell(1)
	s.hears(77)
	s.tell(2)
	s.hearsNothing()
}

// leaver ends as soon as it lives.
type leaver struct{ starter }

func (leaver) Start(env actors.Env) { env.Exit() }

// A name is free before the parent has been told that its child is over. A child that it
// spawns by that name then would be taken for the one that is over, and outlive its parent.
func TestNoChildOutlivesItsParent(t *testing.T) {
	var s *stage
	name := "commander-1-1"
	s = newStage(t, func(env actors.Env, slot uint64) {
		if slot == 1 {
			env.Spawn(name, func() actors.Role { return leaver{} })
			for known := true; known; goruntime.Gosched() {
				_, known = s.node.System.ProcessRegistry.GetLocal(Root + "/" + puppetAddr.Path() + "/" + name)
			}
		}
		env.Spawn(name, func() actors.Role { return starter{} })
	})
	s.tell(1)
	for begun := false; !begun; { // again and again: the parent may not have been told yet
		s.tell(2)
		select {
		case <-s.heard:
			begun = true
		case <-time.After(time.Millisecond):
		}
	}
	if err := s.node.Stop(puppetAddr); err != nil {
		t.Error(err)
	}
	if alive := s.node.Alive(); len(alive) != 0 {
		t.Errorf("%v outlive their parent", alive)
	}
}

// The tree knows each actor by its path.
func TestTreeRules(t *testing.T) {
	tests := map[string]Policy{
		"replica":                       Replay,
		"epoch-1/acceptor":              Replay,
		"epoch-12/leader":               Replay,
		"epoch-1/leader/scout-3":        Again,
		"epoch-1/leader/commander-3-17": Again,
		"epoch-1":                       Halt,
		"epoch-1/leader/other":          Halt,
		"stranger":                      Halt,
	}
	for path, want := range tests {
		if got := ruleOf(path).Policy; got != want {
			t.Errorf("policy of %s is %d, want %d", path, got, want)
		}
	}
}

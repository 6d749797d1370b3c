package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/scheduler"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// Errors of Propose and Read. Each says what becomes of the operation. Where the context
// ended first, its error is returned, and the operation may or may not be executed, also
// later on, but never twice.
var (
	// ErrStopped is returned when the node stopped or stops. The operation may or may
	// not be executed, also later on, but never twice. What ended the node may be in the
	// chain, too; of the operation it says nothing more.
	ErrStopped = errors.New("cluster: the node is stopped")
	// ErrBusy is returned when too many calls wait for their answers already; the
	// operation was not proposed, and is never executed.
	ErrBusy = errors.New("cluster: too many requests in flight")
	// ErrNotMember is returned while the node waits to be added to the cluster; the
	// operation was not proposed, and is never executed.
	ErrNotMember = errors.New("cluster: this node is not a member yet")
	// ErrNoReplica is returned by a member without a replica: others have to be asked.
	// The operation was not proposed, and is never executed.
	ErrNoReplica = errors.New("cluster: this member has no replica")
	// ErrTooLong is returned for an operation of more than MaxOperationBytes, and for a
	// configuration that is longer than that. The operation was not proposed, and is never
	// executed.
	ErrTooLong = errors.New("cluster: the operation is too long")
	// ErrSessionEnded is returned when another process runs as this member and began
	// after this one. The operation is not executed any more, but may have been before
	// that process began.
	ErrSessionEnded = errors.New("cluster: a later process of this member took its session over")
)

// MaxOperationBytes is the length of the longest operation that Propose takes.
const MaxOperationBytes = actors.MaxOperationBytes

// Result is what became of a proposed operation.
type Result struct {
	Slot   uint64 // that decided it
	Output []byte // what StateMachine.Apply returned for it
}

// askAgain is how long an answer may take before the question is sent again; twice
// as long after each time, up to maxDoublings. A change of leader needs none of it:
// the replica asks the new one.
const (
	askAgain     = time.Second
	maxDoublings = 3
)

// client is the paper's κ: it numbers the commands of those who call this node,
// sends them to the replica beside it, and hands out the answers. It is an actor, so
// that replicas answer it as they would any other.
type client struct {
	id          uint32 // 0 until the cluster has given one to this member …
	replica     bool   // … and whether it has a replica
	removed     bool   // it had one, and has lost it
	incarnation uint64
	self        string      // its address …
	beside      actors.Addr // … and that of the replica beside it
	limit       int         // calls in flight
	send        func(actors.Addr, proto.Message)
	outlived    func() // called when a command is refused because a later session has begun

	// caughtUp reports whether a read became ready since this member has had a replica. The
	// replica only moves forward while the process lives, so it stays true.
	caughtUp atomic.Bool

	mu       sync.Mutex
	pid      *actor.PID // nil until the actor runs
	system   *actor.ActorSystem
	stopped  error
	sequence uint64
	settled  uint64 // every call below it has its answer
	calls    map[uint64]*call
	counted  ClientStats
	idle     sync.Pool           // calls that had their answer
	fresh    []*messages.Command // not sent yet
	reads    []*read             // by number
	readNo   uint64
	readSent uint64
	kicked   bool
}

// call is a proposed command that has no answer yet.
type call struct {
	command *messages.Command
	sent    time.Time
	tries   int                   // after the first
	done    chan *messages.Answer // one answer, or closed when the node stops
}

// read is a caller that waits until it may read.
type read struct {
	number uint64
	done   chan struct{} // closed when it may read, or when the node stops
}

// kick tells the actor that there is something to send; askTick is its timer.
type (
	kick    struct{}
	askTick struct{}
)

func newClient(incarnation uint64, member string, limit int) *client {
	return &client{
		incarnation: incarnation, self: string(actors.ClientAddr(member)), beside: actors.ReplicaAddr(member), limit: limit,
		settled: 1, calls: make(map[uint64]*call), outlived: func() {},
	}
}

// join makes the client that of a member.
func (c *client) join(me actors.Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removed = me.ID == 0 && (c.removed || c.id != 0)
	c.id, c.replica = me.ID, me.Replica
	if !c.replica {
		c.caughtUp.Store(false) // a replica that it is given later begins behind
	}
}

// unable tells why nothing can be asked; the lock is held.
func (c *client) unable() error {
	switch {
	case c.stopped != nil:
		return c.stopped
	case c.removed:
		return ErrRemoved // the node is about to end
	case c.id == 0:
		return ErrNotMember
	case !c.replica:
		return ErrNoReplica
	}
	return nil
}

// clientActor is the actor of a client. What is in flight is the client's, and
// survives a crash of the actor.
type clientActor struct {
	*client
	asking scheduler.CancelFunc
}

// Receive is one turn of the client.
func (c *clientActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.asking = sendLater(ctx, askAgain/4, askTick{})
		c.run(ctx)
	case *actor.Stopping, *actor.Restarting:
		c.asking()
	case *messages.Response:
		c.onResponse(m)
	case *messages.ReadReady:
		c.onReadReady(m)
	case kick:
		runtime.Gosched() // who is about to ask does so, and all go in one message
		c.flush()
	case askTick:
		c.asking() // a second one, of before a restart, must not go on beside it
		c.asking = sendLater(ctx, askAgain/4, askTick{})
		c.askAgain()
	}
}

// sendLater sends to the actor itself. Protoactor's SendRepeatedly would do that again
// and again, but its cancel races with its timer.
func sendLater(ctx actor.Context, d time.Duration, m any) scheduler.CancelFunc {
	return scheduler.NewTimerScheduler(ctx.ActorSystem().Root).SendOnce(d, ctx.Self(), m)
}

func (c *client) run(ctx actor.Context) {
	c.mu.Lock()
	c.pid, c.system = ctx.Self(), ctx.ActorSystem()
	c.mu.Unlock()
	c.flush()
}

// wake makes the actor flush; the lock is held.
func (c *client) wake() {
	if !c.kicked && c.pid != nil {
		c.kicked = true
		c.system.Root.Send(c.pid, kick{})
	}
}

// propose has a command executed once. Whose it is, and its number, are filled in.
func (c *client) propose(ctx context.Context, command *messages.Command) (Result, error) {
	p, err := c.begin(command)
	if err != nil {
		return Result{}, err
	}
	select {
	case a, ok := <-p.done:
		switch {
		case !ok:
			return Result{}, c.why()
		case a.Refused:
			return Result{}, ErrSessionEnded
		}
		p.command = nil
		c.idle.Put(p)
		return Result{Slot: a.Slot, Output: a.Result}, nil
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.calls, p.command.Sequence)
		c.counted.ProposalsFailed++
		c.mu.Unlock() // an answer may be on its way, so the call is not used again
		return Result{}, fmt.Errorf("cluster: propose: %w", context.Cause(ctx))
	}
}

func (c *client) begin(command *messages.Command) (*call, error) {
	if actors.IsTooLong(command) {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLong, len(command.Operation)+proto.Size(command.Configuration), MaxOperationBytes)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.unable(); err != nil {
		return nil, err
	}
	c.counted.Proposed++
	if len(c.calls) >= c.limit {
		c.counted.ProposalsFailed++
		return nil, ErrBusy
	}
	c.sequence++
	for c.settled < c.sequence && c.calls[c.settled] == nil {
		c.settled++
	}
	command.Client, command.Incarnation, command.Sequence, command.Settled = c.id, c.incarnation, c.sequence, c.settled
	p, used := c.idle.Get().(*call)
	if !used {
		p = &call{done: make(chan *messages.Answer, 1)}
	}
	p.command, p.sent, p.tries = command, time.Now(), 0
	c.calls[c.sequence] = p
	c.fresh = append(c.fresh, p.command)
	c.wake()
	return p, nil
}

// barrier returns once a read of this node's state sees every operation that was
// answered, by any node, before the call.
func (c *client) barrier(ctx context.Context) error {
	r, err := c.beginRead()
	if err != nil {
		return err
	}
	select {
	case <-r.done:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.stopped
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reads = slices.DeleteFunc(c.reads, func(x *read) bool { return x == r })
		c.counted.ReadsFailed++
		return fmt.Errorf("cluster: read: %w", context.Cause(ctx))
	}
}

func (c *client) beginRead() (*read, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.unable(); err != nil {
		return nil, err
	}
	c.counted.Read++
	if len(c.reads) >= c.limit {
		c.counted.ReadsFailed++
		return nil, ErrBusy
	}
	c.readNo++
	r := &read{number: c.readNo, done: make(chan struct{})}
	c.reads = append(c.reads, r)
	c.wake()
	return r, nil
}

// flush sends what came since the last flush, in one message.
func (c *client) flush() {
	c.mu.Lock()
	commands, readNo := c.fresh, c.readNo
	askRead := readNo > c.readSent
	c.fresh, c.readSent, c.kicked = nil, readNo, false
	c.mu.Unlock()
	if len(commands) > 0 {
		c.request(commands, false)
	}
	if askRead {
		c.askToRead(readNo)
	}
}

func (c *client) request(commands []*messages.Command, again bool) {
	c.send(c.beside, &messages.Request{From: c.self, Commands: commands, Again: again})
}

func (c *client) askToRead(number uint64) {
	c.send(c.beside, &messages.Read{From: c.self, Number: number})
}

// askAgain repeats the questions that have waited for long: a replica that crashed
// has forgotten them.
func (c *client) askAgain() {
	now := time.Now()
	var late []*messages.Command
	c.mu.Lock()
	for _, sequence := range slices.Sorted(maps.Keys(c.calls)) {
		if p := c.calls[sequence]; now.Sub(p.sent) >= askAgain<<min(p.tries, maxDoublings) {
			p.sent, p.tries = now, p.tries+1
			late = append(late, p.command)
		}
	}
	waiting := len(c.reads) > 0
	readNo := c.readSent
	c.mu.Unlock()
	if len(late) > 0 {
		c.request(late, true)
	}
	if waiting {
		c.askToRead(readNo)
	}
}

func (c *client) onResponse(m *messages.Response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Incarnation != c.incarnation {
		return // to a process of before
	}
	for _, a := range m.Answers {
		if p, ok := c.calls[a.Sequence]; ok {
			delete(c.calls, a.Sequence)
			p.done <- a
		}
		if a.Refused {
			c.outlived()
		}
	}
}

func (c *client) onReadReady(m *messages.ReadReady) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.replica && len(c.reads) > 0 && c.reads[0].number <= m.Number {
		c.caughtUp.Store(true)
	}
	for len(c.reads) > 0 && c.reads[0].number <= m.Number {
		close(c.reads[0].done)
		c.reads = c.reads[1:]
	}
}

// stop ends all calls.
func (c *client) stop(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped != nil {
		return
	}
	c.stopped, c.pid = why, nil
	for _, p := range c.calls {
		close(p.done)
	}
	for _, r := range c.reads {
		close(r.done)
	}
	clear(c.calls)
	c.reads = nil
}

func (c *client) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

// ClientStats is what callers of this node asked it for since it began.
type ClientStats struct {
	Proposals, Reads             int    // that wait for their answers
	Proposed, Read               uint64 // begun
	ProposalsFailed, ReadsFailed uint64 // that their callers gave up, or were too many
}

func (c *client) stats() ClientStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.counted
	s.Proposals, s.Reads = len(c.calls), len(c.reads)
	return s
}

// inFlight counts the calls that have no answer yet.
func (c *client) inFlight() int {
	s := c.stats()
	return s.Proposals + s.Reads
}

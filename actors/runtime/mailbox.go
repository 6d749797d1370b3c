package runtime

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is protoactor's, kept shut until the actor has begun to live. Protoactor
// makes an actor's name known before its mailbox knows who reads it: a message that
// comes in between is a data race at best, and one that comes before Started finds a
// shell without a role.
//
// It stands between protoactor's mailbox and the actor, too, and counts what goes in and
// out. Of one message at a time it takes the time for which that waits.
type mailbox struct {
	actor.Mailbox
	actor.MessageInvoker // the actor's
	open                 atomic.Bool

	kind             *kind
	posted, received atomic.Uint64 // messages of users
	timing           atomic.Bool   // the time of one is taken …
	timed            atomic.Uint64 // … which comes out as this one or before; 0 for none …
	since            atomic.Int64  // … and was posted then, since the node began

	mu     sync.Mutex
	system []any // that came too early
	user   []any
}

func newMailbox(k *kind) *mailbox { return &mailbox{Mailbox: actor.Unbounded()(), kind: k} }

// RegisterHandlers puts the mailbox before the actor.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, d actor.Dispatcher) {
	m.MessageInvoker = invoker
	m.Mailbox.RegisterHandlers(m, d)
}

// InvokeUserMessage hands a message to the actor.
func (m *mailbox) InvokeUserMessage(message any) {
	n := m.received.Add(1)
	if timed := m.timed.Load(); timed != 0 && n >= timed {
		m.kind.waits.Took(time.Since(m.kind.began) - time.Duration(m.since.Load()))
		m.timed.Store(0)
		m.timing.Store(false)
	}
	m.MessageInvoker.InvokeUserMessage(message)
}

// count counts a message before it is posted, and takes the time if no other's is taken.
// Messages that are posted at once may change places, so it is that of a neighbour then.
func (m *mailbox) count() {
	n := m.posted.Add(1)
	if m.timing.Load() || !m.timing.CompareAndSwap(false, true) {
		return
	}
	m.since.Store(int64(time.Since(m.kind.began)))
	m.timed.Store(n)
}

// PostUserMessage hands a message on, or keeps it until Start.
func (m *mailbox) PostUserMessage(message any) {
	m.count()
	if !m.open.Load() && m.keep(&m.user, message) {
		return
	}
	m.Mailbox.PostUserMessage(message)
}

// PostSystemMessage hands a message on, or keeps it until Start. Started itself comes
// from who spawns the actor, when the mailbox is ready.
func (m *mailbox) PostSystemMessage(message any) {
	if _, started := message.(*actor.Started); !started && !m.open.Load() && m.keep(&m.system, message) {
		return
	}
	m.Mailbox.PostSystemMessage(message)
}

func (m *mailbox) keep(where *[]any, message any) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open.Load() {
		return false
	}
	*where = append(*where, message)
	return true
}

// Start opens the mailbox: Started is in it by now.
func (m *mailbox) Start() {
	m.Mailbox.Start()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, message := range m.system {
		m.Mailbox.PostSystemMessage(message)
	}
	for _, message := range m.user {
		m.Mailbox.PostUserMessage(message)
	}
	m.system, m.user = nil, nil
	m.open.Store(true)
}

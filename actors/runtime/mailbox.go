package runtime

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is protoactor's, kept shut until the actor has begun to live. Protoactor
// makes an actor's name known before its mailbox knows who reads it: a message that
// comes in between is a data race at best, and one that comes before Started finds a
// shell without a role.
type mailbox struct {
	actor.Mailbox
	open atomic.Bool

	mu     sync.Mutex
	system []any // that came too early
	user   []any
}

func newMailbox() actor.Mailbox { return &mailbox{Mailbox: actor.Unbounded()()} }

// PostUserMessage hands a message on, or keeps it until Start.
func (m *mailbox) PostUserMessage(message any) {
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

package runtime

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// dispatcher runs mailboxes on goroutines that are used again. Protoactor's starts one
// for each time that a mailbox is not empty, whose stack grows anew each time: a tenth of
// a busy node's work.
type dispatcher struct {
	next chan func()
	idle atomic.Int32
	done chan struct{} // closed when none is to stay
	once sync.Once
}

// throughput is how many messages a mailbox handles before others have their turn:
// protoactor's default.
const throughput = 300

// maxIdle is how many goroutines stay for mailboxes to come.
const maxIdle = 32

func newDispatcher() *dispatcher {
	return &dispatcher{next: make(chan func()), done: make(chan struct{})}
}

// Throughput is how many messages a mailbox handles at a time.
func (d *dispatcher) Throughput() int { return throughput }

// Schedule runs a mailbox, on a goroutine that waits if there is one.
func (d *dispatcher) Schedule(run func()) {
	select {
	case d.next <- run:
	default:
		go d.work(run)
	}
}

func (d *dispatcher) work(run func()) {
	for {
		run()
		if d.idle.Add(1) > maxIdle {
			d.idle.Add(-1)
			return
		}
		select {
		case run = <-d.next:
			d.idle.Add(-1)
		case <-d.done:
			return
		}
	}
}

// close ends the goroutines that wait, and those that run when they have run.
func (d *dispatcher) close() { d.once.Do(func() { close(d.done) }) }

// common are the options of all actors of a node, to spawn one that has this mailbox.
func (n *Node) common(m *mailbox) []actor.PropsOption {
	return []actor.PropsOption{
		actor.WithSupervisor(n), actor.WithMailbox(func() actor.Mailbox { return m }), actor.WithDispatcher(n.dispatcher),
	}
}

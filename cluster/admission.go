package cluster

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/scheduler"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// greetAgain is how often a node that was not welcomed by a member says hello.
const greetAgain = 250 * time.Millisecond

// identityAddr is where a member's node is greeted.
func identityAddr(member string) actors.Addr { return actors.Addr(member + "/identity") }

// doorkeeper is the actor that makes a node and its peers known to each other, by
// the ids of their disks (S11). A node on a new disk must hear from a majority that
// they know of no older one before its roles may speak: it may be a member whose
// disk was lost.
type doorkeeper struct {
	dir      string
	id       *messages.Identity
	strange  map[actors.Addr]bool // the peers that have not welcomed this node
	peers    int
	send     func(actors.Addr, proto.Message)
	admitted func()      // called once, when the roles may speak
	refused  func(error) // called when they must not, or when the disk fails

	greeting scheduler.CancelFunc
}

// greetTick is the doorkeeper's timer.
type greetTick struct{}

// Receive is one turn of the doorkeeper.
func (d *doorkeeper) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		d.greeting = sendLater(ctx, 0, greetTick{})
		if d.id.Admitted {
			d.admitted()
		} else {
			d.tryAdmit()
		}
	case *actor.Stopping, *actor.Restarting:
		d.greeting()
	case *messages.Hello:
		d.onHello(m)
	case *messages.Welcome:
		d.onWelcome(m)
	case greetTick:
		d.greeting() // a second one, of before a restart, must not go on beside it
		d.greeting = sendLater(ctx, greetAgain, greetTick{})
		for peer := range d.strange {
			d.send(peer, &messages.Hello{
				From: d.self(), Cluster: d.id.Cluster, Member: d.id.Member, Disk: d.id.Disk,
			})
		}
	}
}

func (d *doorkeeper) self() string { return string(identityAddr(d.id.Name)) }

func (d *doorkeeper) onHello(m *messages.Hello) {
	refusal, changed := greet(d.id, m)
	if changed != nil && !d.save(changed) {
		return
	}
	d.send(actors.Addr(m.From), &messages.Welcome{From: d.self(), Disk: m.Disk, Refusal: refusal})
}

func (d *doorkeeper) onWelcome(m *messages.Welcome) {
	from := actors.Addr(m.From)
	if !d.strange[from] || m.Disk != d.id.Disk {
		return
	}
	if m.Refusal != "" {
		d.refused(&IdentityError{d.dir, fmt.Sprintf("%s says: %s", from.Member(), m.Refusal)})
		return
	}
	delete(d.strange, from)
	if len(d.strange) == 0 {
		d.greeting()
	}
	if !d.id.Admitted {
		d.tryAdmit()
	}
}

// tryAdmit lets the roles speak once a majority, this node among it, knows its disk.
func (d *doorkeeper) tryAdmit() {
	knowing := 1 + d.peers - len(d.strange)
	if 2*knowing <= 1+d.peers {
		return
	}
	next := proto.Clone(d.id).(*messages.Identity)
	next.Admitted = true
	if d.save(next) {
		d.admitted()
	}
}

func (d *doorkeeper) save(next *messages.Identity) bool {
	if err := saveIdentity(d.dir, next); err != nil {
		d.refused(err)
		return false
	}
	d.id = next
	return true
}

package transport

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/pmmc-go/pmmc/actors/runtime/measure"
)

// Transport carries messages between the actors of this node and of its peers.
type Transport struct {
	options  Options
	system   *actor.ActorSystem
	logger   hclog.Logger
	refusals *refusals
	door     *door
	server   *grpc.Server
	served   chan struct{} // closed when the server has ended
	letters  *eventstream.Subscription
	dead     atomic.Uint64 // letters
	closed   atomic.Bool   // nothing is sent any more
	encoder  encoder
	peering  atomic.Pointer[peering]
	end      sync.Once
	ended    chan struct{}

	mu    sync.Mutex // of who changes peering
	links sync.WaitGroup
}

// peering is who the peers are. It does not change once it is made.
type peering struct {
	epoch             uint64
	byName, byAddress map[string]*link
}

// Stats is what a Transport has seen so far.
type Stats struct {
	Peers       map[string]PeerStats // by name
	Refused     map[Reason]uint64
	Strangers   int    // open connections that have not introduced themselves
	Guests      int    // open connections that have
	DeadLetters uint64 // messages to actors that are gone
}

// PeerStats is what a Transport has seen of one peer.
type PeerStats struct {
	Address                 string
	Connected               bool      // this node's stream to the peer is open
	Since                   time.Time // when that was last changed
	Heard                   int       // streams that the peer has open to this node
	Connections             uint64    // how often this node connected
	MessagesIn, MessagesOut uint64
	BytesIn, BytesOut       uint64 // of messages
	Outstanding             int    // bytes that wait to be sent
	Dropped                 uint64 // messages

	RoundTrip  time.Duration        // the last that was timed, but for the actors; 0 if none was
	RoundTrips measure.Distribution // seconds of all of them: one a second
}

// Start listens, and begins to connect to the peers. It must come before the first
// actor of the system is spawned, so that their PIDs have this node's address.
func Start(system *actor.ActorSystem, o Options) (*Transport, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, &ListenError{o.Listen, err}
	}
	o.Advertise = cmp.Or(o.Advertise, listener.Addr().String())
	t := &Transport{
		options: o, system: system, logger: o.Logger, refusals: newRefusals(o.Logger),
		served: make(chan struct{}), ended: make(chan struct{}),
	}
	t.peering.Store(&peering{})
	t.door = newDoor(t.serverCredentials(), o.Limits, t.refusals)
	t.server = t.newServer()
	system.ProcessRegistry.Address = o.Advertise
	system.ProcessRegistry.RegisterAddressResolver(func(*actor.PID) (actor.Process, bool) { return outlet{t}, true })
	t.letters = system.EventStream.Subscribe(func(event any) {
		if _, ok := event.(*actor.DeadLetterEvent); ok {
			t.dead.Add(1)
		}
	})
	err = t.SetPeers(o.Epoch, o.Peers)
	go t.serve(listener)
	if err != nil {
		t.Kill()
		return nil, err
	}
	return t, nil
}

func (t *Transport) serve(listener net.Listener) {
	defer close(t.served)
	if err := t.server.Serve(listener); err != nil && !t.closed.Load() {
		t.logger.Error("cannot be reached any more", "address", listener.Addr(), "error", err)
	}
}

// Address is the address that the PIDs of this node carry.
func (t *Transport) Address() string { return t.options.Advertise }

// SetPeers replaces the members, as the configuration of an epoch has them: their
// addresses by their names. Links to those that
// stay as they are stay, too; streams of those that went end with their next batch.
func (t *Transport) SetPeers(epoch uint64, addresses map[string]string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed.Load() {
		return ErrStopped
	}
	old := t.peering.Load()
	next := &peering{epoch: epoch, byName: make(map[string]*link), byAddress: make(map[string]*link)}
	for member, address := range addresses {
		if member == t.options.Member {
			continue
		}
		if next.byAddress[address] != nil || address == t.options.Advertise {
			t.discard(next, old)
			return fmt.Errorf("transport: peers: %s has the address %s of another member", member, address)
		}
		l := old.byName[member]
		if l == nil || l.address != address {
			var err error
			if l, err = t.newLink(member, address); err != nil {
				t.discard(next, old)
				return err
			}
		}
		next.byName[member], next.byAddress[address] = l, l
	}
	t.peering.Store(next)
	t.discard(old, next)
	return nil
}

// discard ends the links of one peering that are not in the other one.
func (t *Transport) discard(these, but *peering) {
	for member, l := range these.byName {
		if but.byName[member] != l {
			l.cancel()
		}
	}
}

// Stop ends the transport. What was sent before it is handed to those peers that
// take it in time.
func (t *Transport) Stop(ctx context.Context) error {
	t.closed.Store(true)
	limit, cancel := context.WithTimeout(ctx, t.options.Limits.Drain)
	defer cancel()
	t.mu.Lock()
	links := maps.Clone(t.peering.Load().byName)
	t.mu.Unlock()
	for _, l := range links {
		l.last()
	}
	for _, l := range links {
		select {
		case <-l.ended:
		case <-limit.Done():
		}
	}
	t.Kill()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("transport: stop: %w: some messages may not have been sent", context.Cause(ctx))
	}
	return nil
}

// Kill ends the transport at once. It returns when all its goroutines have ended.
func (t *Transport) Kill() {
	t.closed.Store(true)
	t.end.Do(func() {
		defer close(t.ended)
		t.mu.Lock()
		for _, l := range t.peering.Load().byName {
			l.cancel()
		}
		t.mu.Unlock()
		t.door.close()
		t.server.Stop()
		<-t.served
		t.links.Wait()
		t.system.EventStream.Unsubscribe(t.letters)
	})
	<-t.ended
}

// Stats shows the transport.
func (t *Transport) Stats() Stats {
	s := Stats{Peers: make(map[string]PeerStats), Refused: t.refusals.counts(), DeadLetters: t.dead.Load()}
	s.Strangers, s.Guests = t.door.open()
	for member, l := range t.peering.Load().byName {
		s.Peers[member] = l.stats()
	}
	return s
}

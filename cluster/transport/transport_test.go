package transport

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/pmmc-go/pmmc/cluster/certs"
	"github.com/pmmc-go/pmmc/cluster/transport/testcert"
	"github.com/pmmc-go/pmmc/messages"
)

// A new message must be put into Directions, and one that goes between nodes must
// say whose it is.
func TestDirectionsListsEveryMessage(t *testing.T) {
	seen := make(map[protoreflect.Name]bool)
	protoregistry.GlobalFiles.RangeFilesByPackage(messages.File_messages_paxos_proto.Package(), func(f protoreflect.FileDescriptor) bool {
		for i := range f.Messages().Len() {
			d := f.Messages().Get(i)
			seen[d.Name()] = true
			direction := Directions[d.Name()]
			if direction == 0 {
				t.Errorf("%s is not listed", d.Name())
			}
			k := kinds[string(d.FullName())]
			if (k != nil) != (direction == Between) {
				t.Errorf("%s: on the wire = %t", d.Name(), k != nil)
			}
			if k != nil {
				if _, ok := k.typ.New().Interface().(signed); !ok || d.Fields().ByName("from").Number() != 1 {
					t.Errorf("%s does not say whose it is in field 1", d.Name())
				}
			}
		}
		return true
	})
	for name := range Directions {
		if !seen[name] {
			t.Errorf("%s is listed, but there is no such message", name)
		}
	}
}

func TestRoleTarget(t *testing.T) {
	tests := map[string]bool{
		"node/replica": true, "node/steward": true, "node/epoch-1/acceptor": true, "node/epoch-12/leader": true,
		"node/epoch-1/leader/scout-3": true, "node/epoch-1/leader/commander-3-17": true,
		"": false, "node": false, "node/": false, "node/client": false, "node/epoch-1": false, "node/epoch-/leader": false,
		"node/epoch-1/": false, "node/epoch-x/leader": false, "node/epoch-1/leader/": false,
		"node/epoch-1/leader/scout": false, "node/epoch-1/leader/scout-": false, "node/epoch-1/leader/scout-x": false,
		"node/epoch-1/leader/scout-1/x": false, "node/epoch-1/acceptor/x": false, "replica": false,
		"activator": false, "EndpointSupervisor": false, "eventstream": false, "deadletter": false, "$1": false, "node/replica/": false,
	}
	for id, want := range tests {
		if RoleTarget(id) != want {
			t.Errorf("%q: %t, want %t", id, !want, want)
		}
	}
}

// What this node must not send is not sent.
func TestUnsendableIsRefused(t *testing.T) {
	alpha, beta := pair(t)
	pid := actor.NewPID(beta.Address(), "node/replica")
	alpha.system.Root.Stop(pid)
	alpha.system.Root.Poison(pid)
	alpha.say(beta.Address(), &messages.Tick{})
	alpha.say("10.0.0.1:1", catchUp("alpha", 1))
	alpha.say(beta.Address(), catchUp("alpha\xff", 1)) // not UTF-8, cannot be encoded
	alpha.say(beta.Address(), catchUp("alpha", 2))
	beta.hears(2)
	got := alpha.Stats().Refused
	for why, want := range map[Reason]uint64{RefusedSystem: 1, RefusedUnsendable: 3, RefusedUnknownPeer: 1} {
		if got[why] != want {
			t.Errorf("refused %d for %q, want %d", got[why], why, want)
		}
	}
	eventually(t, "nothing is outstanding", func() bool { return alpha.Stats().Peers["beta"].Outstanding == 0 })
}

func TestLinkCutsOneWay(t *testing.T) {
	var cut atomic.Bool
	alpha, beta := pair(t, func(o *Options) {
		o.Link = func(from, to string) bool { return !cut.Load() || from != "alpha" || to != "beta" }
	})
	cut.Store(true)
	alpha.say(beta.Address(), catchUp("alpha", 1))
	beta.say(alpha.Address(), catchUp("beta", 2))
	alpha.hears(2)
	cut.Store(false)
	alpha.say(beta.Address(), catchUp("alpha", 3))
	if m := (<-beta.inbox).(*messages.CatchUp); m.Slot != 3 {
		t.Errorf("slot %d went over a link that was cut", m.Slot)
	}
	if got := alpha.Stats().Peers["beta"].Dropped; got != 1 {
		t.Errorf("dropped %d", got)
	}
}

func TestSetPeers(t *testing.T) {
	peers := addresses(t, "alpha", "beta", "gamma")
	two := map[string]string{"alpha": peers["alpha"], "beta": peers["beta"]}
	alpha := startNode(t, "alpha", two)
	beta := startNode(t, "beta", peers)
	gamma := startNode(t, "gamma", peers)
	beta.connected("gamma")
	gamma.say(alpha.Address(), catchUp("gamma", 1)) // refused: nobody knows gamma
	eventually(t, "refused", func() bool { return alpha.Stats().Refused[RefusedIntroduction] > 0 })
	if err := alpha.SetPeers(1, peers); err != nil {
		t.Fatal(err)
	}
	gamma.connected("alpha")
	gamma.say(alpha.Address(), catchUp("gamma", 2))
	alpha.hears(2)
	if err := alpha.SetPeers(1, two); err != nil {
		t.Fatal(err)
	}
	eventually(t, "refused again", func() bool {
		gamma.say(alpha.Address(), catchUp("gamma", 3))
		return !gamma.Stats().Peers["alpha"].Connected
	})
	beta.connected("alpha")
	beta.say(alpha.Address(), catchUp("beta", 4))
	alpha.hears(4)
	if got := beta.Stats().Peers["alpha"].Connections; got != 1 {
		t.Errorf("the link of a member that stayed was made %d times", got)
	}
	if err := alpha.SetPeers(1, map[string]string{"beta": "h:1", "gamma": "h:1"}); err == nil {
		t.Error("two members at one address")
	}
	if err := alpha.SetPeers(1, map[string]string{"beta": alpha.Address()}); err == nil {
		t.Error("another member at this node's address")
	}
}

// Connections that say nothing do not keep others out.
func TestStrangersAreLimited(t *testing.T) {
	n, peer := alone(t, func(o *Options) { o.Limits.Strangers = 3 })
	var conns []net.Conn
	for range 10 {
		conn, err := net.Dial("tcp", n.options.Listen)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		eventually(t, "let in", func() bool {
			s := n.Stats()
			return s.Strangers+int(s.Refused[RefusedCrowd]) == len(conns)
		})
	}
	if s := n.Stats(); s.Strangers != 3 || s.Refused[RefusedCrowd] != 7 {
		t.Errorf("%d strangers, %d refused", s.Strangers, s.Refused[RefusedCrowd])
	}
	n.lives(peer)
	for _, conn := range conns {
		_ = conn.Close()
	}
}

func TestSilentStrangersAreSentAway(t *testing.T) {
	n, peer := alone(t, func(o *Options) { o.Limits.Introduction = 100 * time.Millisecond })
	conn, err := net.Dial("tcp", n.options.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(deadline)) // it is open
	s := n.stranger(nil)                               // speaks gRPC, opens a stream, says nothing
	if err := s.end(); err == nil {
		t.Error("the stream goes on")
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection goes on")
	}
	eventually(t, "counted", func() bool { return n.Stats().Refused[RefusedSilence] >= 2 }) // gRPC may have connected again
	if got := n.Stats().Refused[RefusedNoise]; got != 0 {
		t.Errorf("%d were silent, but are said to have left", got)
	}
	eventually(t, "let in, who speaks in time", func() bool {
		s := n.stranger(nil)
		defer s.close()
		return s.welcomed(peer) == nil
	})
}

// Who stood still may find gRPC to have closed a connection before its own timer runs.
func TestSilenceIsCalledSoWhoeverEndsIt(t *testing.T) {
	n, _ := alone(t)
	d := newDoor(nil, Limits{Introduction: time.Second}, n.refusals)
	for _, ago := range []time.Duration{0, time.Hour} {
		here, there := net.Pipe()
		a := &arrival{Conn: here, door: d, came: time.Now().Add(-ago), timer: time.NewTimer(time.Hour)}
		if err := errors.Join(a.Close(), there.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if got := n.Stats().Refused; got[RefusedNoise] != 1 || got[RefusedSilence] != 1 {
		t.Errorf("%v, want one of each", got)
	}
}

func TestConnectionsOfAMemberAreLimited(t *testing.T) {
	n, peer := alone(t, func(o *Options) { o.Limits.Connections = 2 })
	var all []*stranger
	for range 5 {
		s := n.stranger(nil)
		s.introduce(peer)
		all = append(all, s)
	}
	for _, s := range all[:3] {
		if err := s.end(); err == nil {
			t.Error("the oldest goes on")
		}
	}
	eventually(t, "two are left", func() bool { return n.Stats().Guests == 2 && n.Stats().Peers["beta"].Heard == 2 })
}

func TestStats(t *testing.T) {
	alpha, beta := pair(t)
	alpha.say(beta.Address(), catchUp("alpha", 1))
	beta.hears(1)
	eventually(t, "counted", func() bool { return alpha.Stats().Peers["beta"].MessagesOut == 1 })
	out, in := alpha.Stats().Peers["beta"], beta.Stats().Peers["alpha"]
	if in.MessagesIn != 1 || in.BytesIn != out.BytesOut || in.BytesIn == 0 || in.Heard != 1 || !out.Connected {
		t.Errorf("out %+v, in %+v", out, in)
	}
	if s := beta.Stats(); s.Guests != 1 || s.Strangers != 0 || len(s.Peers) != 1 {
		t.Errorf("%+v", s)
	}
}

func withoutAuthority(t *testing.T) *tls.Config {
	c := testcert.New(t).TLS("alpha")
	c.RootCAs, c.ClientCAs = nil, nil
	return c
}

func TestOptionsAreChecked(t *testing.T) {
	system := NewSystem(nil)
	for want, o := range map[string]Options{
		"Listen is missing": {Member: "alpha"},
		"Member is missing": {Listen: "127.0.0.1:0"},
		"no RootCAs":        {Listen: "127.0.0.1:0", Member: "alpha", TLS: certs.Fixed(withoutAuthority(t))},
		"of another member": {Listen: "127.0.0.1:0", Member: "alpha", Peers: map[string]string{"a": "h:1", "b": "h:1"}},
	} {
		if _, err := Start(system, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

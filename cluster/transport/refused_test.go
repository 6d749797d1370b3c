package transport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster/certs"
	"github.com/pmmc-go/pmmc/cluster/transport/testcert"
	"github.com/pmmc-go/pmmc/messages"
)

// alone starts a node whose one peer is played by the test.
func alone(t *testing.T, change ...func(*Options)) (n *node, peer string) {
	t.Helper()
	peers := addresses(t, "alpha", "beta")
	return startNode(t, "alpha", peers, change...), peers["beta"]
}

// Trap 2: one malformed batch ends a process that trusts protoactor's reader.
func TestTrap2_MalformedBatchEndsItsStream(t *testing.T) {
	n, peer := alone(t)
	tests := map[string]func(*remote.MessageBatch){
		"type index too high":    func(b *remote.MessageBatch) { b.Envelopes[0].TypeId = 1 },
		"type index negative":    func(b *remote.MessageBatch) { b.Envelopes[0].TypeId = -1 },
		"no types":               func(b *remote.MessageBatch) { b.TypeNames = nil },
		"target index too high":  func(b *remote.MessageBatch) { b.Envelopes[0].Target = 1 },
		"target index negative":  func(b *remote.MessageBatch) { b.Envelopes[0].Target = -1 },
		"no targets":             func(b *remote.MessageBatch) { b.Targets = nil },
		"target of a request":    func(b *remote.MessageBatch) { b.Targets[0].RequestId = 1 },
		"target of great length": func(b *remote.MessageBatch) { b.Targets[0].Id += string(make([]byte, maxTarget)) },
		"sender index too high":  func(b *remote.MessageBatch) { b.Envelopes[0].Sender = 1 },
		"sender index negative":  func(b *remote.MessageBatch) { b.Envelopes[0].Sender = -1 },
		"sender list":            func(b *remote.MessageBatch) { b.Senders = []*actor.PID{{Address: peer, Id: "x"}} },
		"serializer of JSON":     func(b *remote.MessageBatch) { b.Envelopes[0].SerializerId = 1 },
		"serializer of no kind":  func(b *remote.MessageBatch) { b.Envelopes[0].SerializerId = 99 },
		"serializer negative":    func(b *remote.MessageBatch) { b.Envelopes[0].SerializerId = -1 },
		"request id":             func(b *remote.MessageBatch) { b.Envelopes[0].TargetRequestId = 1 },
		"sender's request id":    func(b *remote.MessageBatch) { b.Envelopes[0].SenderRequestId = 1 },
		"payload that is noise":  func(b *remote.MessageBatch) { b.Envelopes[0].MessageData = []byte{0xff} },
		"payload not UTF-8":      func(b *remote.MessageBatch) { b.Envelopes[0].MessageData = []byte{0x0a, 1, 0xff} },
		"too many types":         func(b *remote.MessageBatch) { b.TypeNames = make([]string, maxTypes+1) },
		"header": func(b *remote.MessageBatch) {
			b.Envelopes[0].MessageHeader = &remote.MessageHeader{HeaderData: map[string]string{"a": "b"}}
		},
		"too many envelopes": func(b *remote.MessageBatch) {
			for len(b.Envelopes) <= DefaultLimits().BatchMessages {
				b.Envelopes = append(b.Envelopes, b.Envelopes[0])
			}
		},
	}
	for name, spoil := range tests {
		before := n.Stats().Refused[RefusedGarbled]
		m := batch(n.Address(), catchUp("beta", 1))
		spoil(m.GetMessageBatch())
		s := n.stranger(nil)
		s.introduce(peer)
		s.send(m)
		if err := s.end(); status.Code(err) != codes.InvalidArgument && status.Code(err) != codes.Internal {
			t.Errorf("%s: the stream ended with %v", name, err)
		}
		if after := n.Stats().Refused[RefusedGarbled]; after != before+1 {
			t.Errorf("%s: counted %d, want 1", name, after-before)
		}
		s.close()
	}
	if got := len(n.inbox); got != 0 {
		t.Errorf("%d messages of malformed batches were delivered", got)
	}
	n.lives(peer)
}

// Trap 2: what is neither batch nor introduction.
func TestTrap2_StreamWithoutIntroductionEnds(t *testing.T) {
	n, peer := alone(t)
	request := func(r *remote.ConnectRequest) *remote.RemoteMessage {
		return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{ConnectRequest: r}}
	}
	tests := map[string]*remote.RemoteMessage{
		"nothing":           {},
		"a batch":           batch(n.Address(), catchUp("beta", 1)),
		"an empty request":  request(&remote.ConnectRequest{}),
		"no connection":     request(&remote.ConnectRequest{ConnectionType: &remote.ConnectRequest_ServerConnection{}}),
		"a client":          request(&remote.ConnectRequest{ConnectionType: &remote.ConnectRequest_ClientConnection{}}),
		"a goodbye":         {MessageType: &remote.RemoteMessage_DisconnectRequest{DisconnectRequest: &remote.DisconnectRequest{}}},
		"a welcome":         {MessageType: &remote.RemoteMessage_ConnectResponse{}},
		"somebody else":     request(&remote.ConnectRequest{ConnectionType: &remote.ConnectRequest_ServerConnection{ServerConnection: &remote.ServerConnection{Address: "10.1.2.3:1"}}}),
		"the node's own":    request(&remote.ConnectRequest{ConnectionType: &remote.ConnectRequest_ServerConnection{ServerConnection: &remote.ServerConnection{Address: n.Address()}}}),
		"a member, no more": nil,
	}
	for name, m := range tests {
		s := n.stranger(nil)
		if m == nil {
			s.introduce(peer)
			m = &remote.RemoteMessage{}
		}
		s.send(m)
		if code := status.Code(s.end()); code != codes.InvalidArgument && code != codes.PermissionDenied {
			t.Errorf("%s: the stream ended with %v", name, code)
		}
		s.close()
	}
	if got := n.Stats().Refused[RefusedIntroduction]; got != uint64(len(tests)-1) {
		t.Errorf("refused %d introductions, want %d", got, len(tests)-1)
	}
	n.lives(peer)
}

// Trap 2: bytes that are not even gRPC.
func TestTrap2_NoiseIsRefused(t *testing.T) {
	n, peer := alone(t)
	random := rand.NewChaCha8([32]byte{1})
	for i := range 20 {
		conn, err := net.Dial("tcp", n.options.Listen)
		if err != nil {
			t.Fatal(err)
		}
		noise := make([]byte, 1<<(i%12))
		_, _ = random.Read(noise) // it never fails
		if i%2 == 1 {
			noise = append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), noise...)
		}
		_, _ = conn.Write(noise) // may be cut short
		_ = conn.Close()
	}
	eventually(t, "all counted", func() bool { return n.Stats().Refused[RefusedNoise] == 20 })
	n.lives(peer)
}

// Trap 2: whatever panics, the process goes on.
func TestTrap2_PanicEndsOnlyItsStream(t *testing.T) {
	n, peer := alone(t, func(o *Options) {
		o.Targets = func(id string) bool {
			if id != "node/replica" {
				panic("planted")
			}
			return true
		}
	})
	s := n.stranger(nil)
	s.introduce(peer)
	m := batch(n.Address(), catchUp("beta", 1))
	m.GetMessageBatch().Targets[0].Id = "bomb"
	s.send(m)
	if err := s.end(); status.Code(err) != codes.Internal {
		t.Errorf("the stream ended with %v", err)
	}
	if got := n.Stats().Refused[RefusedPanic]; got != 1 {
		t.Errorf("counted %d panics", got)
	}
	n.lives(peer)
}

// Trap 3: protoactor obeys system messages from the wire, and spawns.
func TestTrap3_SystemMessagesAreNotObeyed(t *testing.T) {
	n, peer := alone(t)
	pid := &actor.PID{Address: peer, Id: "x"}
	tests := []struct {
		m      proto.Message
		target string
		why    Reason
	}{
		{&actor.Stop{}, "node/replica", RefusedType},
		{&actor.PoisonPill{}, "node/replica", RefusedType},
		{&actor.Watch{Watcher: pid}, "node/replica", RefusedType},
		{&actor.Unwatch{Watcher: pid}, "node/replica", RefusedType},
		{&actor.Terminated{Who: pid}, "node/replica", RefusedType},
		{&actor.Touch{}, "node/replica", RefusedType},
		{&remote.ActorPidRequest{Name: "spawned", Kind: "any"}, "activator", RefusedType},
		{&remote.RemoteMessage{}, "node/replica", RefusedType},
		{&messages.Tick{}, "node/replica", RefusedType},
		{&messages.Flushed{}, "node/replica", RefusedType},
		{&messages.Response{From: "beta/replica"}, "node/replica", RefusedType},
		{&messages.Record{}, "node/replica", RefusedType},
		{catchUp("beta", 1), "eventstream", RefusedTarget},
		{catchUp("beta", 1), "deadletter", RefusedTarget},
		{catchUp("beta", 1), "guardian$1", RefusedTarget},
		{catchUp("beta", 1), "node", RefusedTarget},
		{catchUp("beta", 1), "node/client", RefusedTarget},
		{catchUp("gamma", 1), "node/replica", RefusedForged},
		{catchUp("alpha", 1), "node/replica", RefusedForged},
		{&messages.CatchUp{From: "beta"}, "node/replica", RefusedForged},
		{&messages.CatchUp{}, "node/replica", RefusedForged},
		{&messages.P2A{From: "beta/x"}, "node/replica", RefusedIncomplete},
		{&messages.P2A{From: "beta/x", Pvalue: &messages.PValue{}}, "node/replica", RefusedIncomplete},
		{&messages.Decision{From: "beta/x", Pvalue: &messages.PValue{}}, "node/replica", RefusedIncomplete},
		{&messages.P1B{From: "beta/x", Ballot: &messages.Ballot{}, Accepted: []*messages.PValue{{}}}, "node/replica", RefusedIncomplete},
	}
	s := n.stranger(nil)
	s.introduce(peer)
	want := make(map[Reason]uint64)
	for _, tt := range tests {
		m := batch(n.Address(), tt.m)
		m.GetMessageBatch().Targets[0].Id = tt.target
		s.send(m)
		want[tt.why]++
	}
	unknown := batch(n.Address(), catchUp("beta", 1))
	unknown.GetMessageBatch().TypeNames[0] = "no.such.Message"
	s.send(unknown)
	want[RefusedType]++
	elsewhere := batch(peer, catchUp("beta", 1)) // protoactor would pass it on
	s.send(elsewhere)
	want[RefusedTarget]++
	s.send(batch(n.Address(), catchUp("beta", 99))) // on the same stream, still open
	n.hears(99)
	got := n.Stats().Refused
	for why, count := range want {
		if got[why] != count {
			t.Errorf("refused %d for %q, want %d", got[why], why, count)
		}
	}
	if _, spawned := n.system.ProcessRegistry.GetLocal("Remote$spawned"); spawned {
		t.Error("an actor was spawned")
	}
	n.lives(peer)
}

// Trap 3: a sender makes protoactor dial, and answer, whoever is named.
func TestTrap3_SendersAreRefused(t *testing.T) {
	m := batch("here", catchUp("beta", 1)).GetMessageBatch()
	m.Senders = []*actor.PID{{Address: "10.0.0.1:1", Id: "x"}}
	m.Envelopes[0].Sender = 1
	var why Reason
	g := &guard{
		address: "here", prefix: "beta/", messages: 1, targets: RoleTarget,
		refuse:  func(r Reason, _ ...any) { why = r },
		deliver: func(*actor.PID, proto.Message) { t.Error("delivered") },
	}
	if err := g.batch(m); err != nil || why != RefusedSender {
		t.Errorf("refused for %q, %v", why, err)
	}
}

// Trap 3: protoactor's diagnostics panic.
func TestTrap3_CallsAreRefused(t *testing.T) {
	n, peer := alone(t)
	s := n.stranger(nil)
	c := remote.NewRemotingClient(s.conn)
	_, err := c.ListProcesses(context.Background(), &remote.ListProcessesRequest{Pattern: "a pattern"})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("ListProcesses: %v", err)
	}
	_, err = c.GetProcessDiagnostics(context.Background(), &remote.GetProcessDiagnosticsRequest{Pid: n.replica})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("GetProcessDiagnostics: %v", err)
	}
	if got := n.Stats().Refused[RefusedCall]; got != 2 {
		t.Errorf("counted %d", got)
	}
	n.lives(peer)
}

// Trap 3: with mTLS a stranger does not get as far as a message.
func TestTrap3_MutualTLS(t *testing.T) {
	ca := testcert.New(t)
	peers := addresses(t, "alpha", "beta", "gamma")
	use := func(name string) func(*Options) { return func(o *Options) { o.TLS = certs.Fixed(ca.TLS(name)) } }
	alpha := startNode(t, "alpha", peers, use("alpha"))
	beta := startNode(t, "beta", peers, use("beta"))
	alpha.connected("beta")
	beta.connected("alpha")
	beta.say(alpha.Address(), catchUp("beta", 1))
	alpha.hears(1)

	strangers := map[string]credentials.TransportCredentials{"plaintext": nil}
	for name, from := range map[string]*testcert.Authority{"unknown name": ca, "another authority": testcert.New(t)} {
		c := from.TLS("mallory")
		if name == "another authority" {
			c = from.TLS("beta")
		}
		c.RootCAs, c.ServerName = ca.TLS().RootCAs, "alpha"
		strangers[name] = credentials.NewTLS(c)
	}
	anonymous := ca.TLS()
	anonymous.Certificates, anonymous.ServerName = nil, "alpha"
	strangers["no certificate"] = credentials.NewTLS(anonymous)
	for name, creds := range strangers {
		before := alpha.Stats().Refused[RefusedHandshake]
		s := alpha.stranger(creds)
		if s.stream != nil {
			s.claim(peers["beta"])
			if err := s.end(); status.Code(err) != codes.Unavailable {
				t.Errorf("%s: %v", name, err)
			}
		}
		s.close()
		eventually(t, name+": counted", func() bool { return alpha.Stats().Refused[RefusedHandshake] > before })
	}
	if got := alpha.Stats().Refused[RefusedIntroduction]; got != 0 {
		t.Errorf("%d strangers got as far as an introduction", got)
	}

	gamma := ca.TLS("gamma")
	gamma.ServerName = "alpha"
	s := alpha.stranger(credentials.NewTLS(gamma))
	s.claim(peers["beta"])
	if err := s.end(); status.Code(err) != codes.PermissionDenied {
		t.Errorf("gamma as beta: %v", err)
	}
}

// Trap 3: a member does not talk to whoever sits at a peer's address, either.
func TestTrap3_ServerMustBeTheMember(t *testing.T) {
	ca := testcert.New(t)
	peers := addresses(t, "alpha", "beta")
	startNode(t, "beta", peers, func(o *Options) { o.TLS = certs.Fixed(ca.TLS("gamma")) })
	alpha := startNode(t, "alpha", peers, func(o *Options) { o.TLS = certs.Fixed(ca.TLS("alpha")); o.Limits.Introduction = 1e8 })
	// Where the machine is slow, the first tries may be given up before they come to it.
	eventually(t, "the log tells whose certificate it was", func() bool {
		return alpha.log.count("not connected") > 0 && alpha.log.count("gamma") > 0
	})
	if alpha.Stats().Peers["beta"].Connected {
		t.Error("connected to gamma at beta's address")
	}
}

// A flood of one kind is one line a second.
func TestRefusalsAreCountedNotLogged(t *testing.T) {
	n, peer := alone(t)
	s := n.stranger(nil)
	s.introduce(peer)
	const flood = 5000
	for i := range flood {
		s.send(batch(n.Address(), &messages.Tick{Generation: uint64(i)}))
	}
	s.send(batch(n.Address(), catchUp("beta", 1)))
	n.hears(1)
	if got := n.Stats().Refused[RefusedType]; got != flood {
		t.Errorf("counted %d, want %d", got, flood)
	}
	if got := n.log.count("reason=type"); got == 0 || got > flood/100 {
		t.Errorf("%d lines for %d refusals", got, flood)
	}
}

// FuzzGuard looks for bytes that make the guard panic, or let something through.
func FuzzGuard(f *testing.F) {
	for _, m := range []*remote.RemoteMessage{
		batch("here", catchUp("beta", 1)), batch("here", &actor.Stop{}),
		batch("here", &messages.P2A{From: "beta/x", Pvalue: &messages.PValue{Ballot: &messages.Ballot{}}}),
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if scan(b, 10) != nil {
			return
		}
		var m remote.RemoteMessage
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		g := &guard{
			address: "here", prefix: "beta/", messages: 10, targets: RoleTarget, refuse: func(Reason, ...any) {},
			deliver: func(pid *actor.PID, m proto.Message) {
				if kindOf(m) == nil || !RoleTarget(pid.Id) || pid.Address != "here" {
					panic(fmt.Sprint("let through: ", pid, m))
				}
			},
		}
		_ = g.batch(m.GetMessageBatch()) // a panic is what is looked for
	})
}

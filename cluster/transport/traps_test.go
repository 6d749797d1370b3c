package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster/certs"
	"github.com/pmmc-go/pmmc/cluster/transport/testcert"
	"github.com/pmmc-go/pmmc/messages"
)

// Trap 1: remote.Start panics when it cannot listen.
func TestTrap1_AddressTakenIsAnError(t *testing.T) {
	n, _ := alone(t)
	_, err := Start(NewSystem(n.logger), Options{Listen: n.options.Listen, Member: "beta"})
	var taken *ListenError
	if !errors.As(err, &taken) || !strings.Contains(taken.Hint(), "another node") {
		t.Fatalf("got %v", err)
	}
	_, err = Start(NewSystem(n.logger), Options{Listen: "no port", Member: "beta"})
	if !errors.As(err, &taken) {
		t.Fatalf("got %v", err)
	}
}

// Trap 1: remote.Start mutes gRPC's logger, and races with whoever logs.
func TestTrap1_LoggerOfGRPCIsLeftAlone(t *testing.T) {
	pair(t)
	before := grpcLog.count("still heard")
	grpclog.Warning("still heard")
	if grpcLog.count("still heard") != before+1 {
		t.Error("gRPC's logger was replaced")
	}
}

// Trap 4: protoactor's endpoint sleeps 2 s between tries, then drops all.
func TestTrap4_ReturningPeerIsHeard(t *testing.T) {
	if late := time.Duration(float64(reconnectMax) * (1 + reconnectJitter)); late > 100*time.Millisecond {
		t.Errorf("a peer may be back for %s before it is dialled", late)
	}
	peers := addresses(t, "alpha", "beta")
	alpha := startNode(t, "alpha", peers)
	for slot := range uint64(5) {
		beta := startNode(t, "beta", peers)
		alpha.connected("beta")
		alpha.say(beta.Address(), catchUp("alpha", slot))
		beta.hears(slot)
		beta.connected("alpha")
		beta.say(alpha.Address(), catchUp("beta", slot))
		alpha.hears(slot)
		beta.Kill()
		eventually(t, "lost", func() bool { return !alpha.Stats().Peers["beta"].Connected })
	}
	if got := alpha.Stats().Peers["beta"].Connections; got != 5 {
		t.Errorf("connected %d times, want 5", got)
	}
}

// Trap 4: what a peer missed while it was away is not worth hearing.
func TestTrap4_NothingWaitsForAPeerThatIsAway(t *testing.T) {
	peers := addresses(t, "alpha", "beta")
	alpha := startNode(t, "alpha", peers, func(o *Options) { o.Limits.Patience = time.Millisecond })
	stats := func() PeerStats { return alpha.Stats().Peers["beta"] }
	alpha.say(peers["beta"], catchUp("alpha", 1))
	eventually(t, "dropped", func() bool { return stats().Dropped == 1 && stats().Outstanding == 0 })
	for range 1000 {
		alpha.say(peers["beta"], catchUp("alpha", 2))
	}
	if s := stats(); s.Dropped != 1001 || s.Outstanding != 0 {
		t.Errorf("dropped %d, outstanding %d", s.Dropped, s.Outstanding)
	}
	beta := startNode(t, "beta", peers)
	alpha.connected("beta")
	alpha.say(peers["beta"], catchUp("alpha", 3))
	if m := (<-beta.inbox).(*messages.CatchUp); m.Slot != 3 {
		t.Errorf("heard of slot %d first", m.Slot)
	}
}

// Trap 4: the first messages to a peer that is about to start are not lost.
func TestTrap4_MessagesWaitForAPeerForAWhile(t *testing.T) {
	peers := addresses(t, "alpha", "beta")
	alpha := startNode(t, "alpha", peers, func(o *Options) { o.Limits.Patience = deadline })
	alpha.say(peers["beta"], catchUp("alpha", 1))
	beta := startNode(t, "beta", peers)
	// It may come before beta's actor lives, so it is the transport that is asked.
	eventually(t, "handed over", func() bool { return beta.Stats().Peers["alpha"].MessagesIn == 1 })
}

// Trap 5: a peer whose machine vanishes leaves a stream that is open on one side.
func TestTrap5_VanishedPeerIsNoticedByBothSides(t *testing.T) {
	t.Parallel()
	peers := addresses(t, "alpha", "beta")
	address, vanish := proxy(t, peers["beta"])
	soon := func(o *Options) { o.Limits.KeepAlive, o.Limits.Silence = time.Second, time.Second }
	beta := startNode(t, "beta", peers, soon, func(o *Options) { o.Advertise = address })
	alpha := startNode(t, "alpha", map[string]string{"alpha": peers["alpha"], "beta": address}, soon)
	alpha.connected("beta")
	vanish()
	eventually(t, "noticed by who was dialled", func() bool { return beta.Stats().Peers["alpha"].Heard == 0 })
	eventually(t, "noticed by who dialled", func() bool { return !alpha.Stats().Peers["beta"].Connected })
}

// Trap 6: the queue to a slow peer is bounded in bytes.
func TestTrap6_SlowPeerDoesNotGrowMemory(t *testing.T) {
	const limit, size = 1 << 20, 10_000
	n, peer := alone(t, func(o *Options) { o.Limits.PeerBytes = limit })
	startDeaf(t, peer)
	n.connected("beta")
	stats := func() PeerStats { return n.Stats().Peers["beta"] }
	chunk := &messages.SnapshotChunk{From: "alpha/replica", Data: make([]byte, size)}
	for range 1000 {
		n.say(peer, chunk)
		if s := stats(); s.Outstanding > limit {
			t.Fatalf("%d bytes wait, want at most %d", s.Outstanding, limit)
		}
	}
	eventually(t, "full", func() bool {
		n.say(peer, chunk)
		return stats().Dropped > 0 && stats().Outstanding > limit-2*size
	})
}

// Trap 7: gRPC refuses batches of more than 4 MiB.
func TestTrap7_LongMessagesAndBatchesPass(t *testing.T) {
	alpha, beta := pair(t, func(o *Options) { o.Limits.MessageBytes = 9 << 20 })
	chunk := func(size int) *messages.SnapshotChunk {
		return &messages.SnapshotChunk{From: "alpha/replica", Data: make([]byte, size)}
	}
	alpha.say(beta.Address(), chunk(9<<20)) // with its envelope it is too long: not sent
	if s := alpha.Stats(); s.Refused[RefusedUnsendable] != 1 || s.Peers["beta"].Dropped != 1 {
		t.Errorf("refused %v, dropped %d", s.Refused, s.Peers["beta"].Dropped)
	}
	sizes := []int{9<<20 - 100, 5 << 20}
	for range 40 {
		sizes = append(sizes, 1<<20, 100)
	}
	for _, size := range sizes {
		alpha.say(beta.Address(), chunk(size))
	}
	for i, size := range sizes {
		if got := len((<-beta.inbox).(*messages.SnapshotChunk).Data); got != size {
			t.Fatalf("message %d has %d bytes, want %d", i, got, size)
		}
	}
	s := alpha.Stats().Peers["beta"]
	if s.Connections != 1 || s.Outstanding != 0 && s.Outstanding > 9<<20 {
		t.Errorf("%+v", s)
	}
}

// Trap 7: a stranger cannot send what no peer may send.
func TestTrap7_TooLongIsRefused(t *testing.T) {
	n, peer := alone(t, func(o *Options) { o.Limits.MessageBytes, o.Limits.BatchBytes = 1<<20, 1<<20 })
	s := n.stranger(nil)
	s.introduce(peer)
	s.send(batch(n.Address(), &messages.SnapshotChunk{From: "beta/x", Data: make([]byte, 8<<20)}))
	if err := s.end(); err == nil {
		t.Error("the stream goes on")
	}
	eventually(t, "counted", func() bool { return n.Stats().Refused[RefusedLength] == 1 })
	n.lives(peer)
}

// Trap 8: a message is read after it was sent, by actors of this node and by the
// links to peers; none of them writes to it. The race detector watches.
func TestTrap8_SentMessagesAreOnlyRead(t *testing.T) {
	peers := addresses(t, "alpha", "beta", "gamma")
	alpha, beta, gamma := startNode(t, "alpha", peers), startNode(t, "beta", peers), startNode(t, "gamma", peers)
	alpha.connected("beta")
	alpha.connected("gamma")
	m := &messages.P2A{From: "alpha/x", Pvalue: &messages.PValue{Ballot: &messages.Ballot{Round: 1}, Decree: []byte("d")}}
	before := proto.Clone(m)
	for _, n := range []*node{alpha, beta, gamma} {
		alpha.say(n.Address(), m)
	}
	for _, n := range []*node{alpha, beta, gamma} {
		got := <-n.inbox
		if !proto.Equal(got, before) {
			t.Errorf("got %v", got)
		}
		if (got == proto.Message(m)) != (n == alpha) {
			t.Error("only actors of one node share a message")
		}
	}
}

// Trap 11: protoactor's lines go to hclog, from warnings on.
func TestTrap11_LinesOfProtoactorGoToHclog(t *testing.T) {
	n, _ := alone(t)
	log := n.system.Logger().With("a", 1).WithGroup("g")
	log.Info("too quiet")
	log.Warn("loud", "b", 2)
	log.Error("louder")
	for part, want := range map[string]int{"too quiet": 0, "[WARN]  alpha.actors: loud: a=1 g.b=2": 1, "[ERROR] alpha.actors: louder: a=1": 1} {
		if got := n.log.count(part); got != want {
			t.Errorf("%q is there %d times, want %d:\n%s", part, got, want, n.log)
		}
	}
}

// Trap 11, and 10: dead letters are counted, not logged.
func TestTrap11_DeadLettersAreCounted(t *testing.T) {
	n, peer := alone(t)
	s := n.stranger(nil)
	s.introduce(peer)
	m := batch(n.Address(), catchUp("beta", 1))
	m.GetMessageBatch().Targets[0].Id = "node/epoch-1/leader/scout-3"
	for range 10 {
		s.send(m)
	}
	eventually(t, "counted", func() bool { return n.Stats().DeadLetters == 10 })
	if strings.Contains(strings.ToLower(n.log.String()), "dead") {
		t.Errorf("logged:\n%s", n.log)
	}
}

// Trap 12: what was sent before Stop is heard.
func TestTrap12_StopSendsWhatWaits(t *testing.T) {
	alpha, beta := pair(t, func(o *Options) { o.Limits.Drain = deadline })
	const all = 20_000
	for slot := range uint64(all) {
		alpha.say(beta.Address(), catchUp("alpha", slot))
	}
	if err := alpha.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all heard", func() bool { return len(beta.inbox) == all })
	alpha.say(beta.Address(), catchUp("alpha", all)) // is dropped, and harms nobody
	if err := alpha.Stop(context.Background()); err != nil {
		t.Errorf("stopped again: %v", err)
	}
}

// Trap 12: a peer that is slow gets it all, and sees an end, not a break.
func TestTrap12_StopWaitsForASlowPeer(t *testing.T) {
	n, peer := alone(t, func(o *Options) { o.Limits.Drain = deadline })
	slow := startDeaf(t, peer)
	n.connected("beta")
	const all = 30
	for range all { // more than gRPC takes for somebody who does not listen
		n.say(peer, &messages.SnapshotChunk{From: "alpha/replica", Data: make([]byte, 100_000)})
	}
	stopped := make(chan error, 1)
	go func() { stopped <- n.Stop(context.Background()) }()
	eventually(t, "stopping", n.closed.Load)
	close(slow.cured)
	if heard, last := <-slow.heard, <-slow.last; heard != all || !errors.Is(last, io.EOF) {
		t.Errorf("heard %d of %d, then %v", heard, all, last)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// Trap 12: remote's graceful stop waits 10 s for whoever does not answer.
func TestTrap12_StopHasADeadline(t *testing.T) {
	for name, limit := range map[string]time.Duration{"its own": 0, "the caller's": deadline} {
		n, peer := alone(t, func(o *Options) { o.Limits.Drain = max(limit, 10*time.Millisecond) })
		startDeaf(t, peer)
		n.connected("beta")
		for range 100 {
			n.say(peer, &messages.SnapshotChunk{From: "alpha/replica", Data: make([]byte, 100_000)})
		}
		ctx, cancel := context.WithTimeout(context.Background(), max(deadline-limit, 10*time.Millisecond))
		began := time.Now()
		err := n.Stop(ctx)
		if (err != nil) != (limit > 0) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > deadline/3 {
			t.Errorf("%s: it took %s", name, took)
		}
		cancel()
	}
}

// Trap 12: Kill waits for nobody, not even for a handshake under way.
func TestTrap12_KillWaitsForNobody(t *testing.T) {
	n, _ := alone(t, func(o *Options) {
		o.TLS, o.Limits.Introduction = certs.Fixed(testcert.New(t).TLS("alpha")), time.Hour
	})
	conn, err := net.Dial("tcp", n.options.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	eventually(t, "at the door", func() bool { return n.Stats().Strangers == 1 })
	n.Kill()
	n.Kill()
	if !slices.Equal([]int{n.Stats().Strangers, n.Stats().Guests}, []int{0, 0}) {
		t.Error("connections are left")
	}
	if err := n.SetPeers(1, nil); !errors.Is(err, ErrStopped) {
		t.Errorf("SetPeers: %v", err)
	}
	n.system.Root.Send(actor.NewPID("10.0.0.1:1", "x"), catchUp("alpha", 1))
}

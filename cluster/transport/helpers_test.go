package transport

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster/clustertest/freeport"
	"github.com/pmmc-go/pmmc/messages"
)

// deadline is when a test gives up. Nothing is expected to take nearly as long.
const deadline = 30 * time.Second

// grpcLog is where gRPC logs in these tests.
var grpcLog = new(lines)

func TestMain(m *testing.M) {
	if address := os.Getenv(stockAt); address != "" {
		stock(address)
		return
	}
	LogGRPC(hclog.New(&hclog.LoggerOptions{Output: grpcLog, Level: hclog.Warn}))
	if code := m.Run(); code != 0 {
		os.Exit(code)
	}
	if err := goleak.Find(); err != nil {
		println(err.Error())
		os.Exit(1)
	}
}

// lines is a log that a test can read.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) count(part string) int { return strings.Count(l.String(), part) }

// eventually polls until ok, or fails the test.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(deadline); !ok(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("gave up waiting: %s", what)
		}
	}
}

// addresses are ports of loopback that are the test's, while nobody listens there too.
func addresses(t *testing.T, members ...string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for i, a := range freeport.Addresses(t, len(members)) {
		all[members[i]] = a
	}
	return all
}

// node is a transport with one actor, node/replica, that shows what it is sent.
type node struct {
	*Transport
	t       *testing.T
	system  *actor.ActorSystem
	replica *actor.PID
	inbox   chan proto.Message
	stopped chan struct{} // closed when the actor is stopped
	log     *lines
}

func startNode(t *testing.T, member string, peers map[string]string, change ...func(*Options)) *node {
	t.Helper()
	n := &node{t: t, log: new(lines), inbox: make(chan proto.Message, 100_000), stopped: make(chan struct{})}
	logger := hclog.New(&hclog.LoggerOptions{Name: member, Output: n.log, Level: hclog.Debug})
	n.system = NewSystem(logger.Named("actors"))
	o := Options{Listen: peers[member], Member: member, Peers: peers, Logger: logger}
	for _, c := range change {
		c(&o)
	}
	var err error
	if n.Transport, err = Start(n.system, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.Kill()
		n.system.Shutdown()
		if t.Failed() {
			t.Logf("log of %s:\n%s", member, n.log)
		}
	})
	n.replica, err = n.system.Root.SpawnNamed(actor.PropsFromFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *actor.Stopping:
			close(n.stopped)
		case *messages.SnapshotChunk, *messages.P2A, *messages.CatchUp, *messages.Learned:
			n.inbox <- m.(proto.Message)
		}
	}), "node/replica")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// pair starts two nodes that are connected.
func pair(t *testing.T, change ...func(*Options)) (alpha, beta *node) {
	t.Helper()
	peers := addresses(t, "alpha", "beta")
	alpha, beta = startNode(t, "alpha", peers, change...), startNode(t, "beta", peers, change...)
	alpha.connected("beta")
	beta.connected("alpha")
	return alpha, beta
}

func (n *node) connected(peer string) {
	n.t.Helper()
	eventually(n.t, "connected to "+peer, func() bool { return n.Stats().Peers[peer].Connected })
}

// say sends a message to the replica of another node.
func (n *node) say(address string, m proto.Message) {
	n.system.Root.Send(actor.NewPID(address, "node/replica"), m)
}

// catchUp is a message that means nothing here but its number.
func catchUp(member string, slot uint64) *messages.CatchUp {
	return &messages.CatchUp{From: member + "/replica", Slot: slot}
}

// hears waits for a CatchUp with a slot; others before it are skipped.
func (n *node) hears(slot uint64) {
	n.t.Helper()
	limit := time.After(deadline)
	for {
		select {
		case m := <-n.inbox:
			if c, ok := m.(*messages.CatchUp); ok && c.Slot == slot {
				return
			}
		case <-limit:
			n.t.Fatalf("slot %d was not heard", slot)
		}
	}
}

// lives checks that node and actor still serve an honest stranger's like.
func (n *node) lives(as string) {
	n.t.Helper()
	s := n.stranger(nil)
	s.introduce(as)
	s.send(batch(n.Address(), catchUp(n.memberAt(as), 4711)))
	n.hears(4711)
	select {
	case <-n.stopped:
		n.t.Fatal("the actor was stopped")
	default:
	}
	s.close()
}

func (n *node) memberAt(address string) string { return n.peering.Load().byAddress[address].member }

// stranger is somebody who speaks protoactor's protocol to a node.
type stranger struct {
	t      *testing.T
	conn   *grpc.ClientConn
	stream remote.Remoting_ReceiveClient // nil if it was not to be had …
	failed error                         // … for this reason
	cancel func()
}

func (n *node) stranger(creds credentials.TransportCredentials) *stranger {
	n.t.Helper()
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	conn, err := grpc.NewClient(n.options.Listen, grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1<<30)))
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	s := &stranger{t: n.t, conn: conn, cancel: cancel}
	n.t.Cleanup(s.close)
	stream, err := remote.NewRemotingClient(conn).Receive(ctx)
	if s.failed = err; err == nil {
		s.stream = stream
	}
	return s
}

func (s *stranger) close() {
	s.cancel()
	_ = s.conn.Close() // twice, when the test did it too
}

func (s *stranger) send(m *remote.RemoteMessage) { _ = s.stream.Send(m) /* the answer tells */ }

func (s *stranger) claim(address string) {
	s.send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{
		ConnectRequest: &remote.ConnectRequest{ConnectionType: &remote.ConnectRequest_ServerConnection{
			ServerConnection: &remote.ServerConnection{SystemId: "stranger", Address: address},
		}},
	}})
}

// introduce claims to be at a member's address and waits for the welcome.
func (s *stranger) introduce(address string) {
	s.t.Helper()
	if err := s.welcomed(address); err != nil {
		s.t.Fatalf("introduced as %s: %v", address, err)
	}
}

// welcomed claims to be at a member's address and tells whether that is believed.
func (s *stranger) welcomed(address string) error {
	if s.stream == nil {
		return s.failed
	}
	s.claim(address)
	m, err := s.stream.Recv()
	if err == nil && m.GetConnectResponse() == nil {
		err = fmt.Errorf("answered with %v", m)
	}
	return err
}

// end waits for the end of the stream.
func (s *stranger) end() error {
	for s.stream != nil {
		if _, err := s.stream.Recv(); err != nil {
			return err
		}
	}
	return s.failed
}

// batch is a right batch of messages for the replica at an address.
func batch(address string, all ...proto.Message) *remote.RemoteMessage {
	parcels := make([]parcel, 0, len(all))
	for _, m := range all {
		data, err := proto.Marshal(m)
		if err != nil {
			panic(err)
		}
		parcels = append(parcels, parcel{target: "node/replica", kind: typeName(m), data: data})
	}
	return newPacker(address).pack(parcels)
}

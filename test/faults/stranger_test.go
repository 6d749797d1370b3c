package faults

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/certs"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
	"github.com/pmmc-go/pmmc/cluster/transport/testcert"
	"github.com/pmmc-go/pmmc/messages"
)

// TestAStrangerAtThePeerPort sends random bytes, malformed batches, system messages
// and spawn requests to every peer port while clients write: the nodes go on, count
// what they refused, and no actor is stopped. With TLS the stranger gets no further
// than the handshake.
func TestAStrangerAtThePeerPort(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%t", secure), func(t *testing.T) {
			authority := testcert.New(t)
			c := watched(t, 3, clustertest.Options{Change: func(o *cluster.Options) {
				if secure {
					o.TLS = certs.Fixed(authority.TLS(o.Member))
				}
			}})
			acked, stop := load(t, c, 9)
			c.Eventually("loaded", moreThan(acked, 100))
			for _, m := range c.Members() {
				for range 20 {
					sendNoise(t, m.Address)
				}
				for _, batch := range evilBatches(m.Address) {
					sendBatch(t, m.Address, c.Members()[0].Address, batch)
				}
			}
			before := acked.Load()
			c.Eventually("at work among strangers", moreThan(acked, before+200))
			check(t, c, stop())
			for _, n := range c.Running() {
				s := n.Status()
				refused := uint64(0)
				for _, count := range s.Transport.Refused {
					refused += count
				}
				if refused == 0 {
					t.Errorf("%s refused nothing", n.Name)
				}
				if len(s.Restarts) > 0 {
					t.Errorf("%s: actors had to be restarted: %v", n.Name, s.Restarts)
				}
			}
		})
	}
}

// sendNoise sends random bytes. What becomes of them is the node's business.
func sendNoise(t *testing.T, address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatalf("dial %s: %v", address, err)
	}
	defer conn.Close()
	noise := make([]byte, 2000)
	_, _ = rand.Read(noise)
	_, _ = conn.Write(noise)
}

// evilBatches are well-formed batches of protoactor that must do nothing.
func evilBatches(address string) []*remote.MessageBatch {
	acceptor := actor.NewPID(address, "node/epoch-1/acceptor")
	batch := func(typeName string, m proto.Message, target *actor.PID) *remote.MessageBatch {
		data, err := proto.Marshal(m)
		if err != nil {
			panic(err)
		}
		return &remote.MessageBatch{
			TypeNames: []string{typeName}, Targets: []*actor.PID{target},
			Envelopes: []*remote.MessageEnvelope{{MessageData: data}},
		}
	}
	learned := &messages.Learned{From: "alpha/replica"}
	outside := batch("pmmc.v1.Learned", learned, acceptor)
	outside.Envelopes[0].TypeId, outside.Envelopes[0].Target, outside.Envelopes[0].Sender = 7, 9, -3
	return []*remote.MessageBatch{
		batch("actor.Stop", &actor.Stop{}, acceptor),
		batch("actor.PoisonPill", &actor.PoisonPill{}, acceptor),
		batch("actor.Watch", &actor.Watch{Watcher: actor.NewPID("127.0.0.1:1", "x")}, acceptor),
		batch("actor.Terminated", &actor.Terminated{Who: acceptor}, acceptor),
		batch("remote.ActorPidRequest", &remote.ActorPidRequest{Kind: "x", Name: "y"}, actor.NewPID(address, "activator")),
		batch("no.such.Type", learned, acceptor),
		batch("pmmc.v1.Tick", &messages.Tick{}, acceptor),
		batch("pmmc.v1.Learned", learned, actor.NewPID(address, "node")),
		batch("pmmc.v1.Record", &messages.Record{}, acceptor),
		outside,
		{TypeNames: []string{"pmmc.v1.P1a"}, Targets: []*actor.PID{acceptor}, Envelopes: []*remote.MessageEnvelope{{MessageData: []byte{0xff, 0xff}}}},
	}
}

// sendBatch poses as a member and sends one batch, in plaintext.
func sendBatch(t *testing.T, address, as string, batch *remote.MessageBatch) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "pmmc-cluster-bin", "test")
	stream, err := remote.NewRemotingClient(conn).Receive(ctx)
	if err != nil {
		return // refused: as it should be with TLS
	}
	_ = stream.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{ConnectRequest: &remote.ConnectRequest{
		ConnectionType: &remote.ConnectRequest_ServerConnection{ServerConnection: &remote.ServerConnection{SystemId: "evil", Address: as}},
	}}})
	_, _ = stream.Recv() // the answer, or the refusal
	_ = stream.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: batch}})
	_ = stream.CloseSend()
	_, _ = stream.Recv() // until the node ends the stream
}

package transport

import (
	"fmt"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// BenchmarkSend measures what it takes to encode a p2a with a decree of 72 KiB, of some 240
// commands, for a number of peers, up to gRPC.
func BenchmarkSend(b *testing.B) {
	for _, peers := range []int{2, 6} {
		b.Run(fmt.Sprint(peers, " peers"), func(b *testing.B) {
			e, p := &encoder{}, newPacker("there")
			b.ReportAllocs()
			for b.Loop() {
				m := &messages.P2A{From: "beta/epoch-1/leader/commander-1-1", Pvalue: &messages.PValue{
					Ballot: &messages.Ballot{Round: 1, Leader: 1}, Slot: 1, Decree: decree,
				}}
				for range peers {
					data, err := e.encode(m)
					if err != nil {
						b.Fatal(err)
					}
					p.pack([]parcel{{target: "node/epoch-1/acceptor", kind: "pmmc.v1.P2a", data: data}})
					p.unpack()
				}
			}
		})
	}
}

var decree = make([]byte, 72<<10)

// BenchmarkGuard measures what it takes to check and decode one message of a batch;
// decoding is most of it. gRPC and the mailboxes are not in it.
func BenchmarkGuard(b *testing.B) {
	const size = 100
	m := &messages.P2A{From: "beta/epoch-1/leader/commander-1-1", Pvalue: &messages.PValue{
		Ballot: &messages.Ballot{Round: 1, Leader: 1}, Slot: 1, Decree: make([]byte, 256),
	}}
	all := make([]proto.Message, size)
	for i := range all {
		all[i] = m
	}
	in := batch("here", all...).GetMessageBatch()
	delivered := 0
	g := &guard{
		address: "here", prefix: "beta/", messages: size, targets: RoleTarget,
		refuse: func(why Reason, _ ...any) { b.Error(why) }, deliver: func(*actor.PID, proto.Message) { delivered++ },
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := g.batch(in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(delivered), "ns/message")
}

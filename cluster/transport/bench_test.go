package transport

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

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

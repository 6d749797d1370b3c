package transport

import (
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	maxTarget    = 512 // bytes of a PID
	envelopeCost = 64  // bytes that a message needs beside itself
)

// guard checks what comes on one stream. It belongs to the goroutine of the stream.
type guard struct {
	address  string // this node's
	prefix   string // of the `from` of all that the peer says
	targets  func(id string) bool
	messages int // in a batch
	refuse   func(why Reason, details ...any)
	deliver  func(target *actor.PID, m proto.Message)

	kinds  []*kind // of the batch at hand, by type index; nil for what is refused
	spoken []bool  // of the batch at hand, by target index: may it be spoken to?
}

// batch delivers what is right in a batch, and counts what is not. It returns an
// error when the batch makes no sense: then the stream must end.
func (g *guard) batch(m *remote.MessageBatch) error {
	if why := g.garbled(m); why != "" {
		g.refuse(RefusedGarbled, "why", why)
		return status.Error(codes.InvalidArgument, "transport: "+why)
	}
	g.kinds, g.spoken = g.kinds[:0], g.spoken[:0]
	for _, name := range m.TypeNames {
		g.kinds = append(g.kinds, kinds[name])
	}
	for _, pid := range m.Targets {
		g.spoken = append(g.spoken, pid.Address == g.address && g.targets(pid.Id))
	}
	for _, e := range m.Envelopes {
		if err := g.envelope(m, e); err != nil {
			return err
		}
	}
	return nil
}

// garbled tells what in a batch no honest peer would send. Protoactor's own reader
// would take each number from the wire for an index, and panic.
func (g *guard) garbled(m *remote.MessageBatch) string {
	switch {
	case m == nil:
		return "no batch"
	case len(m.Envelopes) > g.messages || len(m.Targets) > g.messages || len(m.TypeNames) > maxTypes:
		return "too many parts"
	}
	for _, pid := range m.Targets {
		if pid == nil || pid.RequestId != 0 || len(pid.Id)+len(pid.Address) > maxTarget {
			return "bad target"
		}
	}
	for _, e := range m.Envelopes {
		switch {
		case e == nil:
			return "no envelope"
		case e.TypeId < 0 || int(e.TypeId) >= len(m.TypeNames):
			return "type index out of range"
		case e.Target < 0 || int(e.Target) >= len(m.Targets):
			return "target index out of range"
		case e.Sender < 0 || int(e.Sender) > len(m.Senders):
			return "sender index out of range"
		case e.SerializerId != 0:
			return "serializer is not protobuf's"
		case e.MessageHeader != nil:
			return "message header"
		case e.TargetRequestId != 0 || e.SenderRequestId != 0:
			return "request id"
		}
	}
	return ""
}

func (g *guard) envelope(m *remote.MessageBatch, e *remote.MessageEnvelope) error {
	k, name := g.kinds[e.TypeId], m.TypeNames[e.TypeId]
	target := m.Targets[e.Target]
	switch {
	case k == nil:
		g.refuse(RefusedType, "type", name)
		return nil
	case !g.spoken[e.Target]:
		g.refuse(RefusedTarget, "target", target.Id, "address", target.Address, "type", name)
		return nil
	case e.Sender != 0:
		g.refuse(RefusedSender, "type", name)
		return nil
	}
	message := k.typ.New()
	if err := proto.Unmarshal(e.MessageData, message.Interface()); err != nil {
		g.refuse(RefusedGarbled, "why", err, "type", name)
		return status.Error(codes.InvalidArgument, "transport: message does not decode")
	}
	said := message.Interface().(signed)
	switch {
	case !strings.HasPrefix(said.GetFrom(), g.prefix):
		g.refuse(RefusedForged, "from", said.GetFrom(), "member", g.prefix, "type", name)
	case !complete(message, k.parts):
		g.refuse(RefusedIncomplete, "from", said.GetFrom(), "type", name)
	default:
		g.deliver(target, said)
	}
	return nil
}

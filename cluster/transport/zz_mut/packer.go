package transport

import (
	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/proto"
)

// parcel is a message on its way to a peer.
type parcel struct {
	target string // the Id of a PID
	m      proto.Message
	size   int // of the message, in bytes
}

// cost is what a parcel takes of the limits.
func (p parcel) cost() int { return p.size + envelopeCost + len(p.target) }

// packer makes protoactor's batches. It belongs to one goroutine.
type packer struct {
	address string // the peer's
	types   map[string]int32
	targets map[string]int32
	failed  func(proto.Message, error)
}

func newPacker(address string, failed func(proto.Message, error)) *packer {
	return &packer{
		address: address, types: make(map[string]int32), targets: make(map[string]int32), failed: failed,
	}
}

// pack encodes parcels into one batch. What cannot be encoded is left out.
func (p *packer) pack(parcels []parcel) *remote.RemoteMessage {
	clear(p.types)
	clear(p.targets)
	b := &remote.MessageBatch{Envelopes: make([]*remote.MessageEnvelope, 0, len(parcels))}
	for _, one := range parcels {
		data, err := proto.Marshal(one.m)
		if err != nil {
			p.failed(one.m, err)
			continue
		}
		name := string(one.m.ProtoReflect().Descriptor().FullName())
		typ, ok := p.types[name]
		if !ok {
			typ = int32(len(b.TypeNames))
			p.types[name] = typ
			b.TypeNames = append(b.TypeNames, name)
		}
		target, ok := p.targets[one.target]
		if !ok {
			target = int32(len(b.Targets))
			p.targets[one.target] = target
			b.Targets = append(b.Targets, actor.NewPID(p.address, one.target))
		}
		b.Envelopes = append(b.Envelopes, &remote.MessageEnvelope{TypeId: typ, Target: target, MessageData: data})
	}
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: b}}
}

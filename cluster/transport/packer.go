package transport

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/proto"
)

// parcel is a message on its way to a peer.
type parcel struct {
	target string // the Id of a PID
	kind   string // the full name of the message's type
	data   []byte // the message, encoded; never changed, and shared with other links
}

// cost is what a parcel takes of the limits.
func (p parcel) cost() int { return len(p.data) + envelopeCost + len(p.target) }

// encoder encodes messages, and one that goes to several peers in a row, as a p2a does,
// once for all of them: messages do not change once they are sent.
type encoder struct {
	mu   sync.Mutex
	last proto.Message
	data []byte // of last
}

func (e *encoder) encode(m proto.Message) ([]byte, error) {
	e.mu.Lock()
	last, data := e.last, e.data
	e.mu.Unlock()
	if m == last {
		return data, nil
	}
	data, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last, e.data = m, data
	return data, nil
}

// packer makes protoactor's batches. It belongs to one goroutine.
type packer struct {
	address string // the peer's
	types   map[string]int32
	targets map[string]int32
}

func newPacker(address string) *packer {
	return &packer{address: address, types: make(map[string]int32), targets: make(map[string]int32)}
}

// pack puts parcels into one batch.
func (p *packer) pack(parcels []parcel) *remote.RemoteMessage {
	clear(p.types)
	clear(p.targets)
	b := &remote.MessageBatch{Envelopes: make([]*remote.MessageEnvelope, 0, len(parcels))}
	for _, one := range parcels {
		typ, ok := p.types[one.kind]
		if !ok {
			typ = int32(len(b.TypeNames))
			p.types[one.kind] = typ
			b.TypeNames = append(b.TypeNames, one.kind)
		}
		target, ok := p.targets[one.target]
		if !ok {
			target = int32(len(b.Targets))
			p.targets[one.target] = target
			b.Targets = append(b.Targets, actor.NewPID(p.address, one.target))
		}
		b.Envelopes = append(b.Envelopes, &remote.MessageEnvelope{TypeId: typ, Target: target, MessageData: one.data})
	}
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: b}}
}

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

// packer makes protoactor's batches, one after the other out of the same parts. It belongs
// to one goroutine.
type packer struct {
	address   string // the peer's
	types     map[string]int32
	targets   map[string]int32
	batch     remote.MessageBatch
	message   remote.RemoteMessage
	envelopes []*remote.MessageEnvelope
	pids      []*actor.PID
}

func newPacker(address string) *packer {
	p := &packer{address: address, types: make(map[string]int32), targets: make(map[string]int32)}
	p.message.MessageType = &remote.RemoteMessage_MessageBatch{MessageBatch: &p.batch}
	return p
}

// pack puts parcels into a batch, which is the packer's until unpack.
func (p *packer) pack(parcels []parcel) *remote.RemoteMessage {
	b := &p.batch
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
			if len(p.pids) == len(b.Targets) {
				p.pids = append(p.pids, actor.NewPID(p.address, ""))
			}
			pid := p.pids[target]
			pid.Id = one.target
			b.Targets = append(b.Targets, pid)
		}
		if len(p.envelopes) == len(b.Envelopes) {
			p.envelopes = append(p.envelopes, &remote.MessageEnvelope{})
		}
		e := p.envelopes[len(b.Envelopes)]
		e.TypeId, e.Target, e.MessageData = typ, target, one.data
		b.Envelopes = append(b.Envelopes, e)
	}
	return &p.message
}

// unpack lets go of what was in the batch: it is sent.
func (p *packer) unpack() {
	for _, e := range p.batch.Envelopes {
		e.MessageData = nil
	}
	clear(p.types)
	clear(p.targets)
	p.batch.TypeNames, p.batch.Targets, p.batch.Envelopes = p.batch.TypeNames[:0], p.batch.Targets[:0], p.batch.Envelopes[:0]
}

package transport

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// outlet is the process behind every PID of another node. Protoactor keeps it in the
// PID, so it looks for the peer each time.
type outlet struct{ t *Transport }

// post encodes a message and gives it to the link to its peer.
func (o outlet) post(l *link, target string, m proto.Message) {
	kind := string(m.ProtoReflect().Descriptor().FullName())
	data, err := o.t.encoder.encode(m)
	if err != nil {
		l.dropped.Add(1)
		o.t.refusals.add(RefusedUnsendable, "target", target, "type", kind, "error", err)
		return
	}
	l.send(parcel{target: target, kind: kind, data: data})
}

// SendUserMessage sends a message to a peer, or drops it. The sender of an envelope
// is not told: messages say themselves whose they are.
func (o outlet) SendUserMessage(pid *actor.PID, message any) {
	_, m, _ := actor.UnwrapEnvelope(message)
	l, ok := o.t.peering.Load().byAddress[pid.Address]
	switch {
	case o.t.closed.Load(), pid.Address == "": // a member that was removed is nowhere
	case !ok:
		o.t.refusals.add(RefusedUnknownPeer, "address", pid.Address, "target", pid.Id)
	case !sendable(m):
		o.t.refusals.add(RefusedUnsendable, "target", pid.Id, "type", typeName(m))
	default:
		o.post(l, pid.Id, m.(proto.Message))
	}
}

// SendSystemMessage refuses: nobody watches or stops the actors of another node.
func (o outlet) SendSystemMessage(pid *actor.PID, message any) {
	o.t.refusals.add(RefusedSystem, "address", pid.Address, "target", pid.Id, "type", typeName(message))
}

// Stop refuses.
func (o outlet) Stop(pid *actor.PID) { o.SendSystemMessage(pid, &actor.Stop{}) }

// sendable tells whether a message goes between nodes.
func sendable(m any) bool {
	pm, ok := m.(proto.Message)
	return ok && kindOf(pm) != nil
}

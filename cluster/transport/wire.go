package transport

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/pmmc-go/pmmc/messages"
)

// Direction says how far a message may travel.
type Direction int

// Where a message may be.
const (
	Between Direction = iota + 1 // on its way from node to node
	Inside                       // on its way from one actor of a node to another one
	Part                         // in another message, or on disk; never by itself
)

// Directions lists every message of package messages. One that is not listed, or
// listed as anything but Between, is neither sent to a peer nor taken from one.
var Directions = map[protoreflect.Name]Direction{
	"Ballot":  Part,
	"Command": Part,
	"Decree":  Part,
	"PValue":  Part,
	"Answer":  Part,

	"Request":   Between,
	"Response":  Inside,
	"Propose":   Between,
	"P1a":       Between,
	"P1b":       Between,
	"Promising": Inside,
	"Adopted":   Inside,
	"Preempted": Inside,
	"P2a":       Between,
	"P2b":       Between,
	"Decision":  Between,

	"Ping":            Between,
	"Pong":            Between,
	"Canvass":         Between,
	"Canvassed":       Between,
	"Succeed":         Between,
	"Recorded":        Inside,
	"Confirm":         Between,
	"Confirmed":       Between,
	"Probe":           Between,
	"Probed":          Between,
	"Office":          Between,
	"ReadRequest":     Between,
	"ReadMark":        Between,
	"Read":            Inside,
	"ReadReady":       Inside,
	"Learned":         Between,
	"Decided":         Inside,
	"CatchUp":         Between,
	"CaughtUp":        Between,
	"SnapshotRequest": Between,
	"SnapshotChunk":   Between,
	"Hello":           Between,
	"Welcome":         Between,
	"Configured":      Between,
	"Show":            Between,
	"Shown":           Between,
	"Flushed":         Inside,
	"Tick":            Inside,

	"Record":        Part,
	"DecidedRun":    Part,
	"Checkpoint":    Part,
	"SessionRecord": Part,
	"Identity":      Part,
	"SeenDisk":      Part,
	"StateFile":     Part,
	"Epochs":        Part,

	"Event":         Part,
	"Opened":        Part,
	"Configuration": Part,
	"Member":        Part,
	"Executed":      Part,
	"Installed":     Part,
}

// kind is a message that goes between nodes.
type kind struct {
	typ   protoreflect.MessageType
	parts []part
}

// part is a field that must be there: roles may look into it without a second thought.
type part struct {
	field    protoreflect.FieldDescriptor
	optional bool
	parts    []part // of its own
}

// signed is a message that says whose it is, as all Between do.
type signed interface {
	proto.Message
	GetFrom() string
}

// kinds are the messages that go between nodes, by their full names.
var kinds = wireKinds()

func wireKinds() map[string]*kind {
	ours := messages.File_messages_paxos_proto.Package()
	all := make(map[string]*kind)
	protoregistry.GlobalTypes.RangeMessages(func(t protoreflect.MessageType) bool {
		d := t.Descriptor()
		if d.ParentFile().Package() == ours && d.Parent() == d.ParentFile() && Directions[d.Name()] == Between {
			all[string(d.FullName())] = &kind{typ: t, parts: partsOf(d)}
		}
		return true
	})
	return all
}

// kindOf finds the kind of a message, or nil.
func kindOf(m proto.Message) *kind {
	return kinds[string(m.ProtoReflect().Descriptor().FullName())]
}

// partsOf finds the message-typed fields of d. The messages do not contain
// themselves, so it ends.
func partsOf(d protoreflect.MessageDescriptor) []part {
	var parts []part
	for i := range d.Fields().Len() {
		if f := d.Fields().Get(i); f.Message() != nil && !f.IsMap() {
			parts = append(parts, part{f, f.HasOptionalKeyword(), partsOf(f.Message())})
		}
	}
	return parts
}

// complete tells whether a decoded message has all its parts. Elements of lists are
// never nil once decoded, but parts of theirs may be.
func complete(m protoreflect.Message, parts []part) bool {
	for _, p := range parts {
		if p.optional && !m.Has(p.field) {
			continue
		}
		if !p.field.IsList() {
			if !m.Has(p.field) || !complete(m.Get(p.field).Message(), p.parts) {
				return false
			}
			continue
		}
		if len(p.parts) == 0 {
			continue
		}
		list := m.Get(p.field).List()
		for i := range list.Len() {
			if !complete(list.Get(i).Message(), p.parts) {
				return false
			}
		}
	}
	return true
}

// RoleTarget tells whether an Id is that of an actor that peers speak to: those of
// package runtime's tree but the node's own client and the supervisors.
func RoleTarget(id string) bool {
	path, ok := strings.CutPrefix(id, "node/")
	if !ok {
		return false
	}
	if path == "replica" || path == "steward" || path == "herald" {
		return true
	}
	path, ok = strings.CutPrefix(path, "epoch-")
	if !ok {
		return false
	}
	epoch, role, _ := strings.Cut(path, "/")
	if !numbers(epoch) {
		return false
	}
	if role == "acceptor" || role == "leader" {
		return true
	}
	child, ok := strings.CutPrefix(role, "leader/")
	if !ok {
		return false
	}
	name, number, _ := strings.Cut(child, "-")
	return (name == "scout" || name == "commander") && numbers(number)
}

// numbers tells whether s is digits and dashes.
func numbers(s string) bool {
	return s != "" && strings.Trim(s, "0123456789-") == ""
}

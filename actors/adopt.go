package actors

import (
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// Adopt executes pvalues of consecutive slots, from slot_out on, as if they were
// decided, in a state that no replica runs on. It returns the latest configuration
// that the state has then. It is for a cluster that lost its majority.
func Adopt(o ReplicaOptions, pvalues []*messages.PValue) Configuration {
	r := NewReplica(o)
	for _, v := range pvalues {
		r.perform(nowhere{}, v)
	}
	return r.epochs.latest()
}

// nowhere is the Env of a replica to which nobody listens.
type nowhere struct{ Env }

func (nowhere) Self() Addr { return "" }

func (nowhere) Send(Addr, proto.Message) {}

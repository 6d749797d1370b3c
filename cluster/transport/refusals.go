package transport

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Reason says why something was refused.
type Reason string

// Why something that came from the network, or was to go there, was refused.
const (
	RefusedCrowd        Reason = "too many strangers"        // a connection; the oldest goes
	RefusedSilence      Reason = "no introduction in time"   // a connection
	RefusedNoise        Reason = "left without introduction" // a connection that was closed, or spoke no gRPC
	RefusedHandshake    Reason = "TLS handshake failed"      // a connection
	RefusedIntroduction Reason = "introduction"              // a stream that is not a member's
	RefusedCall         Reason = "call"                      // a method that is not for peers
	RefusedGarbled      Reason = "garbled"                   // a batch that makes no sense; ends the stream
	RefusedLength       Reason = "too long"                  // a batch; ends the stream
	RefusedType         Reason = "type"                      // a message that does not go between nodes
	RefusedTarget       Reason = "target"                    // a message to an actor that is not for peers
	RefusedSender       Reason = "sender"                    // an envelope with a sender, which could be anyone
	RefusedForged       Reason = "forged"                    // a message from another member than the stream's
	RefusedIncomplete   Reason = "incomplete"                // a message that lacks a part
	RefusedPanic        Reason = "panic"                     // whatever made the guard panic; ends the stream
	RefusedUnsendable   Reason = "unsendable"                // a message of this node that must not leave it
	RefusedUnknownPeer  Reason = "unknown peer"              // a message of this node to nobody's address
	RefusedSystem       Reason = "system message"            // watching or stopping an actor of another node
)

// Reasons lists them all.
var Reasons = []Reason{
	RefusedCrowd, RefusedSilence, RefusedNoise, RefusedHandshake, RefusedIntroduction, RefusedCall, RefusedGarbled, RefusedLength,
	RefusedType, RefusedTarget, RefusedSender, RefusedForged, RefusedIncomplete, RefusedPanic, RefusedUnsendable, RefusedUnknownPeer, RefusedSystem,
}

// refusals counts what was refused and says so, once a second for each reason.
type refusals struct {
	logger hclog.Logger

	mu  sync.Mutex
	all map[Reason]*refusal
}

type refusal struct {
	count  uint64
	said   time.Time
	unsaid uint64 // since then
}

// refusalEvery is the time between two lines about one reason.
const refusalEvery = time.Second

func newRefusals(logger hclog.Logger) *refusals {
	return &refusals{logger: logger, all: make(map[Reason]*refusal)}
}

// add counts one refusal. The details are pairs, as hclog's.
func (r *refusals) add(why Reason, details ...any) {
	now := time.Now()
	r.mu.Lock()
	one, ok := r.all[why]
	if !ok {
		one = new(refusal)
		r.all[why] = one
	}
	one.count++
	one.unsaid++
	count := one.unsaid
	say := now.Sub(one.said) >= refusalEvery
	if say {
		one.said, one.unsaid = now, 0
	}
	r.mu.Unlock()
	if say {
		r.logger.Warn("refused", append([]any{"reason", string(why), "count", count}, details...)...)
	}
}

func (r *refusals) counts() map[Reason]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[Reason]uint64, len(r.all))
	for why, one := range r.all {
		all[why] = one.count
	}
	return all
}

package conformance

import (
	"testing"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// TestAReadThatMissesAnAnswer shows the part of S8 that needs no protocol. No good
// trace can be tampered with so that this rule alone is broken: where the protocol of
// marks is kept, reads are fresh.
func TestAReadThatMissesAnAnswer(t *testing.T) {
	for _, c := range []struct {
		slotOut uint64
		merged  bool
		broken  bool
	}{{7, false, true}, {8, false, false}, {7, true, false}} {
		r := New(Options{Merged: c.merged})
		rep := &replica{self: actors.ReplicaAddr("alpha"), slotOut: c.slotOut}
		rep.start()
		r.responded, r.respondent = 7, past{at: 1, self: actors.ReplicaAddr("beta"), did: "answered for slot 7"}
		r.hearsRead(rep, &messages.Read{Number: 1})
		rep.reads.marks = []readMark{{read: 1, slot: 3}}
		r.saysReady(rep, &messages.ReadReady{Number: 1})
		if got := r.breach != nil; got != c.broken || got && r.breach.Rule.Name != "S8" {
			t.Errorf("slot_out %d, merged %t: %v", c.slotOut, c.merged, r.breach)
		}
	}
}

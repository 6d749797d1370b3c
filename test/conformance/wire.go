package conformance

import (
	"hash/maphash"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// wire remembers what was sent, by hash. Channels lose, repeat and delay messages; a
// message that was sent may be received at any time later, any number of times.
type wire struct {
	seed       maphash.Seed
	young, old map[uint64]struct{}
	limit      int // of young; 0 is none
	buffer     []byte
	former     map[string]string // the names under which members were added, by their own
}

// rememberedMessages is how many messages a live referee remembers at the least. One
// that is delayed for longer would be taken for a forged one; no channel here is so
// slow. Merged traces are judged far out of the order of time, and remember all.
const rememberedMessages = 1 << 21

func newWire(merged bool) *wire {
	w := &wire{seed: maphash.MakeSeed(), young: make(map[uint64]struct{}), limit: rememberedMessages, former: make(map[string]string)}
	if merged {
		w.limit = 0
	}
	return w
}

func (w *wire) key(to actors.Addr, m proto.Message) uint64 {
	b := append(w.buffer[:0], to...)
	b = append(append(b, 0), m.ProtoReflect().Descriptor().Name()...)
	b = append(b, 0)
	// Messages hold no maps and no unknown kinds: it cannot fail.
	b, _ = proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, m)
	w.buffer = b
	return maphash.Bytes(w.seed, b)
}

func (w *wire) say(to actors.Addr, m proto.Message) {
	if w.limit > 0 && len(w.young) >= w.limit {
		w.young, w.old = make(map[uint64]struct{}), w.young
	}
	w.young[w.key(to, m)] = struct{}{}
}

// heard tells whether a role may receive m now. What was sent to a member before it had
// its own name reaches it under that name.
func (w *wire) heard(self actors.Addr, m proto.Message) bool {
	if fromOutside(m) || w.holds(w.key(self, m)) {
		return true
	}
	former, ok := w.former[self.Member()]
	return ok && w.holds(w.key(actors.Addr(former+"/"+self.Path()), m))
}

func (w *wire) holds(key uint64) bool {
	if _, ok := w.young[key]; ok {
		return true
	}
	_, ok := w.old[key]
	return ok
}

// fromOutside tells whether a message comes from no role: a timer's, the disk's, a
// client's, or an operator's. They are free to ask for what they like.
func fromOutside(m proto.Message) bool {
	switch m := m.(type) {
	case *messages.Tick, *messages.Flushed, *messages.Read, *messages.Succeed:
		return true
	case *messages.Request:
		return actors.Addr(m.From).Path() != actors.ReplicaAddr("").Path()
	}
	return false
}

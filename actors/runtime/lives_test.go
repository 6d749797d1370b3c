package runtime

import (
	"testing"

	"github.com/pmmc-go/pmmc/actors"
)

// S13: a role that its supervisor starts again has another number, and draws other numbers,
// than its earlier lives: what it asks must not be taken for what they asked.
func TestS13_EachLifeOfARoleIsAnother(t *testing.T) {
	s := newStage(t, func(env actors.Env, slot uint64) {
		if slot == 0 {
			panic("planted")
		}
		say(env, env.Life())
		say(env, env.Rand())
	})
	const lives = 3 // fewer than make the node give up
	seen := make(map[uint64]bool)
	for range lives {
		s.tell(1)
		s.tell(0)
		for range 2 {
			n := <-s.heard
			if seen[n] {
				t.Fatalf("%d comes again in a later life", n)
			}
			seen[n] = true
		}
	}
}

package actors

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// timed notes how long a role wants to wait, too.
type timed struct {
	notes
	waits []time.Duration
}

func (n *timed) After(d time.Duration, _ proto.Message) { n.waits = append(n.waits, d) }

// A commander asks again less and less often, and for a small decree sooner: sent twice, that
// costs next to nothing.
func TestASmallDecreeIsSentAgainSooner(t *testing.T) {
	const resend = 100 * time.Millisecond
	for _, tt := range []struct {
		size  int
		first time.Duration
	}{{0, resend / 2}, {smallDecree, resend / 2}, {smallDecree + 1, resend}} {
		c := NewCommander(CommanderOptions{
			Acceptors: world3().Acceptors(), Resend: resend,
			PValue: &messages.PValue{Ballot: ballot(1, 1), Slot: 1, Decree: bytes.Repeat([]byte("x"), tt.size)},
		})
		env := &timed{}
		c.Start(env)
		for range 5 {
			c.Receive(env, &messages.Tick{})
		}
		for i, got := range env.waits {
			if want := tt.first << min(i, 3); got != want {
				t.Errorf("a decree of %d bytes is sent again after %s, want %s", tt.size, got, want)
			}
		}
	}
}

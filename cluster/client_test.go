package cluster

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// What the errors of Propose say of the operation is so: it was never handed over, or it
// was and may be executed.
func TestErrorsOfProposeTellWhatBecomesOfTheOperation(t *testing.T) {
	member := actors.Member{ID: 1, Name: "alpha", Replica: true}
	removed := fmt.Errorf("%w: %w", ErrStopped, ErrRemoved)
	for _, tt := range []struct {
		name     string
		before   func(*client)
		during   func(*client) // once it was handed over
		want     error
		proposed bool
	}{
		{"not a member yet", func(c *client) { c.join(actors.Member{}) }, nil, ErrNotMember, false},
		{"no replica", func(c *client) { c.join(actors.Member{ID: 1, Name: "alpha"}) }, nil, ErrNoReplica, false},
		{"removed", func(c *client) { c.join(actors.Member{}) }, nil, ErrRemoved, false},
		{"busy", func(c *client) { c.limit = 0 }, nil, ErrBusy, false},
		{"stopped before", func(c *client) { c.stop(ErrStopped) }, nil, ErrStopped, false},
		{"stopped meanwhile", nil, func(c *client) { c.stop(ErrStopped) }, ErrStopped, true},
		{"removed meanwhile", nil, func(c *client) { c.stop(removed) }, ErrStopped, true},
		{"session ended", nil, func(c *client) {
			c.onResponse(&messages.Response{Incarnation: 7, Answers: []*messages.Answer{{Sequence: 1, Refused: true}}})
		}, ErrSessionEnded, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(7, "alpha", 1)
			if tt.want != ErrNotMember {
				c.join(member)
			}
			if tt.before != nil {
				tt.before(c)
			}
			result := make(chan error, 1)
			go func() {
				_, err := c.propose(context.Background(), &messages.Command{})
				result <- err
			}()
			if tt.during != nil {
				for c.stats().Proposals == 0 {
					runtime.Gosched()
				}
				tt.during(c)
			}
			if err := <-result; !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if proposed := len(c.fresh) > 0; proposed != tt.proposed {
				t.Errorf("it was handed over to be proposed: %t, want %t", proposed, tt.proposed)
			}
		})
	}
}

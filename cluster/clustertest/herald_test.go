package clustertest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/cluster/clustertest"
)

// A node is asked over the way on which its peers talk, answers what it presents, and is
// not waited for when that way is cut, or the node gone.
func TestNodesShowThemselvesToEachOther(t *testing.T) {
	c := clustertest.New(t, 3)
	c.Node("beta").Present(func() []byte { return []byte("how beta is") })
	ask := func(member string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		view, err := c.Node("alpha").Ask(ctx, member)
		return string(view), err
	}
	wait := func(what, member, view string, want error) {
		t.Helper()
		c.Eventually(what, func() error {
			got, err := ask(member)
			if got != view || !errors.Is(err, want) || (err == nil) != (want == nil) {
				return errors.Join(errors.New("it says "+got), err)
			}
			return nil
		})
	}
	wait("beta answers", "beta", "how beta is", nil)
	wait("gamma has nothing to show", "gamma", "", nil)
	c.Cut("alpha", "beta")
	wait("beta does not hear alpha", "beta", "", context.DeadlineExceeded)
	c.Heal()
	wait("beta answers again", "beta", "how beta is", nil)
	c.Node("beta").Kill()
	c.Eventually("there is no connection to beta", func() error {
		if _, err := ask("beta"); err == nil || errors.Is(err, context.DeadlineExceeded) {
			return errors.Join(errors.New("it is still asked"), err)
		}
		return nil
	})
	if _, err := ask("nobody"); err == nil {
		t.Error("nobody answers")
	}
	alpha := c.Node("alpha").Node
	c.Node("alpha").Kill()
	if _, err := alpha.Ask(t.Context(), "gamma"); err == nil {
		t.Errorf("a node that has ended asks: %v", err)
	}
}

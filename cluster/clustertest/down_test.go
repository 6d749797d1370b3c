package clustertest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
)

// A node that is down can be asked: it says that it is stopped, and the test goes on.
func TestANodeThatIsDownSaysSo(t *testing.T) {
	c := New(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for how, end := range map[string]func(*Node){"killed": (*Node).Kill, "stopped": (*Node).Stop} {
		n := c.Nodes()[0]
		end(n)
		end(n) // once more is nothing
		for what, call := range map[string]func() error{
			"Propose": func() error { _, err := n.Propose(ctx, []byte("x")); return err },
			"Read":    func() error { _, err := n.Read(ctx, nil); return err },
			"Reconfigure": func() error {
				_, err := n.Reconfigure(ctx, func(c actors.Configuration) (actors.Configuration, error) { return c, nil })
				return err
			},
		} {
			if err := call(); !errors.Is(err, cluster.ErrStopped) {
				t.Errorf("%s of a node that is %s: error %v, want ErrStopped", what, how, err)
			}
		}
		if said := dies(t, c, func() { n.HTTP() }); !strings.Contains(said, n.Name+" serves no HTTP") {
			t.Errorf("HTTP of a node that is %s ends the test with %q", how, said)
		}
		if len(c.Running()) != 2 {
			t.Errorf("%d nodes run, want 2", len(c.Running()))
		}
		n.Start()
		c.WaitReady()
	}
	n := c.Nodes()[1]
	n.Kill()
	if s := n.Status(); s.Member != n.Name || s.Ready {
		t.Errorf("the status of %s, which is killed, is of %q, ready: %t", n.Name, s.Member, s.Ready)
	}
}

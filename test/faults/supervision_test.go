// Package faults breaks live clusters, part by part, under load, and looks at what
// the clients were told.
package faults

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
)

// load writes through all running nodes until stop is called; stop returns the
// operations that were acknowledged.
func load(t *testing.T, c *clustertest.Cluster, writers int) (acked *atomic.Int64, stop func() []string) {
	return loadNamed(t, c, writers, "")
}

// loadNamed is load with a prefix to each operation.
func loadNamed(t *testing.T, c *clustertest.Cluster, writers int, prefix string) (acked *atomic.Int64, stop func() []string) {
	ctx, cancel := context.WithCancel(context.Background())
	acked = new(atomic.Int64)
	var mu sync.Mutex
	var all []string
	var wg sync.WaitGroup
	nodes := c.Serving()
	for w := range writers {
		// The node as it is now: a test that restarts nodes writes through others.
		node := nodes[w%len(nodes)].Node
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				op := fmt.Sprintf("%sw%d-%d", prefix, w, i)
				_, err := node.Propose(ctx, []byte(op))
				switch {
				case err == nil:
					mu.Lock()
					all = append(all, op)
					mu.Unlock()
					acked.Add(1)
				case errors.Is(err, cluster.ErrStopped), errors.Is(err, cluster.ErrRemoved):
					return
				case ctx.Err() == nil:
					t.Errorf("propose %s: %v", op, err)
					return
				}
			}
		})
	}
	return acked, func() []string {
		cancel()
		wg.Wait()
		return all
	}
}

// check compares what was acknowledged with what every running node executed: all
// of it, once, in the same order everywhere. What was under way when the load ended may
// be executed while this looks: then one node's log goes on where another's ends.
func check(t *testing.T, c *clustertest.Cluster, acked []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
	defer cancel()
	c.WaitReady()
	c.WaitAgreement()
	var first []string
	for _, n := range c.Serving() {
		b, err := n.Read(ctx, nil)
		if err != nil {
			t.Fatalf("read at %s: %v", n.Name, err)
		}
		log := strings.Fields(string(b))
		if first == nil {
			first = log
		}
		if both := min(len(log), len(first)); !slices.Equal(log[:both], first[:both]) {
			t.Errorf("R3: %s executed %d operations in another order than the %d of the first node", n.Name, len(log), len(first))
		}
	}
	times := make(map[string]int)
	for _, op := range first {
		if times[op]++; times[op] == 2 {
			t.Errorf("S6: %s was executed twice", op)
		}
	}
	for _, op := range acked {
		if times[op] == 0 {
			t.Errorf("%s was acknowledged and is lost", op)
		}
	}
	if len(acked) == 0 {
		t.Error("nothing was acknowledged: the test shows nothing")
	}
}

// TestNoRestartIsBlank makes each kind of actor panic in the middle of its work, in
// a live cluster under load: in the turn in which it has sent, persisted or spawned
// something and would do more.
func TestNoRestartIsBlank(t *testing.T) {
	tests := []struct {
		pattern string
		kind    actors.Kind
	}{
		{"replica", actors.Sent},
		{"epoch-*/acceptor", actors.Persisted},
		{"epoch-*/acceptor", actors.Sent},
		{"epoch-*/leader", actors.Spawned},
		{"epoch-*/leader", actors.Received},
		{"epoch-*/leader/commander-*", actors.Received},
		{"epoch-*/leader/scout-*", actors.Sent},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %s", strings.ReplaceAll(tt.pattern, "/", "."), tt.kind), func(t *testing.T) {
			var armed, seen atomic.Int64
			c := watched(t, 3, clustertest.Options{Observe: func(e actors.Event) {
				ok, _ := path.Match(tt.pattern, e.Self.Path())
				if ok && e.Kind == tt.kind && armed.Load() > 0 && seen.Add(1)%2 == 0 && armed.Add(-1) >= 0 {
					panic(fmt.Sprintf("planted in %s", e.Self))
				}
			}})
			acked, stop := load(t, c, 12)
			c.Eventually("loaded", moreThan(acked, 200))
			before := acked.Load()
			if strings.Contains(tt.pattern, "scout") {
				armed.Store(1)
				c.Leader().Kill() // only an election has scouts
			} else {
				armed.Store(3)
			}
			c.Eventually("hit by the planted panics", func() error {
				if left := armed.Load(); left > 0 {
					return fmt.Errorf("%d panics to come", left)
				}
				return nil
			})
			c.Eventually("at work again", moreThan(acked, before+200))
			all := stop()
			check(t, c, all)
			restarts := 0
			for _, n := range c.Running() {
				restarts += n.Status().Restarts[tt.pattern]
			}
			if restarts == 0 {
				t.Errorf("no restart of %s was counted", tt.pattern)
			}
		})
	}
}

func moreThan(n *atomic.Int64, than int64) func() error {
	return func() error {
		if got := n.Load(); got <= than {
			return fmt.Errorf("%d writes acknowledged, want more than %d", got, than)
		}
		return nil
	}
}

// TestAnActorThatKeepsCrashingEndsItsNode shows the last resort of supervision.
func TestAnActorThatKeepsCrashingEndsItsNode(t *testing.T) {
	var bad atomic.Bool
	c := watched(t, 3, clustertest.Options{Observe: func(e actors.Event) {
		if bad.Load() && e.Self == actors.AcceptorAddr("beta", 1) && e.Kind == actors.Received {
			panic("planted: beta's acceptor is broken")
		}
	}})
	acked, stop := load(t, c, 6)
	c.Eventually("loaded", moreThan(acked, 100))
	bad.Store(true)
	beta := c.Node("beta")
	select {
	case <-beta.Done():
	case <-time.After(clustertest.Patience):
		t.Fatal("beta goes on")
	}
	if err := beta.Err(); err == nil || !strings.Contains(err.Error(), "planted") {
		t.Errorf("Err() = %v, want the panic's reason", err)
	}
	beta.Kill()
	before := acked.Load()
	c.Eventually("at work without beta", moreThan(acked, before+100))
	bad.Store(false)
	beta.Start()
	check(t, c, stop())
}

func hasLine(text, line string) bool { return slices.Contains(strings.Fields(text), line) }

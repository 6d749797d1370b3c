package clustertest

import (
	"bytes"
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/pmmc-go/pmmc/test/conformance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLifeOfACluster walks through what a cluster under test can do.
func TestLifeOfACluster(t *testing.T) {
	c := NewWith(t, 3, Options{Observe: conformance.Watch(t)})
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	propose := func(n *Node, op string) {
		t.Helper()
		if _, err := n.Propose(ctx, []byte(op)); err != nil {
			t.Fatalf("propose %s at %s: %v", op, n.Name, err)
		}
	}
	for _, n := range c.Nodes() {
		propose(n, "first-"+n.Name)
	}

	leader := c.Leader()
	leader.Kill()
	if up := len(c.Running()); up != 2 {
		t.Errorf("%d nodes run after a kill, want 2", up)
	}
	for _, n := range c.Running() {
		propose(n, "without-"+n.Name)
	}
	leader.Start()
	c.WaitAgreement()

	next := c.Leader()
	c.Isolate(next.Name)
	for _, n := range c.Nodes() {
		if n != next {
			propose(n, "apart-"+n.Name)
		}
	}
	c.Heal()
	c.WaitAgreement()

	for _, n := range c.Nodes() {
		n.Stop()
	}
	for _, n := range c.Nodes() {
		n.Start()
	}
	c.WaitReady()
	log, err := c.Node("beta").Read(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(log, []byte("\n")); got != 7 {
		t.Errorf("%d operations after everything, want 7:\n%s", got, log)
	}
}

package faults

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
)

// TestTheLongestOperation goes through a journal on disk and over the network, from the
// leader's node and from another one. One byte more is refused at once, as is a configuration
// of that length, and no node ends.
func TestTheLongestOperation(t *testing.T) {
	p := cluster.DefaultProtocol()
	p.BatchBytes, p.ChunkBytes = cluster.MaxOperationBytes, cluster.MaxOperationBytes
	c := clustertest.NewWith(t, 3, clustertest.Options{Disk: true, Protocol: &p}) // a trace would hold them all
	leader := c.Leader()
	ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
	defer cancel()
	longest := bytes.Repeat([]byte{'x'}, cluster.MaxOperationBytes)
	for _, n := range []*clustertest.Node{leader, otherThan(c, leader.Name)} {
		if _, err := n.Propose(ctx, longest); err != nil {
			t.Fatalf("the longest operation, at %s: %v", n.Name, err)
		}
		if _, err := n.Propose(ctx, append(longest, 'x')); !errors.Is(err, cluster.ErrTooLong) || !strings.Contains(err.Error(), "16777217 bytes, limit 16777216") {
			t.Errorf("one byte more, at %s: %v, want ErrTooLong with both lengths", n.Name, err)
		}
		if _, err := n.Propose(ctx, make([]byte, 33<<20)); !errors.Is(err, cluster.ErrTooLong) {
			t.Errorf("more than a journal can hold, at %s: %v, want ErrTooLong", n.Name, err)
		}
	}
	_, err := leader.Reconfigure(ctx, func(latest actors.Configuration) (actors.Configuration, error) {
		latest.Members[0].Client = string(longest)
		return latest, nil
	})
	if !errors.Is(err, cluster.ErrTooLong) {
		t.Errorf("a configuration of that length: %v, want ErrTooLong", err)
	}
	for _, n := range c.Nodes() {
		if err := n.Err(); err != nil {
			t.Errorf("%s ended: %v", n.Name, err)
		}
		n.Restart() // it reads what it wrote
	}
	c.WaitReady()
	c.WaitAgreement()
	if got, err := c.Nodes()[0].Read(ctx, nil); err != nil || len(got) != 2*(len(longest)+1) {
		t.Errorf("after a restart there are %d bytes, %v, want both operations and a line break each", len(got), err)
	}
}

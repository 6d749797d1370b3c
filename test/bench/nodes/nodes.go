// Package nodes starts clusters to be measured: nodes in one process, connected over
// loopback, with journals on disk and a state machine that does next to nothing.
package nodes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest/freeport"
)

// counter counts operations.
type counter struct{ n int }

func (c *counter) Apply(_ uint64, operations [][]byte) [][]byte {
	c.n += len(operations)
	return make([][]byte, len(operations))
}

func (c *counter) Query([]byte) ([]byte, error) { return fmt.Append(nil, c.n), nil }

func (c *counter) Snapshot() (io.WriterTo, error) { return strings.NewReader(fmt.Sprint(c.n)), nil }

func (c *counter) Restore(r io.Reader) error {
	_, err := fmt.Fscan(r, &c.n)
	return err
}

// Nodes are those of a cluster.
type Nodes struct {
	All    []*cluster.Node
	Leader *cluster.Node // in office when the cluster had started

	release func() // of the ports
}

// patience is how long a cluster has to start, or to stop.
const patience = time.Minute

// Start starts n nodes below a folder and returns when they have a leader.
func Start(dir string, n int) (*Nodes, error) { return StartObserved(dir, n, nil) }

// StartObserved has all that the roles do observed, if observe is not nil.
func StartObserved(dir string, n int, observe func(actors.Event)) (c *Nodes, err error) {
	addresses, release, err := freeport.TakeAddresses(n)
	if err != nil {
		return nil, err
	}
	c = &Nodes{release: release}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	members := membersOf(addresses)
	for _, m := range members {
		node, err := cluster.Start(cluster.Options{
			Cluster: "bench", Member: m.Name, Members: members, DataDir: filepath.Join(dir, m.Name), Machine: &counter{},
			Protocol: cluster.DefaultProtocol(), Observe: observe,
		})
		if err != nil {
			return c, err
		}
		c.All = append(c.All, node)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := c.All[0].Propose(ctx, []byte("first")); err != nil {
		return c, err
	}
	for ctx.Err() == nil {
		for _, node := range c.All {
			if s := node.Status(); s.InOffice == s.Member {
				c.Leader = node
				return c, nil
			}
		}
	}
	return c, fmt.Errorf("nodes: nobody is in office: %w", ctx.Err())
}

// membersOf makes members with all roles.
func membersOf(addresses []string) (members []cluster.Member) {
	for i, a := range addresses {
		members = append(members, cluster.Member{
			ID: uint32(i + 1), Name: fmt.Sprintf("node-%d", i+1), Address: a, Replica: true, Leader: true, Acceptor: true,
		})
	}
	return members
}

// Propose asks the node in office, as clients that know it do.
func (c *Nodes) Propose(ctx context.Context, operation []byte) error {
	_, err := c.Leader.Propose(ctx, operation)
	return err
}

// Stop ends all nodes.
func (c *Nodes) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var errs []error
	for _, n := range c.All {
		errs = append(errs, n.Stop(ctx))
	}
	c.release()
	return errors.Join(errs...)
}

// Package nodes starts clusters to be measured: nodes in one process, connected over
// loopback, with journals on disk and a state machine that does next to nothing.
package nodes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
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
}

// patience is how long a cluster has to start, or to stop.
const patience = 10 * time.Second

// Start starts n nodes below a folder and returns when they have a leader.
func Start(dir string, n int) (*Nodes, error) { return StartObserved(dir, n, nil) }

// StartObserved has all that the roles do observed, if observe is not nil.
func StartObserved(dir string, n int, observe func(actors.Event)) (c *Nodes, err error) {
	members, err := membersOf(n)
	if err != nil {
		return nil, err
	}
	c = &Nodes{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
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

// membersOf makes members with all roles, at ports that are free.
func membersOf(n int) (members []cluster.Member, err error) {
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all are held until all are known
		members = append(members, cluster.Member{
			ID: uint32(i + 1), Name: fmt.Sprintf("node-%d", i+1), Address: l.Addr().String(), Replica: true, Leader: true, Acceptor: true,
		})
	}
	return members, nil
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
	return errors.Join(errs...)
}

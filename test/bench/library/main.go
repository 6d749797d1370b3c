// Command library measures pmmc's library: three nodes in one process, connected over
// loopback, with journals on disk.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/test/bench/load"
)

// counter is a state machine that does next to nothing.
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

// nodes are those of a cluster; who proposes asks the one in office, as clients that know
// it do.
type nodes struct{ leader *cluster.Node }

func (n *nodes) Propose(ctx context.Context, operation []byte) error {
	_, err := n.leader.Propose(ctx, operation)
	return err
}

func start(dir string) (load.Proposer, func(), error) {
	var members []cluster.Member
	for i, name := range []string{"alpha", "beta", "gamma"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, nil, err
		}
		members = append(members, cluster.Member{
			ID: uint32(i + 1), Name: name, Address: l.Addr().String(), Replica: true, Leader: true, Acceptor: true,
		})
		if err := l.Close(); err != nil {
			return nil, nil, err
		}
	}
	var all []*cluster.Node
	stop := func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, n := range all {
			_ = n.Stop(ctx) // it was measured already
		}
	}
	for _, m := range members {
		n, err := cluster.Start(cluster.Options{
			Cluster: "bench", Member: m.Name, Members: members, DataDir: filepath.Join(dir, m.Name), Machine: &counter{},
			Protocol: cluster.DefaultProtocol(),
		})
		if err != nil {
			stop()
			return nil, nil, err
		}
		all = append(all, n)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := all[0].Propose(ctx, []byte("first")); err != nil {
		stop()
		return nil, nil, err
	}
	leader := all[0].Status().InOffice
	for i, m := range members {
		if m.Name == leader {
			return &nodes{leader: all[i]}, stop, nil
		}
	}
	stop()
	return nil, nil, fmt.Errorf("nobody is in office: %q", leader)
}

func main() { load.Library("pmmc", start) }

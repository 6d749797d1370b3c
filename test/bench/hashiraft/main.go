// Command hashiraft measures hashicorp/raft as the library of pmmc is measured: three
// nodes in one process, its TCP transport on loopback, raft-wal on disk, batches on.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"

	"github.com/pmmc-go/pmmc/test/bench/load"
)

// counter is a state machine that does next to nothing, for many entries at once.
type counter struct{ n int }

func (c *counter) Apply(*raft.Log) any {
	c.n++
	return nil
}

func (c *counter) ApplyBatch(logs []*raft.Log) []any {
	c.n += len(logs)
	return make([]any, len(logs))
}

func (c *counter) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("no snapshots") }

func (c *counter) Restore(io.ReadCloser) error { return errors.New("no snapshots") }

type leader struct{ *raft.Raft }

func (l leader) Propose(_ context.Context, operation []byte) error {
	return l.Apply(operation, 10*time.Second).Error()
}

// proposals is how many proposals may wait for their batch.
const proposals = 1024

func start(dir string) (load.Proposer, func(), error) {
	var closers []func() error
	stop := func() {
		for i := len(closers) - 1; i >= 0; i-- {
			if err := closers[i](); err != nil {
				fmt.Fprintln(os.Stderr, "hashiraft:", err)
			}
		}
	}
	var all []*raft.Raft
	var servers []raft.Server
	for i := range 3 {
		id := raft.ServerID(fmt.Sprint("n", i))
		c := raft.DefaultConfig()
		c.LocalID, c.BatchApplyCh, c.MaxAppendEntries = id, true, proposals
		c.Logger = hclog.NewNullLogger()
		c.SnapshotThreshold, c.TrailingLogs = 1<<40, 1<<40 // it would cost it time
		transport, err := raft.NewTCPTransportWithLogger("127.0.0.1:0", nil, 3, 10*time.Second, hclog.NewNullLogger())
		if err != nil {
			stop()
			return nil, nil, err
		}
		closers = append(closers, transport.Close)
		path := filepath.Join(dir, string(id))
		if err := os.MkdirAll(path, 0o700); err != nil {
			stop()
			return nil, nil, err
		}
		log, err := wal.Open(path)
		if err != nil {
			stop()
			return nil, nil, err
		}
		closers = append(closers, log.Close)
		r, err := raft.NewRaft(c, &counter{}, log, log, raft.NewInmemSnapshotStore(), transport)
		if err != nil {
			stop()
			return nil, nil, err
		}
		closers = append(closers, func() error { return r.Shutdown().Error() })
		all = append(all, r)
		servers = append(servers, raft.Server{ID: id, Address: transport.LocalAddr()})
	}
	if err := all[0].BootstrapCluster(raft.Configuration{Servers: servers}).Error(); err != nil {
		stop()
		return nil, nil, err
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		for _, r := range all {
			if r.State() == raft.Leader && r.Barrier(time.Second).Error() == nil {
				return leader{r}, stop, nil
			}
		}
	}
	stop()
	return nil, nil, errors.New("no leader")
}

func main() { load.Library("hashicorp/raft", start) }

package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

// TestSingleNodeIsNotSilent damages each file and folder in the data directory of a cluster of
// one, in each way. Nobody else has what is lost, so the node must not start and answer nobody: it
// refuses to start, with a hint, or has all that was acknowledged.
func TestSingleNodeIsNotSilent(t *testing.T) {
	a := newAlone(t)
	outcomes := make(map[string]map[string]int)
	note := func(kind, outcome string) {
		if outcomes[kind] == nil {
			outcomes[kind] = make(map[string]int)
		}
		outcomes[kind][outcome]++
	}
	for path, content := range a.good {
		for _, damage := range []string{"missing", "empty", "truncated", "flipped"} {
			if len(content) == 0 && damage != "missing" {
				continue
			}
			a.restore()
			switch damage {
			case "missing":
				a.do(os.Remove(path))
			case "empty":
				a.do(os.WriteFile(path, nil, 0o600))
			case "truncated":
				a.do(os.WriteFile(path, content[:len(content)/2], 0o600))
			case "flipped":
				b := bytes.Clone(content)
				b[len(b)/4] ^= 4
				a.do(os.WriteFile(path, b, 0o600))
			}
			note(kindOf(path), damage+" "+a.start(filepath.Base(path)+" "+damage))
		}
	}
	for _, folder := range []string{"state", "state/db-1"} {
		path := filepath.Join(a.options.DataDir, folder)
		a.restore()
		a.do(os.RemoveAll(path))
		note(folder, "missing "+a.start(folder+" missing"))
		a.do(os.RemoveAll(path))
		a.restore()
		a.do(errors.Join(os.RemoveAll(path), os.Mkdir(path, 0o700)))
		note(folder, "empty "+a.start(folder+" empty"))
	}
	t.Log(outcomes)
	for _, kind := range []string{"state", "state/db-1", "identity.json", "acknowledged", "segments.json", ".sst", "MANIFEST", "OPTIONS", "flushed", "sealed"} {
		if outcomes[kind]["missing refused"] == 0 {
			t.Errorf("%s: %v", kind, outcomes[kind])
		}
	}
}

// alone is a cluster of one that is down, and what its data directory held then.
type alone struct {
	t       *testing.T
	options cluster.Options
	good    map[string][]byte
}

const keysAlone = 300

func newAlone(t *testing.T) *alone {
	a := &alone{t: t}
	protocol := cluster.DefaultProtocol()
	protocol.RetainSlots, protocol.Flush = 1, 10*time.Millisecond
	c := clustertest.NewWith(t, 1, clustertest.Options{
		Disk: true, Serve: true, Protocol: &protocol,
		Machine: func(_, dir string) (cluster.StateMachine, error) { return kv.Open(kv.Options{Dir: dir}) },
		Change:  func(o *cluster.Options) { a.options = *o },
	})
	client := c.Client("alpha")
	for i := range keysAlone {
		if _, err := client.Put(t.Context(), fmt.Sprintf("key%04d", i), fmt.Sprint("value", i)); err != nil {
			t.Fatal(err)
		}
	}
	c.Eventually("forgotten", func() error {
		if s := c.Node("alpha").Status(); s.Replica.Durable < keysAlone/2 {
			return fmt.Errorf("durable below %d", s.Replica.Durable)
		}
		return nil
	})
	c.Node("alpha").Stop()
	a.good = make(map[string][]byte)
	a.do(filepath.WalkDir(a.options.DataDir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			a.good[path], err = os.ReadFile(path)
		}
		return err
	}))
	return a
}

func (a *alone) do(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// restore makes the data directory what it was.
func (a *alone) restore() {
	a.t.Helper()
	entries, err := os.ReadDir(a.options.DataDir)
	a.do(err)
	for _, e := range entries {
		a.do(os.RemoveAll(filepath.Join(a.options.DataDir, e.Name())))
	}
	for path, content := range a.good {
		a.do(errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)))
	}
}

// start starts the node as `pmmc node` does, and tells what came of it: refused, failed (it ended
// when the damage was read) or whole.
func (a *alone) start(what string) string {
	a.t.Helper()
	store, err := kv.Open(kv.Options{Dir: cluster.StateDir(a.options.DataDir)})
	var n *cluster.Node
	if err == nil {
		o := a.options
		o.Machine = store
		n, err = cluster.Start(o)
	}
	var h interface{ Hint() string }
	switch {
	case err != nil && !errors.As(err, &h):
		a.t.Errorf("%s: refused without a hint: %v", what, err)
		return "refused"
	case err != nil:
		return "refused"
	}
	defer n.Kill()
	ctx, cancel := context.WithTimeout(a.t.Context(), 20*time.Second)
	defer cancel()
	err = n.Barrier(ctx)
	if err == nil {
		var r *pb.RangeResponse
		r, err = store.Range(ctx, &pb.RangeRequest{Key: []byte("key"), RangeEnd: []byte("kez")})
		if err == nil && len(r.Kvs) != keysAlone {
			a.t.Errorf("%s: it starts, and has %d keys of %d", what, len(r.Kvs), keysAlone)
		}
	}
	if err == nil {
		return "whole"
	}
	if store.Failure() == nil && !strings.Contains(err.Error(), "damaged") {
		a.t.Errorf("%s: it starts, and answers nobody: %v", what, err)
	}
	return "failed"
}

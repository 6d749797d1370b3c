package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
	"github.com/pmmc-go/pmmc/cluster/journal"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

// TestABitFlips flips a bit in each kind of file of one of three nodes, at some bytes. A node
// whose promises or identity are damaged refuses to start, and says which file and byte; one
// whose state is damaged fetches it from the others. The others go on, and nobody gives a
// wrong answer or misses a write.
func TestABitFlips(t *testing.T) {
	r := newRot(t)
	outcomes := make(map[string]map[string]int)
	for name, content := range r.good {
		kind := kindOf(name)
		if outcomes[kind] == nil {
			outcomes[kind] = make(map[string]int)
		}
		flips := 2
		if kind == ".log" || kind == "acknowledged" {
			flips = 1 // no answer depends on it, or there are two copies
		}
		for i := range flips {
			if len(content) > 0 {
				at := (2*i + 1) * len(content) / 4
				if kind == ".wal" {
					at = 100 + 296*i // behind are zeros
				}
				outcomes[kind][r.flip(name, at)]++
			}
		}
	}
	t.Log(outcomes)
	for kind, want := range map[string]string{".wal": "refused", "segments.json": "refused", "identity.json": "refused", ".sst": "fetched",
		"OPTIONS": "fetched", "flushed": "fetched", "sealed": "fetched"} {
		// A few bytes of a segment mean nothing; package journal tests them all.
		if o := outcomes[kind]; o[want] < 2 || len(o) > 1 && kind != ".wal" {
			t.Errorf("%s: %v, want %s", kind, o, want)
		}
	}
}

func kindOf(name string) string {
	base := filepath.Base(name)
	if ext := filepath.Ext(base); ext == ".wal" || ext == ".sst" || ext == ".log" {
		return ext
	}
	kind, _, _ := strings.Cut(base, "-")
	return kind
}

// rot is a cluster of which gamma is down, and what its data directory held then.
type rot struct {
	t       *testing.T
	c       *clustertest.Cluster
	dir     string
	options cluster.Options
	good    map[string][]byte
	keys    int
	alpha   *clientv3.Client
	gamma   *clientv3.Client
}

func newRot(t *testing.T) *rot {
	r := &rot{t: t}
	r.c = clustertest.NewWith(t, 3, clustertest.Options{
		Disk: true, Serve: true,
		Machine: func(_, dir string) (cluster.StateMachine, error) {
			return kv.Open(kv.Options{Dir: dir, Rebuild: true})
		},
		Change: func(o *cluster.Options) {
			if o.Member == "gamma" {
				r.options, r.dir = *o, o.DataDir
			}
		},
	})
	r.alpha, r.gamma = r.c.Client("alpha"), r.c.Client("gamma")
	for range 50 {
		r.put()
	}
	r.c.WaitAgreement()
	r.c.Node("gamma").Stop() // which flushes its state
	r.good = make(map[string][]byte)
	err := filepath.WalkDir(r.dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			r.good[path], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// put writes one more key, by way of alpha.
func (r *rot) put() {
	r.t.Helper()
	_, err := r.alpha.Put(r.t.Context(), fmt.Sprintf("key%04d", r.keys), fmt.Sprint("value", r.keys))
	if err != nil {
		r.t.Fatal(err)
	}
	r.keys++
}

// flip starts gamma on its files with one bit changed, and tells what came of it.
func (r *rot) flip(name string, at int) (outcome string) {
	r.t.Helper()
	if err := os.RemoveAll(filepath.Join(r.dir, "state.damaged")); err != nil {
		r.t.Fatal(err)
	}
	for path, content := range r.good {
		if path == name {
			content = append([]byte(nil), content...)
			content[at] ^= 4
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
			r.t.Fatal(err)
		}
	}
	defer func() {
		for _, part := range []string{"state", "journal"} {
			if err := os.RemoveAll(filepath.Join(r.dir, part)); err != nil {
				r.t.Fatal(err)
			}
		}
	}()
	outcome = "harmless"
	parts, err := cluster.CheckDataDir(r.dir, kv.CheckDir)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, part := range parts {
		var inState *kv.DamagedError
		switch {
		case part.Err == nil:
		case errors.As(part.Err, &inState):
			outcome = "fetched"
		default:
			r.refuses(name, part.Err)
			return "refused"
		}
	}
	gamma := r.c.Node("gamma")
	gamma.Start()
	r.put()
	r.reads(gamma)
	_, err = os.Stat(filepath.Join(r.dir, "state.damaged"))
	if put := err == nil; put && outcome != "fetched" {
		r.t.Errorf("%s, byte %d: the check finds nothing, and the node put its state aside", name, at)
	}
	gamma.Kill()
	r.keepPromises()
	return outcome
}

// keepPromises takes identity and journal as they are now: the peers know of this start, and
// refuse what was before it as an older copy.
func (r *rot) keepPromises() {
	r.t.Helper()
	for path := range r.good {
		if strings.HasPrefix(path, filepath.Join(r.dir, "state")) {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			r.t.Fatal(err)
		}
		r.good[path] = content
	}
}

// refuses wants gamma not to start, with an error that names the file, and the others to go on.
func (r *rot) refuses(name string, found error) {
	r.t.Helper()
	r.put()
	o := r.options
	o.Machine = clustertest.NewRegister()
	n, err := cluster.Start(o)
	if err == nil {
		n.Kill()
		r.t.Errorf("%s is damaged (%v), and the node starts", name, found)
		return
	}
	var inJournal *journal.CorruptError
	var inIdentity *cluster.IdentityError
	if !errors.As(err, &inJournal) && !errors.As(err, &inIdentity) || !strings.Contains(err.Error(), filepath.Base(name)) {
		r.t.Errorf("%s is damaged, and the node says: %v", name, err)
	}
}

// reads wants all keys of a node, as they were written.
func (r *rot) reads(n *clustertest.Node) {
	r.t.Helper()
	r.c.Eventually("read at "+n.Name, func() error {
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Second) // of a node that ends nobody hears anything
		defer cancel()
		answer, err := r.gamma.Get(ctx, "key", clientv3.WithPrefix(), clientv3.WithSerializable())
		select {
		case <-n.Done(): // it came upon the damage; pmmc node would start it again by itself
			n.Restart()
		default:
		}
		if err != nil {
			return err
		}
		if len(answer.Kvs) < r.keys {
			return fmt.Errorf("%d keys of %d", len(answer.Kvs), r.keys) // it catches up
		}
		for i, kv := range answer.Kvs {
			if want := fmt.Sprint("value", i); string(kv.Value) != want {
				r.t.Errorf("%s: %s = %s, want %s", n.Name, kv.Key, kv.Value, want)
			}
		}
		return nil
	})
}

package kv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

// filled is a node with some history, compacted in part, and a record.
func filled(t testing.TB, fs vfs.FS) *node {
	n := openNode(t, fs)
	for i := range 200 {
		n.put(fmt.Sprint("key", i%20), strings.Repeat(fmt.Sprint(i), 1000))
	}
	n.delete("key1", "key12")
	n.compact(100)
	n.executeBytes(nil, []cluster.Record{{Key: "session", Value: []byte("1")}})
	return n
}

// sameState demands that all which can be seen of two stores is equal.
func sameState(t testing.TB, got, want *node) {
	t.Helper()
	if got.Executed() != want.Executed() || got.Revision() != want.Revision() || got.CompactRevision() != want.CompactRevision() {
		t.Errorf("executed below %d, revision %d, compacted to %d; want %d, %d, %d",
			got.Executed(), got.Revision(), got.CompactRevision(),
			want.Executed(), want.Revision(), want.CompactRevision())
		return
	}
	if !reflect.DeepEqual(must(got.Records()), must(want.Records())) {
		t.Errorf("records %q, want %q", must(got.Records()), must(want.Records()))
	}
	for rev := max(want.CompactRevision(), 1); rev <= want.Revision(); rev++ {
		if got.hash(rev) != want.hash(rev) {
			t.Errorf("hashes at %d differ", rev)
		}
		if a, b := briefs(got.all(rev).Kvs), briefs(want.all(rev).Kvs); a != b {
			t.Errorf("at %d there is %s, want %s", rev, a, b)
		}
	}
}

func TestRestore(t *testing.T) {
	from := filled(t, vfs.NewMem())
	snapshot := from.snapshot()
	fs := vfs.NewCrashableMem()
	to := openNode(t, fs)
	to.put("gone", "1")
	to.executeBytes(nil, []cluster.Record{{Key: "gone", Value: []byte("1")}})
	if err := to.Restore(bytes.NewReader(snapshot)); err != nil {
		t.Fatal(err)
	}
	sameState(t, to, from)
	// It is on disk without a Flush.
	sameState(t, openNode(t, fs.CrashClone(vfs.CrashCloneCfg{})), from)

	to.slot = to.Executed()
	to.put("later", "1")
	from.put("later", "1")
	sameState(t, to, from)
	if err := to.Restore(bytes.NewReader(snapshot)); err != nil { // back, and over a restored one
		t.Fatal(err)
	}
	if names := must(fs.List("node/kv")); len(names) != 3 {
		t.Errorf("the directory has %q, want one database, the marker and the note", names)
	}
	if to.get(requestKey("later")).Count != 0 {
		t.Error("a key from after the snapshot is there")
	}
	sameState(t, to.reopened(), restored(t, snapshot))
}

// restored is a new node with the snapshot's state.
func restored(t testing.TB, snapshot []byte) *node {
	n := newNode(t)
	if err := n.Restore(bytes.NewReader(snapshot)); err != nil {
		t.Fatal(err)
	}
	return n
}

// A snapshot is the state at its moment, whatever follows while it is written.
func TestSnapshotWhileWriting(t *testing.T) {
	n := filled(t, vfs.NewMem())
	want := restored(t, n.snapshot())
	w := must(n.Snapshot())
	defer w.(io.Closer).Close()
	var b bytes.Buffer
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := w.WriteTo(&b); err != nil {
			t.Error(err)
		}
	})
	for i := range 300 {
		n.put(fmt.Sprint("key", i%20), "later")
	}
	n.compact(n.Revision())
	n.sweep()
	wg.Wait()
	sameState(t, restored(t, b.Bytes()), want)
	b.Reset()
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	sameState(t, restored(t, b.Bytes()), want)
}

// A stream that is cut or changed is refused, and nothing has changed then.
func TestRestoreOfADamagedSnapshot(t *testing.T) {
	small := newNode(t)
	small.put("a", "1")
	small.put("b", "2")
	snapshot := small.snapshot()
	fs := vfs.NewMem()
	n, want := filled(t, fs), filled(t, vfs.NewMem())
	refused := func(what string, stream []byte) {
		t.Helper()
		if err := n.Restore(bytes.NewReader(stream)); !errors.Is(err, kv.ErrSnapshot) {
			t.Fatalf("%s: %v", what, err)
		}
		if n.Revision() != want.Revision() || len(must(fs.List("node/kv"))) != 2 {
			t.Fatalf("%s: revision is %d, %q", what, n.Revision(), must(fs.List("node/kv")))
		}
	}
	for size := 0; size < len(snapshot); size += 7 {
		refused(fmt.Sprint("cut at ", size), snapshot[:size])
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for at := 0; at < len(snapshot); at += 5 {
		damaged := bytes.Clone(snapshot)
		damaged[at] ^= byte(1 + rng.IntN(255))
		refused(fmt.Sprint("changed at ", at), damaged)
	}
	sameState(t, n, want)
	n.put("key1", "after")
	want.put("key1", "after")
	sameState(t, n.reopened(), want)
}

// A crash at any moment of a restore leaves the old state or the new one.
func TestCrashWhileRestoring(t *testing.T) {
	from := filled(t, vfs.NewMem())
	snapshot := from.snapshot()
	seen := map[string]int{}
	for step := range 40 {
		fs := vfs.NewCrashableMem()
		n := openNode(t, fs)
		n.put("old", "1")
		n.flush()
		var clone *vfs.MemFS
		// The crash happens in the middle of reading the snapshot, or right behind it.
		at := step * len(snapshot) / 38
		rng := rand.New(rand.NewPCG(uint64(step), 0))
		r := io.MultiReader(bytes.NewReader(snapshot[:min(at, len(snapshot))]), readerFunc(func([]byte) (int, error) {
			if clone == nil {
				clone = crash(fs, rng)
			}
			return 0, io.EOF
		}), bytes.NewReader(snapshot[min(at, len(snapshot)):]))
		if err := n.Restore(r); err != nil {
			t.Fatal(err)
		}
		if clone == nil {
			clone = crash(fs, rng)
		}
		after := openNode(t, clone)
		if after.get(requestKey("old")).Count == 1 {
			seen["old"]++
			if after.Revision() != 2 {
				t.Errorf("step %d: the old state has revision %d", step, after.Revision())
			}
		} else {
			seen["new"]++
			sameState(t, after, from)
		}
		if names := must(clone.List("node/kv")); len(names) > 3 { // a database, a marker, and how much was flushed
			t.Errorf("step %d: what was unfinished is still there: %q", step, names)
		}
		after.close()
		n.close()
	}
	if seen["old"] == 0 || seen["new"] == 0 {
		t.Errorf("crashes left %v, want some of both", seen)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// Where the database that the marker names is missing, the store says so: an empty
// one in its place would be a state that never was.
func TestAMissingDatabaseIsAnError(t *testing.T) {
	fs := vfs.NewMem()
	n := filled(t, fs)
	if err := n.Restore(bytes.NewReader(n.snapshot())); err != nil {
		t.Fatal(err)
	}
	n.close()
	for _, name := range must(fs.List("node/kv")) {
		if strings.HasPrefix(name, "db-") {
			if err := fs.Rename("node/kv/"+name, "node/kv/db-99"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s, err := kv.Open(kv.Options{Dir: "node/kv", FS: fs}); err == nil {
		s.Close()
		t.Error("no error")
	}
}

// Readers beside writes, compactions and restores see one state each.
func TestReadersBesideEverything(t *testing.T) {
	n := newNode(t)
	n.execute(txn(&pb.TxnRequest{Success: ops(opPut("a", "0"), opPut("b", "0"))}))
	snapshot := n.snapshot()
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				r, err := n.Range(context.Background(), &pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("c")})
				if err != nil || r.Count != 2 || !bytes.Equal(r.Kvs[0].Value, r.Kvs[1].Value) || r.Kvs[0].ModRevision != r.Header.Revision {
					t.Errorf("read %v, %v", r, err)
					return
				}
				n.HashKV(context.Background(), 0)
				n.Size()
			}
		})
	}
	for i := range 400 {
		value := fmt.Sprint(i)
		n.execute(txn(&pb.TxnRequest{Success: ops(opPut("a", value), opPut("b", value))}))
		switch i % 100 {
		case 30:
			n.compact(n.Revision() - 3)
		case 60:
			n.flush()
		case 99:
			if err := n.Restore(bytes.NewReader(snapshot)); err != nil {
				t.Error(err)
			}
			n.slot = n.Executed()
		}
	}
	close(done)
	wg.Wait()
	if n.SizeInUse() > n.Size() || n.Size() == 0 {
		t.Errorf("size %d, in use %d", n.Size(), n.SizeInUse())
	}
}

// Close ends snapshots that somebody forgot.
func TestCloseEndsSnapshots(t *testing.T) {
	n := filled(t, vfs.NewMem())
	w := must(n.Snapshot())
	n.close()
	if _, err := w.WriteTo(io.Discard); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("write: %v, want %v", err, kv.ErrClosed)
	}
	if err := w.(io.Closer).Close(); err != nil {
		t.Error(err)
	}
}

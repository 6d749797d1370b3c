package kv_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

// crash returns what the disk holds after the power is cut at this moment.
func crash(fs *vfs.MemFS, rng *rand.Rand) *vfs.MemFS {
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(2) * 50, RNG: rng})
}

// checkWhole demands that a store that was filled with commitTriple is one of the
// states that were committed, and none before the slot.
func checkWhole(t *testing.T, n *node, atLeast uint64) {
	t.Helper()
	executed := n.Executed()
	if executed < atLeast {
		t.Errorf("executed below %d, but below %d was made durable", executed, atLeast)
	}
	if want := int64(executed); n.Revision() != want {
		t.Errorf("executed below %d at revision %d, want %d", executed, n.Revision(), want)
	}
	records := must(n.Records())
	kvs := n.get(requestKey("slot")).Kvs
	if executed == 1 {
		if len(records) != 0 || len(kvs) != 0 {
			t.Errorf("nothing was executed, but there is %q, %v", records, kvs)
		}
		return
	}
	want := fmt.Sprint(executed - 1)
	if len(records) != 1 || string(records[0].Value) != want {
		t.Errorf("records %q, want %s", records, want)
	}
	if len(kvs) != 1 || string(kvs[0].Value) != want || kvs[0].Version != int64(executed-1) {
		t.Errorf("key-value %v, want %s", kvs, want)
	}
}

// commitTriple writes the slot's number as a value and as a record.
func (n *node) commitTriple() {
	number := fmt.Sprint(n.slot)
	n.executeBytes(
		[][]byte{must(proto.Marshal(put("slot", number)))},
		[]cluster.Record{{Key: "slot", Value: []byte(number)}},
	)
}

// After a crash, the state, the records and the slot are those of one Commit, and
// not of one before the last Flush.
func TestCrashLeavesOneCommit(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		fs := vfs.NewCrashableMem()
		n := openNode(t, fs)
		flushed := uint64(1)
		for range 400 {
			n.commitTriple()
			switch rng.IntN(60) {
			case 0:
				flushed = n.flush()
				if flushed != n.Executed() {
					t.Errorf("seed %d: flushed below %d, executed below %d", seed, flushed, n.Executed())
				}
			case 1:
				checkWhole(t, openNode(t, crash(fs, rng)), flushed)
			}
		}
		checkWhole(t, openNode(t, crash(fs, rng)), flushed)
	}
}

// A slot that is larger than what Pebble gathers in memory is one change, too.
func TestCrashAroundAHugeSlot(t *testing.T) {
	fs := vfs.NewCrashableMem()
	n := openNode(t, fs)
	huge := []*pb.InternalRaftRequest{}
	for i := range 40 {
		huge = append(huge, put(fmt.Sprint("key", i), strings.Repeat("x", 100_000)))
	}
	n.put("before", "1")
	n.execute(huge...)
	n.put("after", "1")
	for range 10 {
		m := openNode(t, crash(fs, rand.New(rand.NewPCG(1, 1))))
		count := m.all(0).Count
		want, ok := map[uint64]int64{1: 0, 2: 1, 3: 41, 4: 42}[m.Executed()]
		if !ok || count != want || m.Revision() != 1+count {
			t.Errorf("executed below %d, %d keys, revision %d", m.Executed(), count, m.Revision())
		}
		m.close()
		n.flush()
	}
	if got := openNode(t, fs.CrashClone(vfs.CrashCloneCfg{})).Executed(); got != 4 {
		t.Errorf("after a flush: executed below %d, want 4", got)
	}
}

// A Flush beside commits never claims more than is on disk.
func TestFlushBesideCommits(t *testing.T) {
	fs := vfs.NewCrashableMem()
	n := openNode(t, fs)
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		for range 3000 {
			n.commitTriple()
		}
	})
	type claim struct {
		fs    *vfs.MemFS
		below uint64
	}
	var claims []claim
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		below, err := n.Flush()
		if err != nil {
			t.Fatal(err)
		}
		if len(claims) < 50 {
			claims = append(claims, claim{fs.CrashClone(vfs.CrashCloneCfg{}), below})
		}
	}
	wg.Wait()
	for _, c := range claims {
		m := openNode(t, c.fs)
		checkWhole(t, m, c.below)
		m.close()
	}
}

// A store whose disk failed commits and flushes no more, and says why.
func TestAFailedDiskIsNotTriedAgain(t *testing.T) {
	broken := errors.New("no such disk")
	failing := errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate {
			return broken
		}
		return nil
	})}
	s, err := kv.Open(kv.Options{Dir: "kv", FS: errorfs.Wrap(vfs.NewMem(), &failing)})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, Store: s, slot: 1}
	n.put("a", "1")
	failing.On()
	if _, err := n.Flush(); !errors.Is(err, broken) {
		t.Errorf("flush: %v, want %v", err, broken)
	}
	failing.Off()
	n.Apply(2, nil)
	if err := n.Commit(2, nil); !errors.Is(err, broken) {
		t.Errorf("commit after it: %v, want %v", err, broken)
	}
	if _, err := n.Flush(); !errors.Is(err, broken) {
		t.Errorf("flush after it: %v, want %v", err, broken)
	}
	if err := n.Close(); !errors.Is(err, broken) {
		t.Errorf("close: %v, want %v", err, broken)
	}
}

package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

// The sizes of what is shown here; those of the defaults fit into a test run.
var (
	transferMiB = flag.Int("transfer", 12, "how large a database TestALargeStateMoves moves, in MiB")
	awayWrites  = flag.Int64("away", 8_000, "how many writes TestBackAfterAnAge has one miss")
)

// onDisk makes key-value stores on the real disk.
func onDisk(_, dir string) (cluster.StateMachine, error) { return kv.Open(kv.Options{Dir: dir}) }

// putOf is the operation that puts a key.
func putOf(key string, value []byte) []byte {
	op, err := proto.Marshal(&pb.InternalRaftRequest{Put: &pb.PutRequest{Key: []byte(key), Value: value}})
	if err != nil {
		panic(err)
	}
	return op
}

// noise is what no compression makes smaller.
func noise(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

// TestALargeStateMoves moves a database to a new member while clients write. The new
// member gets there and has it all, and writers keep at least half their rate. The log
// has the figures, the memory among them, which does not grow with the database.
func TestALargeStateMoves(t *testing.T) {
	c := clustertest.NewWith(t, 3, clustertest.Options{Machine: onDisk, Disk: true})
	fill(t, c, *transferMiB<<20)
	acked, stop := hammer(t, c, 32)
	before := rate(acked, 3*time.Second)

	delta := c.Join("delta")
	learner := delta.Member(4)
	learner.Leader, learner.Acceptor = false, false
	peak := watchHeap(t)
	start, count := time.Now(), acked.Load()
	c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) { return with(latest, learner), nil })
	c.EventuallyWithin(10*time.Minute, "caught up", caughtUp(delta))
	took := time.Since(start)
	during := float64(acked.Load()-count) / took.Seconds()
	t.Logf("%d MiB in %s: %.1f MiB/s; %.0f writes/s before, %.0f during (%.0f %%); heap at most %d MiB, of four nodes",
		*transferMiB, took.Round(time.Millisecond), float64(*transferMiB)/took.Seconds(), before, during, 100*during/before, peak()>>20)
	if *transferMiB >= measured && during < before/2 {
		t.Errorf("%.0f writes/s during the transfer, %.0f before", during, before)
	}
	stop()
	c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) {
		return with(latest, delta.Member(4)), nil
	})
	c.WaitAgreement()
	if got, want := keysOf(t, delta), keysOf(t, c.Node("alpha")); got != want || got < int64(*transferMiB)<<20/largeValue {
		t.Errorf("the new member has %d keys, others have %d", got, want)
	}
}

// measured is from which size on a transfer takes long enough to compare rates.
const measured = 256 // MiB

// keysOf counts the keys that a node has by itself.
func keysOf(t *testing.T, n *clustertest.Node) int64 {
	t.Helper()
	query, err := proto.Marshal(&pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, CountOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
	defer cancel()
	result, err := n.Read(ctx, query)
	if err != nil {
		t.Fatal(err)
	}
	answer := &pb.RangeResponse{}
	if err := proto.Unmarshal(result, answer); err != nil {
		t.Fatal(err)
	}
	return answer.Count
}

// TestBackAfterAnAge keeps a node down through many writes and three changes of
// membership. It comes back through a snapshot and is useful: the cluster does without
// another one.
func TestBackAfterAnAge(t *testing.T) {
	protocol := cluster.DefaultProtocol()
	protocol.RetainSlots, protocol.Flush = 100, 100*time.Millisecond
	c := clustertest.NewWith(t, 3, clustertest.Options{Machine: onDisk, Disk: true, Protocol: &protocol})
	away := c.Node("gamma")
	away.Kill()
	acked, stop := hammer(t, c, 64)
	wait := func(writes int64) {
		c.EventuallyWithin(30*time.Minute, "written to", moreThan(acked, writes))
	}
	wait(*awayWrites / 3)
	delta := c.Join("delta")
	learner := delta.Member(4)
	learner.Leader, learner.Acceptor = false, false
	c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) { return with(latest, learner), nil })
	c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) {
		return with(latest, delta.Member(4)), nil
	})
	wait(2 * *awayWrites / 3)
	stop()
	c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) { return without(latest, "beta"), nil })
	<-c.Node("beta").Done()
	acked, stop = hammer(t, c, 64)
	wait(*awayWrites / 3)

	peak := watchHeap(t)
	start := time.Now()
	away.Start()
	c.EventuallyWithin(10*time.Minute, "caught up", caughtUp(away))
	t.Logf("back after %d writes in %s, under load; heap at most %d MiB, of three nodes", *awayWrites, time.Since(start).Round(time.Millisecond), peak()>>20)
	stop()
	c.Node("alpha").Kill()
	ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
	defer cancel()
	if _, err := away.Propose(ctx, putOf("after", nil)); err != nil {
		t.Errorf("with the one that came back as half of a majority: %v", err)
	}
}

// neverRestored is a state that no snapshot may replace.
type neverRestored struct {
	cluster.DurableStateMachine
	t *testing.T
}

func (n neverRestored) Restore(io.Reader) error {
	n.t.Error("a snapshot was fetched")
	return errors.New("no snapshot is wanted")
}

// TestALaggardIsToldWhatIsInJournals keeps a node down through more than acceptors have in
// memory, and less than they retain. It comes back without a snapshot.
func TestALaggardIsToldWhatIsInJournals(t *testing.T) {
	const missed = 24 << 20
	c := clustertest.NewWith(t, 3, clustertest.Options{Disk: true, Machine: func(_, dir string) (cluster.StateMachine, error) {
		db, err := kv.Open(kv.Options{Dir: dir})
		return neverRestored{db, t}, err
	}})
	away := c.Node("gamma")
	away.Kill()
	fill(t, c, missed)
	for _, n := range c.Running() {
		c.Eventually("most is in the journal only", func() error {
			if a := n.Status().Acceptor; a.Bytes < missed || a.InMemory > missed/4 {
				return fmt.Errorf("%s has %d of %d bytes in memory", n.Name, a.InMemory, a.Bytes)
			}
			return nil
		})
	}
	away.Start()
	c.Eventually("caught up", caughtUp(away))
	c.WaitAgreement()
	if got := keysOf(t, away); got != missed/largeValue {
		t.Errorf("it has %d keys, want %d", got, missed/largeValue)
	}
}

// caughtUp tells whether a node lags by no more than what is under way.
func caughtUp(n *clustertest.Node) func() error {
	return func() error {
		if s := n.Status(); s.Replica.SlotOut == 0 || s.Replica.Ahead == 0 || s.Lag() > 2*uint64(cluster.DefaultProtocol().Window) {
			return fmt.Errorf("at %d, lags by %d", s.Replica.SlotOut, s.Lag())
		}
		return nil
	}
}

const largeValue = 64 << 10

// fill writes a database of a size.
func fill(t *testing.T, c *clustertest.Cluster, bytes int) {
	t.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for _, n := range c.Running() {
		for range 4 {
			wg.Go(func() {
				for i := next.Add(1); i*largeValue <= int64(bytes); i = next.Add(1) {
					if _, err := n.Propose(context.Background(), putOf(fmt.Sprint("large-", i), noise(largeValue))); err != nil {
						t.Errorf("fill: %v", err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
}

// hammer has writers put small values, each its own keys, as fast as they can, until the
// end of the test at the latest.
func hammer(t *testing.T, c *clustertest.Cluster, writers int) (acked *atomic.Int64, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	acked = new(atomic.Int64)
	var wg sync.WaitGroup
	nodes := c.Running()
	for w := range writers {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				_, err := nodes[w%len(nodes)].Propose(ctx, putOf(fmt.Sprint("small-", w, "-", i%1000), noise(100)))
				if err == nil {
					acked.Add(1)
				} else if ctx.Err() == nil {
					t.Errorf("write: %v", err)
					return
				}
			}
		})
	}
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return acked, stop
}

func rate(acked *atomic.Int64, over time.Duration) float64 {
	before := acked.Load()
	<-time.After(over)
	return float64(acked.Load()-before) / over.Seconds()
}

// watchHeap returns what tells the largest heap since.
func watchHeap(t *testing.T) func() uint64 {
	var peak atomic.Uint64
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticks := time.NewTicker(50 * time.Millisecond)
		defer ticks.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapAlloc))
			select {
			case <-ticks.C:
			case <-done:
				return
			}
		}
	})
	t.Cleanup(func() { close(done); wg.Wait() })
	return peak.Load
}

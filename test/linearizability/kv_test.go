package linearizability

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/pmmc-go/pmmc/cluster/clustertest"
	"github.com/pmmc-go/pmmc/test/conformance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	clients   = 12
	keys      = 24
	answers   = 10_000 // what is judged; what had no answer comes on top
	perSecond = 900    // over all clients, so that the faults have time to come
	recovered = 300    // answers show that a cluster whose links are all up works again
)

// TestKeyValue runs operations through all nodes, until ten thousand are answered, while
// nodes are killed and restarted and links cut, and has their history judged.
func TestKeyValue(t *testing.T) {
	c := clustertest.NewWith(t, 3, clustertest.Options{
		Machine: clustertest.KV(), Serve: true, Observe: conformance.Watch(t),
	})
	var answered atomic.Int64
	stopFaults := plague(t, c, &answered)
	history := drive(t, c, &answered)
	stopFaults()

	t.Logf("%d operations, %d of them answered", len(history), answered.Load())
	switch result := porcupine.CheckOperationsTimeout(model, history, 2*time.Minute); result {
	case porcupine.Illegal:
		t.Error("the history is not linearizable")
	case porcupine.Unknown:
		t.Error("porcupine could not decide in time")
	}
	agree(t, c)
}

// TestTheModelBites plants a stale read in a history.
func TestTheModelBites(t *testing.T) {
	op := func(call, ret int64, in input, out output) porcupine.Operation {
		return porcupine.Operation{Input: in, Call: call, Output: out, Return: ret}
	}
	history := []porcupine.Operation{
		op(1, 2, input{kind: put, key: "k", value: "a"}, output{}),
		op(3, 4, input{kind: put, key: "k", value: "b"}, output{}),
		op(5, 6, input{kind: get, key: "k"}, output{found: "a"}),
	}
	if porcupine.CheckOperations(model, history) {
		t.Error("a stale read passes")
	}
	history[2].Output = output{found: "b"}
	if !porcupine.CheckOperations(model, history) {
		t.Error("a fresh read does not pass")
	}
}

// drive lets clients work through all nodes, and returns what they saw.
func drive(t *testing.T, c *clustertest.Cluster, answered *atomic.Int64) []porcupine.Operation {
	var mu sync.Mutex
	var history []porcupine.Operation
	var drawn, lately atomic.Int64 // lately is when something was answered last
	begin := time.Now()
	var wg sync.WaitGroup
	for id := range clients {
		rng := rand.New(rand.NewPCG(uint64(id), 11))
		client := c.Client(clustertest.Names[id%3])
		wg.Go(func() {
			pace := time.NewTicker(time.Second * clients / perSecond)
			defer pace.Stop()
			for answered.Load() < answers {
				<-pace.C
				in := draw(rng, drawn.Add(1))
				call := time.Since(begin).Nanoseconds()
				out := do(client, in)
				ret := time.Since(begin).Nanoseconds()
				if out.unknown {
					if quiet := time.Duration(ret - lately.Load()); quiet > clustertest.Patience {
						t.Errorf("nothing was answered for %s", quiet)
						return
					}
					if in.kind == get {
						continue
					}
					ret = 1 << 62 // it may take effect at any later time
				} else {
					answered.Add(1)
					lately.Store(ret)
				}
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: id, Input: in, Call: call, Output: out, Return: ret})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return history
}

func draw(rng *rand.Rand, n int64) input {
	in := input{kind: kind(rng.IntN(4)), key: fmt.Sprintf("k%d", rng.IntN(keys)), value: fmt.Sprint(n)}
	if in.kind == swap && rng.IntN(2) == 0 {
		in.old = fmt.Sprint(n - 1 - rng.Int64N(100)) // what somebody may have put shortly before
	}
	return in
}

// do has one operation executed.
func do(client *clientv3.Client, in input) (out output) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var err error
	switch in.kind {
	case get:
		var r *clientv3.GetResponse
		if r, err = client.Get(ctx, in.key); err == nil && len(r.Kvs) > 0 {
			out.found = string(r.Kvs[0].Value)
		}
	case put:
		_, err = client.Put(ctx, in.key, in.value)
	case del:
		var r *clientv3.DeleteResponse
		if r, err = client.Delete(ctx, in.key); err == nil {
			out.deleted = r.Deleted > 0
		}
	case swap:
		out, err = doSwap(ctx, client, in)
	}
	out.unknown = err != nil
	return out
}

func doSwap(ctx context.Context, client *clientv3.Client, in input) (out output, err error) {
	is := clientv3.Compare(clientv3.Value(in.key), "=", in.old)
	if in.old == "" {
		is = clientv3.Compare(clientv3.CreateRevision(in.key), "=", 0)
	}
	r, err := client.Txn(ctx).If(is).Then(clientv3.OpPut(in.key, in.value)).Else(clientv3.OpGet(in.key)).Commit()
	if err != nil {
		return out, err
	}
	out.swapped = r.Succeeded
	if !r.Succeeded {
		if kvs := r.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
			out.found = string(kvs[0].Value)
		}
	}
	return out, nil
}

// plague kills and restarts nodes and cuts links, one fault after the other. Where all
// links are up it waits until operations have been answered again, however slow the
// machine is.
func plague(t *testing.T, c *clustertest.Cluster, answered *atomic.Int64) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	counts := make(map[string]int)
	go func() {
		defer close(done)
		rng := rand.New(rand.NewPCG(5, 5))
		poll := time.NewTicker(10 * time.Millisecond)
		defer poll.Stop()
		whole := true
		for {
			began, before := time.Now(), answered.Load()
			lasts := time.Duration(300+rng.IntN(500)) * time.Millisecond
			for time.Since(began) < lasts || (whole && answered.Load() < before+recovered) {
				select {
				case <-quit:
					return
				case <-poll.C:
				}
			}
			a, b := rng.IntN(3), rng.IntN(3)
			node := c.Nodes()[a]
			switch fault := rng.IntN(5); fault {
			case 0:
				counts["kill"]++
				node.Restart()
			case 1:
				counts["isolate"]++
				c.Isolate(node.Name)
				whole = false
			case 2:
				if a != b {
					counts["cut"]++
					c.Cut(node.Name, c.Nodes()[b].Name)
					whole = false
				}
			default:
				counts["heal"]++
				c.Heal()
				whole = true
			}
		}
	}()
	return func() {
		close(quit)
		<-done
		c.Heal()
		t.Logf("faults: %v", counts)
		for _, must := range []string{"kill", "isolate", "cut"} {
			if counts[must] == 0 {
				t.Errorf("no fault of the kind %q: the run shows too little", must)
			}
		}
	}
}

// agree compares the nodes' hashes in the end.
func agree(t *testing.T, c *clustertest.Cluster) {
	t.Helper()
	c.WaitReady()
	c.WaitAgreement()
	// What clients gave up may still be executed: hashes are of one revision, or taken again.
	var hashes map[int64]map[uint32][]string
	c.Eventually("at one revision", func() error {
		hashes = make(map[int64]map[uint32][]string)
		for _, n := range c.Nodes() {
			ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
			r, err := c.Client(n.Name).HashKV(ctx, n.Endpoint(), 0)
			cancel()
			if err != nil {
				return fmt.Errorf("HashKV of %s: %w", n.Name, err)
			}
			if hashes[r.HashRevision] == nil {
				hashes[r.HashRevision] = make(map[uint32][]string)
			}
			hashes[r.HashRevision][r.Hash] = append(hashes[r.HashRevision][r.Hash], n.Name)
		}
		if len(hashes) > 1 {
			return fmt.Errorf("by revision: %v", hashes)
		}
		return nil
	})
	for revision, all := range hashes {
		if len(all) > 1 {
			t.Errorf("HashKV differs at revision %d: %v", revision, all)
		}
	}
}

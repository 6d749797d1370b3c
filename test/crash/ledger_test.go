package crash

import (
	"context"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Every write puts a key of its own, and the counter: so the counter's version is the number of
// writes that were executed, and a write that is executed twice gives its key version 2.
const (
	counter = "counter"
	prefix  = "w/"
)

// ledger records what became of writes.
//
// Invariant: the revision of a key never changes once it is not 0.
type ledger struct {
	mu      sync.Mutex
	writes  map[string]int64 // by key: the revision, or 0 while the outcome is unknown
	highest int64            // revision that was acknowledged
	count   int              // of acknowledgements
	waiting []waiter
	lost    map[string]bool // keys whose fault was reported once
}

// waiter waits for a number of acknowledgements.
type waiter struct {
	count int
	done  chan struct{}
}

func newLedger() *ledger {
	return &ledger{writes: make(map[string]int64), lost: make(map[string]bool)}
}

// begin returns the key of a new write.
func (l *ledger) begin() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := fmt.Sprintf("%s%06d", prefix, len(l.writes))
	l.writes[key] = 0
	return key
}

// acknowledge records that a write was acknowledged.
func (l *ledger) acknowledge(key string, revision int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes[key] = revision
	l.highest = max(l.highest, revision)
	l.count++
	l.waiting = slices.DeleteFunc(l.waiting, func(w waiter) bool {
		if w.count == l.count {
			close(w.done)
		}
		return w.count <= l.count
	})
}

// await waits for n more acknowledgements, at most for d.
func (l *ledger) await(n int, d time.Duration) {
	l.mu.Lock()
	w := waiter{l.count + n, make(chan struct{})}
	l.waiting = append(l.waiting, w)
	l.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(d):
	}
}

// acknowledged is the highest revision that any node acknowledged.
func (l *ledger) acknowledged() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.highest
}

// size returns the number of writes, and how many of them are known to be executed.
func (l *ledger) size() (all, known int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, revision := range l.writes {
		if revision > 0 {
			known++
		}
	}
	return len(l.writes), known
}

// valueOf is the value of a key, from 9 bytes to 4 KiB. Most are short.
func valueOf(key string) string {
	n := crc32.ChecksumIEEE([]byte(key)) % 22
	return strings.Repeat(key+"-", int(1+n*n))
}

// load has clients write at all nodes until the function it returns is called.
func (c *cluster) load() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, n := range c.nodes {
		for range 2 {
			all.Go(func() { c.write(ctx, n) })
		}
		all.Go(func() { c.readFresh(ctx, n) })
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// write writes through one node until ctx ends.
func (c *cluster) write(ctx context.Context, n *node) {
	for ctx.Err() == nil {
		key := c.ledger.begin()
		once, done := context.WithTimeout(ctx, 5*time.Second)
		answer, err := n.client.Txn(once).Then(clientv3.OpPut(key, valueOf(key)), clientv3.OpPut(counter, key)).Commit()
		done()
		if err != nil {
			pause(ctx)
			continue
		}
		c.ledger.acknowledge(key, answer.Header.Revision)
		for old := n.answered.Load(); old < answer.Header.Revision && !n.answered.CompareAndSwap(old, answer.Header.Revision); {
			old = n.answered.Load()
		}
	}
}

// readFresh sees that linearizable reads are not older than any acknowledgement before them.
func (c *cluster) readFresh(ctx context.Context, n *node) {
	for ctx.Err() == nil {
		floor := c.ledger.acknowledged()
		once, done := context.WithTimeout(ctx, 5*time.Second)
		answer, err := n.client.Get(once, counter)
		done()
		pause(ctx)
		if err != nil || floor == 0 {
			continue
		}
		if len(answer.Kvs) == 0 || answer.Kvs[0].ModRevision < floor {
			c.report.fault(missing, "a linearizable read at %s is older than revision %d, acknowledged before it", n.name, floor)
			return
		}
	}
}

// verify compares all nodes with the ledger and with one another. No client writes meanwhile.
func (c *cluster) verify() {
	c.t.Helper()
	revision := int64(0)
	for _, n := range c.nodes {
		var answer *clientv3.TxnResponse
		err := n.ask(patience, func(ctx context.Context) (err error) {
			answer, err = n.client.Txn(ctx).Then(clientv3.OpGet(prefix, clientv3.WithPrefix()), clientv3.OpGet(counter)).Commit()
			return err
		})
		if err != nil {
			c.report.fault(restarts, "%s came back and does not answer: %v", n.name, err)
			return
		}
		c.compare(n, answer)
		if revision == 0 {
			revision = answer.Header.Revision
		}
	}
	c.compareHashes(revision)
	for _, n := range c.nodes {
		err := n.ask(patience, func(ctx context.Context) error {
			answer, err := n.client.AlarmList(ctx)
			if err == nil && len(answer.Alarms) > 0 {
				c.report.fault(differ, "%s has the alarms %v", n.name, answer.Alarms)
			}
			return err
		})
		if err != nil {
			c.report.fault(restarts, "%s does not list alarms: %v", n.name, err)
		}
	}
}

// compare compares what a node has with the ledger, which learns what became of writes whose
// outcome was unknown.
func (c *cluster) compare(n *node, answer *clientv3.TxnResponse) {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	kvs := answer.Responses[0].GetResponseRange().Kvs
	has := make(map[string]bool, len(kvs))
	for _, kv := range kvs {
		key := string(kv.Key)
		has[key] = true
		known, begun := c.ledger.writes[key]
		switch {
		case c.ledger.lost[key]:
			continue
		case !begun || string(kv.Value) != valueOf(key):
			c.report.fault(changed, "%s has %s with a value of %d bytes, which nobody wrote", n.name, key, len(kv.Value))
		case kv.Version != 1 || kv.CreateRevision != kv.ModRevision:
			c.report.fault(twice, "%s executed the write of %s %d times, at %d and %d", n.name, key, kv.Version, kv.CreateRevision, kv.ModRevision)
		case known != 0 && known != kv.ModRevision:
			c.report.fault(changed, "%s has %s at revision %d, it was at %d", n.name, key, kv.ModRevision, known)
		default:
			c.ledger.writes[key] = kv.ModRevision
			continue
		}
		c.ledger.lost[key] = true
	}
	for key, revision := range c.ledger.writes {
		if revision > 0 && !has[key] && !c.ledger.lost[key] {
			c.ledger.lost[key] = true
			c.report.fault(missing, "%s has no %s, acknowledged at revision %d; it is at %d", n.name, key, revision, answer.Header.Revision)
		}
	}
	executed := int64(0)
	if kvs := answer.Responses[1].GetResponseRange().Kvs; len(kvs) > 0 {
		executed = kvs[0].Version
	}
	if executed != int64(len(kvs)) {
		c.report.fault(twice, "%s has %d keys, and counted %d writes", n.name, len(kvs), executed)
	}
}

// compareHashes compares the state of all nodes at a revision.
func (c *cluster) compareHashes(revision int64) {
	var first *clientv3.HashKVResponse
	for _, n := range c.nodes {
		err := n.ask(patience, func(ctx context.Context) error {
			answer, err := n.client.HashKV(ctx, n.endpoint, revision)
			if err != nil {
				return err
			}
			if first == nil {
				first = answer
			}
			if answer.Hash != first.Hash || answer.CompactRevision != first.CompactRevision {
				c.report.fault(differ, "HashKV of %s at %d is %x, of %s it is %x", n.name, revision, answer.Hash, c.nodes[0].name, first.Hash)
			}
			return nil
		})
		if err != nil {
			c.report.fault(restarts, "HashKV of %s at %d: %v", n.name, revision, err)
		}
	}
}

// compact has the cluster forget history, now and then.
func (c *cluster) compact(rnd *rand.Rand) {
	revision := c.ledger.acknowledged()
	if rnd.IntN(4) > 0 || revision == 0 {
		return
	}
	n := c.nodes[rnd.IntN(len(c.nodes))]
	_ = n.ask(patience, func(ctx context.Context) error { // compacted before: no matter
		_, err := n.client.Compact(ctx, revision)
		return err
	})
}

// Kinds of faults.
const (
	missing  = "acknowledged writes missing"
	changed  = "writes changed"
	twice    = "executed twice"
	differ   = "nodes differ"
	damaged  = "damaged"
	restarts = "failed restarts"
	stale    = "stale serializable reads"
)

var kinds = []string{missing, changed, twice, differ, damaged, restarts, stale}

// report counts faults by their kind.
type report struct {
	t      *testing.T
	mu     sync.Mutex
	where  string // the seed and what was done last
	counts map[string]int
	silent bool // a planted fault is looked for: finding it is no failure
}

func newReport(t *testing.T) *report {
	return &report{t: t, counts: make(map[string]int)}
}

// now says what is done from now on.
func (r *report) now(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.where = fmt.Sprintf(format, args...)
}

// shown is how many faults of one kind are printed in full.
const shown = 20

func (r *report) fault(kind, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[kind]++
	text := fmt.Sprintf("%s: %s: %s", r.where, kind, fmt.Sprintf(format, args...))
	switch {
	case r.silent && r.counts[kind] == 1:
		r.t.Log(text)
	case !r.silent && r.counts[kind] <= shown:
		r.t.Error(text)
	}
}

func (r *report) count(kind string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[kind]
}

// enough reports whether more would tell no more: a planted fault was found, or the code is so
// broken that each further cluster would wait in vain.
func (r *report) enough() bool {
	if r.silent {
		return r.count(missing) > 0
	}
	return r.count(missing) >= shown || r.count(restarts) >= shown
}

// String lists the counts of all kinds.
func (r *report) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, kind := range kinds {
		all = append(all, fmt.Sprintf("%d %s", r.counts[kind], kind))
	}
	return strings.Join(all, ", ")
}

package kv_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// consumer takes all that a stream has.
type consumer struct {
	*kv.WatchStream
	t   testing.TB
	got map[int64][]kv.Delivery
}

func (n *node) watch() *consumer {
	c := &consumer{WatchStream: n.Watch(), t: n.t, got: make(map[int64][]kv.Delivery)}
	n.t.Cleanup(c.Close)
	return c
}

func (c *consumer) create(w kv.Watch) int64 {
	c.t.Helper()
	id, _, err := c.Create(w)
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

func (c *consumer) take() {
	c.t.Helper()
	for _, d := range must(c.Take()) {
		c.got[d.ID] = append(c.got[d.ID], d)
	}
}

// until takes until everything up to a revision was told, or all watches have ended.
func (c *consumer) until(rev int64) *consumer {
	c.t.Helper()
	for {
		c.take()
		if _, ok := c.Progress(rev); ok || c.Len() == 0 {
			return c
		}
		<-c.Ready()
	}
}

// story is what a watch was told, a delivery in brackets.
func (c *consumer) story(id int64) string {
	var b strings.Builder
	for _, d := range c.got[id] {
		b.WriteString("[" + tale(d) + "]")
	}
	return b.String()
}

// tale is what a delivery says.
func tale(d kv.Delivery) string {
	var all []string
	for _, e := range d.Events {
		s := fmt.Sprintf("%d %s=%s", e.Kv.ModRevision, e.Kv.Key, e.Kv.Value)
		if e.Type == mvccpb.Event_DELETE {
			s = fmt.Sprintf("%d -%s", e.Kv.ModRevision, e.Kv.Key)
		}
		if e.PrevKv != nil {
			s += " was " + string(e.PrevKv.Value)
		}
		all = append(all, s)
	}
	if d.Compacted != 0 {
		all = append(all, fmt.Sprintf("compacted to %d", d.Compacted))
	}
	return strings.Join(all, ", ")
}

// flat is what a watch was told, whatever the deliveries.
func (c *consumer) flat(id int64) string { return strings.ReplaceAll(c.story(id), "][", ", ") }

func watchKey(key string) kv.Watch { return kv.Watch{Key: []byte(key)} }

func watchRange(key, end string, start int64) kv.Watch {
	return kv.Watch{Key: []byte(key), RangeEnd: []byte(end), Start: start}
}

// What a watch is told depends on its range, start and filters alone, and it is the same
// of the past and of the future.
func TestWatchKinds(t *testing.T) {
	n := newNode(t)
	write := func() {
		n.put("a", "1")    // 2
		n.put("ab", "2")   // 3
		n.put("b", "3")    // 4
		n.put("a", "4")    // 5
		n.delete("a", "b") // 6
	}
	tests := []struct {
		name string
		kv.Watch
		want string
	}{
		{"a key", watchRange("a", "", 1), "[2 a=1, 5 a=4, 6 -a]"},
		{"a key, from a revision on", watchRange("a", "", 5), "[5 a=4, 6 -a]"},
		{"a range", watchRange("a", "b", 1), "[2 a=1, 3 ab=2, 5 a=4, 6 -a, 6 -ab]"},
		{"a prefix", watchRange("ab", "ac", 1), "[3 ab=2, 6 -ab]"},
		{"from a key on", watchRange("ab", "\x00", 2), "[3 ab=2, 4 b=3, 6 -ab]"},
		{"everything", watchRange("\x00", "\x00", 6), "[6 -a, 6 -ab]"},
		{"deletions", kv.Watch{Key: []byte("a"), RangeEnd: []byte("z"), Start: 1, NoPut: true}, "[6 -a, 6 -ab]"},
		{"puts", kv.Watch{Key: []byte("a"), Start: 1, NoDelete: true}, "[2 a=1, 5 a=4]"},
		{"nothing", kv.Watch{Key: []byte("a"), Start: 1, NoDelete: true, NoPut: true}, ""},
		{"what was", kv.Watch{Key: []byte("a"), Start: 1, PrevKV: true}, "[2 a=1, 5 a=4 was 1, 6 -a was 4]"},
	}
	before := n.watch()
	for i, tt := range tests {
		tt.ID = int64(i + 1)
		before.create(tt.Watch)
	}
	write()
	after := n.watch()
	for i, tt := range tests {
		tt.ID = int64(i + 1)
		after.create(tt.Watch)
	}
	before.until(6)
	after.until(6)
	for i, tt := range tests {
		want := strings.Trim(tt.want, "[]")
		if got := strings.Trim(before.flat(int64(i+1)), "[]"); got != want {
			t.Errorf("%s, as it happens: %s, want %s", tt.name, got, want)
		}
		if got := after.story(int64(i + 1)); got != tt.want {
			t.Errorf("%s, of the past: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A watch without a start begins behind the present, one with a future start there.
func TestWatchStarts(t *testing.T) {
	n := newNode(t)
	n.put("a", "1") // 2
	c := n.watch()
	present, rev, err := c.Create(watchKey("a"))
	if err != nil || rev != 2 {
		t.Fatalf("the watch begins behind %d, %v", rev, err)
	}
	future := c.create(watchRange("a", "", 4))
	n.put("a", "2") // 3
	n.put("a", "3") // 4
	c.until(4)
	if got := c.flat(present); got != "[3 a=2, 4 a=3]" {
		t.Errorf("from the present on: %s", got)
	}
	if got := c.flat(future); got != "[4 a=3]" {
		t.Errorf("from the future on: %s", got)
	}
}

// Ids are the stream's or the client's, and unique; what is cancelled says nothing more.
func TestWatchIDs(t *testing.T) {
	n := newNode(t)
	c := n.watch()
	ids := fmt.Sprint(c.create(kv.Watch{ID: 1, Key: []byte("a")}), c.create(watchKey("a")), c.create(watchKey("a")))
	if ids != "1 0 2" {
		t.Errorf("ids are %s", ids)
	}
	if _, _, err := c.Create(kv.Watch{ID: 2, Key: []byte("a")}); !errors.Is(err, kv.ErrWatchDuplicate) {
		t.Errorf("an id that is taken: %v", err)
	}
	if _, _, err := c.Create(watchRange("b", "a", 0)); !errors.Is(err, kv.ErrWatchRange) {
		t.Errorf("an empty range: %v", err)
	}
	n.put("a", "1")
	c.until(2)
	n.put("a", "2")
	if !c.Cancel(1) || c.Cancel(1) || c.Len() != 2 {
		t.Error("a watch is cancelled once")
	}
	c.create(kv.Watch{ID: 1, Key: []byte("a")}) // another, with the same id
	n.put("a", "3")
	c.until(4)
	if one, two := c.flat(1), c.flat(2); one != "[2 a=1, 4 a=3]" || two != "[2 a=1, 3 a=2, 4 a=3]" {
		t.Errorf("told %s and %s", one, two)
	}
}

// All changes of a revision come together, however many there are and however little a
// pass may find.
func TestWatchRevisionsAreWhole(t *testing.T) {
	for _, found := range []int{1, 1000, 1 << 20} {
		n := newNode(t)
		n.LimitWatches(1000, 1<<20, found)
		live, past := n.watch(), n.watch()
		id := live.create(watchRange("\x00", "\x00", 0))
		var ops []*pb.RequestOp
		for i := range 300 {
			ops = append(ops, opPut(fmt.Sprint("k", i), "v"))
		}
		n.mustDo(txn(&pb.TxnRequest{Success: ops}))
		n.put("a", "1")
		n.delete("k", "l")
		past.create(watchRange("\x00", "\x00", 1))
		for _, c := range []*consumer{live.until(4), past.until(4)} {
			last, count := int64(0), map[int64]int{}
			for _, d := range c.got[id] {
				if first := d.Events[0].Kv.ModRevision; first <= last {
					t.Errorf("revision %d came in two parts", first)
				}
				for _, e := range d.Events {
					last = e.Kv.ModRevision
					count[last]++
				}
			}
			if count[2] != 300 || count[3] != 1 || count[4] != 300 {
				t.Errorf("events by revision: %v", count)
			}
		}
	}
}

// A watch may begin at the compacted revision, whose deletions it sees, too; not before.
func TestWatchCompacted(t *testing.T) {
	n := newNode(t)
	n.put("a", "1")   // 2
	n.put("b", "1")   // 3
	n.delete("a", "") // 4
	n.put("a", "2")   // 5
	n.compact(4)
	n.sweep()
	c := n.watch()
	at := c.create(kv.Watch{Key: []byte("a"), Start: 4, PrevKV: true})
	before := c.create(watchRange("a", "", 3))
	c.until(5)
	if got := c.flat(at); got != "[4 -a, 5 a=2]" {
		t.Errorf("from the compacted revision on: %s", got)
	}
	if got := c.flat(before); got != "[compacted to 4]" || c.Cancel(before) {
		t.Errorf("from before: %s", got)
	}
}

// A compaction up to the present does not end a watch that is up to date, even where the
// hub has not seen the last changes; their space is freed once it has.
func TestCompactionWaitsForTheHub(t *testing.T) {
	n := newNode(t)
	c := n.watch()
	id := c.create(kv.Watch{Key: []byte("a"), PrevKV: true})
	var want []string
	for i := range 200 {
		var ops []*pb.InternalRaftRequest
		for j := range 10 {
			ops = append(ops, put("a", fmt.Sprint(10*i+j)))
			want = append(want, fmt.Sprintf("%d a=%d", len(want)+2, len(want)))
			if n := len(want) - 1; n > 0 {
				want[n] += fmt.Sprintf(" was %d", n-1)
			}
		}
		n.execute(append(ops, compact(int64(len(want)+1)))...)
	}
	c.until(n.Revision())
	if got := c.flat(id); got != "["+strings.Join(want, ", ")+"]" {
		t.Errorf("told %d bytes that end in %q", len(got), got[max(0, len(got)-80):])
	}
	n.sweep()
	if versions, _, err := n.Versions(); err != nil || versions != 1 {
		t.Errorf("%d versions remain, %v", versions, err)
	}
}

// A consumer that takes nothing costs bounded memory and holds up nobody. It is told all
// when it comes back.
func TestWatchSlowConsumer(t *testing.T) {
	n := newNode(t)
	const room = 10_000
	n.LimitWatches(room, 1<<20, 2000)
	slow, quick := n.watch(), n.watch()
	one, two := slow.create(watchKey("a")), slow.create(watchRange("a", "c", 0))
	id := quick.create(watchKey("a"))
	want := ""
	for i := range 1000 {
		rev := n.put("a", fmt.Sprint(i)).Header.Revision
		want += fmt.Sprintf(", %d a=%d", rev, i)
		quick.until(rev)
		if n.WatchBytes() > 4*room {
			t.Fatalf("%d bytes wait", n.WatchBytes())
		}
	}
	if slow.Lagging() != 2 {
		t.Errorf("%d watches lag", slow.Lagging())
	}
	want = "[" + want[2:] + "]"
	if got := quick.flat(id); got != want {
		t.Errorf("the other was told %s", got)
	}
	slow.until(1001)
	if a, b := slow.flat(one), slow.flat(two); a != want || b != want || slow.Lagging() != 0 {
		t.Errorf("the slow one was told %s and %s", a, b)
	}
	slow.take()
	quick.take()
	if n.WatchBytes() != 0 {
		t.Errorf("%d bytes wait of what was taken", n.WatchBytes())
	}
}

// Many slow consumers together do not take more than all may.
func TestWatchManySlowConsumers(t *testing.T) {
	n := newNode(t)
	n.LimitWatches(10_000, 50_000, 2000)
	all := make([]*consumer, 50)
	for i := range all {
		all[i] = n.watch()
		all[i].create(watchKey("a"))
	}
	want := ""
	for i := range 100 {
		want += fmt.Sprintf(", %d a=%d", n.put("a", fmt.Sprint(i)).Header.Revision, i)
	}
	for _, c := range all {
		if got := c.until(101).flat(0); got != "["+want[2:]+"]" {
			t.Fatalf("told %s", got)
		}
		if n.WatchBytes() > 60_000 {
			t.Fatalf("%d bytes wait", n.WatchBytes())
		}
	}
}

// Ten thousand watches of all kinds, in one stream and in ten thousand.
func TestWatchTenThousand(t *testing.T) {
	const watches = 10_000
	n := newNode(t)
	shared := n.watch()
	streams := make([]*consumer, watches)
	for i := range watches {
		key := fmt.Sprintf("key-%04d", i)
		shared.create(watchKey("same"))
		streams[i] = n.watch()
		if i%2 == 0 {
			streams[i].create(watchKey(key))
		} else {
			streams[i].create(watchRange(key, key+"0", 0))
		}
	}
	for i := range watches {
		n.execute(put(fmt.Sprintf("key-%04d", i), "x"))
	}
	last := n.put("same", "y").Header.Revision
	shared.until(last)
	for i := range watches {
		if got, want := shared.flat(int64(i)), fmt.Sprintf("[%d same=y]", last); got != want {
			t.Fatalf("watch %d of the stream was told %s", i, got)
		}
		if got, want := streams[i].until(last).flat(0), fmt.Sprintf("[%d key-%04d=x]", i+2, i); got != want {
			t.Fatalf("stream %d was told %s, want %s", i, got, want)
		}
	}
}

// After a Restore watches go on with what they have missed, or end if it is gone.
func TestWatchRestore(t *testing.T) {
	n, ahead := newNode(t), newNode(t)
	n.put("a", "1") // 2
	c, later := n.watch(), n.watch()
	present := c.create(watchKey("a"))
	future := later.create(watchRange("a", "", 6))
	restore := func() {
		t.Helper()
		if err := n.Restore(bytes.NewReader(ahead.snapshot())); err != nil {
			t.Fatal(err)
		}
		n.slot = n.Executed()
	}
	for i := range 3 {
		ahead.put("a", fmt.Sprint(i+1)) // 2 to 4
	}
	restore()
	c.until(4)
	if got := c.flat(present); got != "[3 a=2, 4 a=3]" {
		t.Errorf("what was missed: %s", got)
	}
	for i := range 3 {
		ahead.put("a", fmt.Sprint(i+4)) // 5 to 7
	}
	ahead.compact(6)
	ahead.sweep()
	restore()
	n.put("a", "7") // 8
	c.until(8)
	if got := c.flat(present); got != "[3 a=2, 4 a=3, compacted to 6]" {
		t.Errorf("what is gone: %s", got)
	}
	if got := later.until(8).flat(future); got != "[6 a=5, 7 a=6, 8 a=7]" {
		t.Errorf("what was not asked for before: %s", got)
	}
}

// Progress is granted when all of the stream is told, and Ready says when. Quiet tells
// of the watches that ask for it and were told nothing.
func TestWatchProgress(t *testing.T) {
	n := newNode(t)
	c := n.watch()
	busy := c.create(kv.Watch{Key: []byte("a"), Notify: true})
	quiet := c.create(kv.Watch{Key: []byte("b"), Notify: true})
	c.create(watchKey("c"))
	if rev, ok := c.Progress(1); !ok || rev != 1 {
		t.Errorf("at once: %d, %t", rev, ok)
	}
	if _, ok := c.Progress(2); ok {
		t.Error("up to a revision that there is not")
	}
	n.put("a", "1")
	<-c.Ready() // of the event, or that it is to be asked again
	c.until(2)
	if rev, ok := c.Progress(0); !ok || rev != 2 || c.flat(busy) != "[2 a=1]" {
		t.Errorf("when all is told: %d, %t", rev, ok)
	}
	if rev, ids := c.Quiet(); rev != 2 || len(ids) != 1 || ids[0] != quiet {
		t.Errorf("up to %d, %v were told nothing", rev, ids)
	}
	if _, ids := c.Quiet(); len(ids) != 2 {
		t.Errorf("since then, %v were told nothing", ids)
	}
	past := c.create(watchRange("a", "", 1))
	if _, ok := c.Progress(0); ok {
		t.Error("one watch lags")
	}
	c.until(2)
	if c.flat(past) != "[2 a=1]" {
		t.Errorf("of the past: %s", c.flat(past))
	}
	c.create(watchRange("a", "", 4))
	if _, ok := c.Progress(0); ok {
		t.Error("one watch has not begun")
	}
	n.put("d", "1")
	n.put("d", "1")
	c.until(4)
}

// Take ends with the store, and says so.
func TestWatchClosed(t *testing.T) {
	n := newNode(t)
	c := n.watch()
	c.create(watchKey("a"))
	n.close()
	<-c.Ready()
	if _, err := c.Take(); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("take: %v", err)
	}
}

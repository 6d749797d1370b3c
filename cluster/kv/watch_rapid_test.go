package kv_test

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// events are what the model's watch is told of a revision, in the order of keys.
func (m *model) events(w kv.Watch, rev int64) (all []*mvccpb.Event) {
	before, after := m.states[rev-1], m.states[rev]
	keys := slices.Collect(maps.Keys(before))
	for key := range after {
		if before[key] == nil {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		prev, now := before[key], after[key]
		e := &mvccpb.Event{Type: mvccpb.Event_PUT, Kv: now}
		switch {
		case !inRange(key, string(w.Key), string(w.RangeEnd)):
			continue
		case now == nil:
			e = &mvccpb.Event{Type: mvccpb.Event_DELETE, Kv: &mvccpb.KeyValue{Key: []byte(key), ModRevision: rev}}
		case now.ModRevision != rev:
			continue
		}
		if w.PrevKV {
			e.PrevKv = prev
		}
		if e.Type == mvccpb.Event_PUT && !w.NoPut || e.Type == mvccpb.Event_DELETE && !w.NoDelete {
			all = append(all, e)
		}
	}
	return all
}

// tracked is a watch and what it is owed.
type tracked struct {
	kv.Watch
	from, next int64 // it began at from, and was told all below next
	ended      bool
}

// check holds a delivery against the model.
func (w *tracked) check(t *rapid.T, m *model, d kv.Delivery) {
	if w.ended {
		t.Fatalf("watch %d is told %s after its end", w.ID, tale(d))
	}
	if d.Compacted != 0 {
		w.ended = true
		if d.Compacted > m.compacted || w.from >= d.Compacted && w.from > m.revision() {
			t.Fatalf("watch %+v ends, compacted to %d of %d", w, d.Compacted, m.compacted)
		}
		return
	}
	for rest := d.Events; len(rest) > 0; {
		rev := rest[0].Kv.ModRevision
		n := slices.IndexFunc(rest, func(e *mvccpb.Event) bool { return e.Kv.ModRevision != rev })
		if n < 0 {
			n = len(rest)
		}
		w.silent(t, m, rev-1)
		if rev < w.next {
			t.Fatalf("watch %d is told of revision %d again, or of a part", w.ID, rev)
		}
		w.sameEvents(t, m, rev, slices.Clone(rest[:n]))
		rest, w.next = rest[n:], rev+1
	}
}

// silent says that there was nothing to tell until a revision.
func (w *tracked) silent(t *rapid.T, m *model, until int64) {
	for ; w.next <= until; w.next++ {
		if w.next > 1 && len(m.events(w.Watch, w.next)) > 0 {
			t.Fatalf("watch %+v was not told of revision %d", w.Watch, w.next)
		}
	}
}

func (w *tracked) sameEvents(t *rapid.T, m *model, rev int64, got []*mvccpb.Event) {
	slices.SortFunc(got, func(a, b *mvccpb.Event) int { return cmp.Compare(string(a.Kv.Key), string(b.Kv.Key)) })
	want := m.events(w.Watch, rev)
	if len(got) != len(want) {
		t.Fatalf("watch %+v is told of %d changes at %d, want %d", w.Watch, len(got), rev, len(want))
	}
	for i, e := range want {
		forgotten := w.PrevKV && got[i].PrevKv == nil && rev-1 < m.compacted
		if forgotten {
			e = &mvccpb.Event{Type: e.Type, Kv: e.Kv}
		}
		if !proto.Equal(got[i], e) {
			t.Fatalf("watch %+v is told\n%v, want\n%v", w.Watch, got[i], e)
		}
	}
}

// follower is a store with streams of watches.
type follower struct {
	*node
	m       *model
	streams []*kv.WatchStream
	watches []map[int64]*tracked
	waiting [][]byte // operations that it has not executed
}

func drawWatch(t *rapid.T, m *model) kv.Watch {
	return kv.Watch{
		ID: rapid.Int64Range(0, 3).Draw(t, "id"), Key: []byte(anyKey.Draw(t, "key")), RangeEnd: []byte(drawEnd(t)),
		Start: rapid.Int64Range(0, m.revision()+2).Draw(t, "start"), NoPut: rapid.IntRange(0, 4).Draw(t, "no put") == 0,
		NoDelete: rapid.IntRange(0, 4).Draw(t, "no delete") == 0, PrevKV: anyBool.Draw(t, "prev_kv"),
	}
}

func drawEnd(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", "\x00", "b", "c", "\xff"}).Draw(t, "range_end")
}

func (f *follower) create(t *rapid.T) {
	i := rapid.IntRange(0, len(f.streams)-1).Draw(t, "stream")
	w := drawWatch(t, f.m)
	id, rev, err := f.streams[i].Create(w)
	if err != nil {
		return
	}
	if rev != f.Revision() {
		t.Fatalf("created at %d of %d", rev, f.Revision())
	}
	w.ID = id
	from := w.Start
	if from == 0 {
		from = rev + 1
	}
	f.watches[i][id] = &tracked{Watch: w, from: from, next: from}
}

func (f *follower) cancel(t *rapid.T) {
	i := rapid.IntRange(0, len(f.streams)-1).Draw(t, "stream")
	id := rapid.Int64Range(0, 3).Draw(t, "id")
	w := f.watches[i][id]
	if ok := f.streams[i].Cancel(id); ok != (w != nil && !w.ended) {
		t.Fatalf("watch %d cancelled: %t", id, ok)
	}
	delete(f.watches[i], id)
}

func (f *follower) take(t *rapid.T, i int) {
	deliveries, err := f.streams[i].Take()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range deliveries {
		w := f.watches[i][d.ID]
		if w == nil {
			t.Fatalf("watch %d of stream %d is told %s", d.ID, i, tale(d))
		}
		w.check(t, f.m, d)
	}
}

func (f *follower) execute() {
	f.executeBytes(f.waiting, nil)
	f.waiting = nil
}

// end has every watch told all, and ends the streams.
func (f *follower) end(t *rapid.T) {
	f.execute()
	for range 3 { // behind that no watch is in the future any more
		f.mustDo(put("\x01", "end"))
		must(f.m.execute(put("\x01", "end")))
	}
	for i, s := range f.streams {
		for {
			f.take(t, i)
			if _, ok := s.Progress(f.Revision()); ok || s.Len() == 0 {
				break
			}
			<-s.Ready()
		}
		for _, w := range f.watches[i] {
			if !w.ended {
				w.silent(t, f.m, f.m.revision())
			}
		}
		s.Close()
	}
	if n := f.WatchBytes(); n != 0 {
		t.Fatalf("%d bytes wait for nobody", n)
	}
}

// What watches are told is what the model says, whenever they begin, however slow their
// consumers are, and whatever is compacted or restored meanwhile.
func TestWatchAgainstAModel(t *testing.T) {
	ended, told := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel()
		ahead := newNode(t)
		defer ahead.close()
		f := &follower{node: newNode(t), m: m}
		defer f.close()
		f.LimitWatches(rapid.Int64Range(0, 1000).Draw(rt, "room"), rapid.Int64Range(500, 5000).Draw(rt, "all"), rapid.IntRange(1, 1000).Draw(rt, "pass"))
		for range 3 {
			f.streams = append(f.streams, f.Watch())
			f.watches = append(f.watches, make(map[int64]*tracked))
		}
		do := func(op *pb.InternalRaftRequest) {
			ahead.execute(op)
			f.waiting = append(f.waiting, must(proto.Marshal(op)))
			if kv.Check(op, kv.Limits{}) == nil {
				_, _ = m.execute(op) // its refusals are not what is tested here
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"operation": func(t *rapid.T) { do(drawOperation(t, m)) },
			"compaction": func(t *rapid.T) {
				do(compact(rapid.Int64Range(1, m.revision()).Draw(t, "revision")))
			},
			"slot":   func(*rapid.T) { f.execute() },
			"create": f.create,
			"cancel": f.cancel,
			"take":   func(t *rapid.T) { f.take(t, rapid.IntRange(0, 2).Draw(t, "stream")) },
			"restore": func(t *rapid.T) {
				if err := f.Restore(bytes.NewReader(ahead.snapshot())); err != nil {
					t.Fatal(err)
				}
				f.slot, f.waiting = f.Executed(), nil
			},
		})
		f.end(rt)
		for _, watches := range f.watches {
			for _, w := range watches {
				told++
				if w.ended {
					ended++
				}
			}
		}
	})
	t.Logf("of %d watches, %d ended", told, ended)
	if ended == 0 || told == ended {
		t.Errorf("of %d watches, %d ended: one kind was not tried", told, ended)
	}
}

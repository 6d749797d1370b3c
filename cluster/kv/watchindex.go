package kv

import (
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/pkg/v3/adt"
)

// watchIndex finds the watches of a key among very many: those of the key alone in a
// map, those of a range in a tree of intervals.
type watchIndex struct {
	keys   map[string]*watchGroup
	ranges adt.IntervalTree
	size   int
}

// watchGroup is the watches of the same key or range.
type watchGroup struct {
	in      *watchIndex
	watches []*watch
}

func newWatchIndex() *watchIndex {
	return &watchIndex{keys: make(map[string]*watchGroup), ranges: adt.NewIntervalTree()}
}

func (x *watchIndex) insert(w *watch) {
	g := x.group(w.span)
	w.group, w.place = g, len(g.watches)
	g.watches = append(g.watches, w)
	x.size++
}

// group returns the watches of a span, which may be new.
func (x *watchIndex) group(s span) *watchGroup {
	g := &watchGroup{in: x}
	if s.single {
		if old := x.keys[s.key()]; old != nil {
			return old
		}
		x.keys[s.key()] = g
		return g
	}
	if old := x.ranges.Find(s.interval()); old != nil {
		return old.Val.(*watchGroup)
	}
	x.ranges.Insert(s.interval(), g)
	return g
}

// remove takes a watch out, if it is here.
func (x *watchIndex) remove(w *watch) {
	g := w.group
	if g == nil || g.in != x {
		return
	}
	end := len(g.watches) - 1
	g.watches[w.place] = g.watches[end]
	g.watches[w.place].place = w.place
	g.watches[end] = nil
	g.watches = g.watches[:end]
	w.group = nil
	x.size--
	switch {
	case end > 0:
	case w.span.single:
		delete(x.keys, w.span.key())
	default:
		x.ranges.Delete(w.span.interval())
	}
}

// match visits the watches of a key, each once.
func (x *watchIndex) match(key []byte, visit func(*watch)) {
	if g := x.keys[string(key)]; g != nil {
		for _, w := range g.watches {
			visit(w)
		}
	}
	if x.ranges.Len() == 0 {
		return
	}
	x.ranges.Visit(adt.NewStringAffinePoint(string(key)), func(at *adt.IntervalValue) bool {
		for _, w := range at.Val.(*watchGroup).watches {
			visit(w)
		}
		return true
	})
}

// all returns every watch, in no order.
func (x *watchIndex) all() []*watch {
	all := make([]*watch, 0, x.size)
	for _, g := range x.keys {
		all = append(all, g.watches...)
	}
	// The tree has no way to visit all: no key is before "\x00" or behind the infinite end.
	x.ranges.Visit(adt.NewStringAffineInterval("\x00", ""), func(at *adt.IntervalValue) bool {
		all = append(all, at.Val.(*watchGroup).watches...)
		return true
	})
	return all
}

func (s span) key() string { return string(s.start) }

// interval is the span for a tree, to which an empty end is behind all keys.
func (s span) interval() adt.Interval {
	return adt.NewStringAffineInterval(string(s.start), string(s.end))
}

// watchPass reads a part of the history once, for all watches of an index.
type watchPass struct {
	view    view
	kept    int64 // states from this revision on can be read
	index   *watchIndex
	touched []*watch // that have pending events
	read    int      // bytes of the history that were read
	found   int      // bytes of the events that some watch wants, each counted once

	limitRead, limitFound int // it ends before the next revision
}

// run gathers the pending events of the watches. It returns the first revision that it
// has not read.
func (p *watchPass) run(from int64) (next int64, err error) {
	enough := func() bool { return p.read >= p.limitRead || p.found >= p.limitFound }
	next, err = p.view.history(from, enough, p.add)
	if err != nil {
		for _, w := range p.touched {
			w.pending = nil
		}
	}
	return next, err
}

func (p *watchPass) add(c change) (err error) {
	p.read += len(c.key) + len(c.value) + eventOverhead
	var event, withPrev *mvccpb.Event // made when the first watch wants them
	p.index.match(c.key, func(w *watch) {
		if err != nil || !w.wants(c) {
			return
		}
		if event == nil {
			event = c.event()
			p.found += eventBytes(event)
		}
		e := event
		if w.PrevKV {
			if withPrev == nil {
				var prev *mvccpb.KeyValue
				if prev, err = p.view.before(c, p.kept); err != nil {
					return
				}
				withPrev = &mvccpb.Event{Type: event.Type, Kv: event.Kv, PrevKv: prev}
			}
			e = withPrev
		}
		if len(w.pending) == 0 {
			p.touched = append(p.touched, w)
		}
		w.pending = append(w.pending, e)
	})
	return err
}

// eventOverhead is what an event takes besides its keys and values, in bytes.
const eventOverhead = 128

func eventBytes(e *mvccpb.Event) int {
	n := eventOverhead + len(e.Kv.Key) + len(e.Kv.Value)
	if e.PrevKv != nil {
		n += len(e.PrevKv.Key) + len(e.PrevKv.Value)
	}
	return n
}

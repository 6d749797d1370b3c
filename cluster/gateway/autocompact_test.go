package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// handClock goes forward by hand.
type handClock struct {
	now   time.Duration
	pause time.Duration // that was asked for
	signs chan time.Time
}

func (c *handClock) Now() time.Duration { return c.now }

func (c *handClock) Every(pause time.Duration) (<-chan time.Time, func()) {
	c.pause = pause
	return c.signs, func() { close(c.signs) }
}

// compacted is an auto-compactor with a clock of its own. In each look the revision is
// that of the minute since the start, and one.
type compacted struct {
	*autoCompactor
	clock *handClock
	pause time.Duration
	away  bool // the office is elsewhere
	fails error
	done  []string // minutes, and what was compacted in them
}

func newCompacted(a AutoCompaction) *compacted {
	c := &compacted{clock: &handClock{}}
	minute := func() int64 { return int64(c.clock.now / time.Minute) }
	c.autoCompactor = &autoCompactor{
		AutoCompaction: a, clock: c.clock, log: hclog.NewNullLogger(),
		inOffice: func() bool { return !c.away },
		revision: func() int64 { return minute() + 1 },
		compact: func(_ context.Context, revision int64) error {
			c.done = append(c.done, fmt.Sprintf("%d: %d", minute(), revision))
			return c.fails
		},
	}
	c.pause = c.begin()
	return c
}

// forward lets time go by.
func (c *compacted) forward(t *testing.T, until time.Duration) {
	for c.clock.now < until {
		c.clock.now += c.pause
		c.look(t.Context())
	}
}

func (c *compacted) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(c.done, want) {
		t.Errorf("compacted %q, want %q", c.done, want)
	}
}

// By time: first after a period, then at every period, or every hour if that is shorter;
// always at the revision of a period ago, or one look more, as in etcd.
func TestAutoCompactionByTime(t *testing.T) {
	short := newCompacted(AutoCompaction{Period: 10 * time.Minute})
	short.forward(t, 30*time.Minute)
	short.want(t, "10: 1", "20: 10", "30: 20")
	long := newCompacted(AutoCompaction{Period: 2 * time.Hour})
	long.forward(t, 4*time.Hour)
	long.want(t, "120: 1", "180: 55", "240: 115")
}

// By revision: every five minutes, all but the newest.
func TestAutoCompactionByRevision(t *testing.T) {
	c := newCompacted(AutoCompaction{Revisions: 8})
	c.forward(t, 20*time.Minute)
	c.want(t, "10: 3", "15: 8", "20: 13")
}

// Only the node in office proposes; one that comes into it knows the past. What failed is
// tried again soon, and what was done by somebody else is done. Where nothing is written,
// nothing is compacted.
func TestAutoCompactionIsProposedOnce(t *testing.T) {
	c := newCompacted(AutoCompaction{Period: 10 * time.Minute})
	c.away = true
	c.forward(t, 25*time.Minute)
	c.want(t)
	c.away, c.fails = false, errors.New("no majority")
	c.forward(t, 27*time.Minute)
	c.want(t, "26: 16", "27: 17")
	c.fails = rpctypes.ErrGRPCCompacted
	c.forward(t, 37*time.Minute)
	c.want(t, "26: 16", "27: 17", "28: 18")
	idle := newCompacted(AutoCompaction{Period: 10 * time.Minute})
	idle.revision = func() int64 { return 1 }
	idle.forward(t, time.Hour)
	idle.want(t, "10: 1")
}

// A gateway compacts its store, and ends what it began.
func TestAutoCompaction(t *testing.T) {
	clock := &handClock{signs: make(chan time.Time)}
	f := start(t, func(o *Options) {
		o.AutoCompaction, o.Clock = AutoCompaction{Revisions: 2}, clock
	})
	f.put("a", "1", "a", "2", "a", "3", "a", "4")
	f.node.change(func() { f.node.office = "alpha" })
	f.gateway.look()
	clock.signs <- time.Time{}
	eventually(t, "the compaction", func() bool { return f.gateway.options.Store.CompactRevision() == 3 })
	if clock.pause != 5*time.Minute {
		t.Errorf("looks every %s", clock.pause)
	}
	if err := f.gateway.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, open := <-clock.signs; open {
		t.Error("the clock still runs")
	}
	for _, bad := range []AutoCompaction{{Period: time.Hour, Revisions: 1}, {Period: -1}, {Revisions: -1}, {Period: 1}} {
		if (Options{Client: "a", Node: f.node, Store: f.gateway.options.Store, AutoCompaction: bad}).check() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

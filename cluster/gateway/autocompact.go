package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

const (
	// revisionPause is between two compactions by revision: etcd's.
	revisionPause = 5 * time.Minute
	// longestPeriod is the longest time between two compactions by time: etcd's.
	longestPeriod = time.Hour
	// looksPerPeriod is how often the revision is noted between two compactions, and how
	// often one that failed is tried again: etcd's.
	looksPerPeriod = 10
)

// AutoCompaction says what history goes by itself. At most one of its fields is set; none
// is no such compaction.
type AutoCompaction struct {
	Period    time.Duration // history is kept for that long, as with etcd's mode periodic
	Revisions int64         // and so many revisions are kept, as with its mode revision
}

func (a AutoCompaction) check() error {
	switch {
	case a.Period < 0 || a.Revisions < 0 || a.Period > 0 && a.Period < looksPerPeriod:
		return fmt.Errorf("gateway: options: AutoCompaction %+v is too short", a)
	case a.Period > 0 && a.Revisions > 0:
		return errors.New("gateway: options: AutoCompaction is by time or by revision, not both")
	}
	return nil
}

// on tells whether anything is compacted at all.
func (a AutoCompaction) on() bool { return a.Period > 0 || a.Revisions > 0 }

// Pacer gives the time and a sign at every pause, by a clock that only goes forward.
type Pacer interface {
	Now() time.Duration
	// Every returns a channel that gets a sign at every pause, and what ends that.
	Every(pause time.Duration) (signs <-chan time.Time, stop func())
}

// steady is the process's own clock.
type steady struct{ began time.Time }

// Now is the time since the start.
func (s steady) Now() time.Duration { return time.Since(s.began) }

// Every is a ticker's.
func (s steady) Every(pause time.Duration) (<-chan time.Time, func()) {
	t := time.NewTicker(pause)
	return t.C, t.Stop
}

// autoCompactor proposes compactions where the leader in office is this node's. The
// others note revisions as well, so that whoever comes into office goes on.
type autoCompactor struct {
	AutoCompaction
	clock    Pacer
	inOffice func() bool
	revision func() int64
	compact  func(ctx context.Context, revision int64) error
	log      hclog.Logger

	noted []int64       // with Period: the revisions of the last looks, the oldest first
	last  int64         // revision of the last compaction
	since time.Duration // of the last compaction, or the start
	wait  time.Duration // until the next one
}

func newAutoCompactor(g *Gateway) *autoCompactor {
	return &autoCompactor{
		AutoCompaction: g.options.AutoCompaction, clock: g.options.Clock, log: g.log,
		inOffice: func() bool { _, ours := g.expires(); return ours },
		revision: g.options.Store.Revision,
		compact: func(ctx context.Context, revision int64) error {
			_, err := proposeOwn[*pb.CompactionResponse](ctx, g, &pb.InternalRaftRequest{
				Compaction: &pb.CompactionRequest{Revision: revision},
			})
			return err
		},
	}
}

// run compacts until ctx ends.
func (a *autoCompactor) run(ctx context.Context) {
	if !a.on() {
		return
	}
	signs, stop := a.clock.Every(a.begin())
	defer stop()
	for {
		select {
		case <-signs:
			a.look(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// begin notes where it begins, and returns the time between two looks.
func (a *autoCompactor) begin() (pause time.Duration) {
	a.since, a.wait = a.clock.Now(), a.Period
	if a.Period == 0 {
		return revisionPause
	}
	a.noted = []int64{a.revision()}
	return min(a.Period, longestPeriod) / looksPerPeriod
}

// look compacts, if it is time for it.
func (a *autoCompactor) look(ctx context.Context) {
	revision := a.revision() - a.Revisions
	if a.Period > 0 {
		revision = a.noted[0] // a period ago and one look, once there are so many
		a.note()
		if a.clock.Now()-a.since < a.wait {
			return
		}
	}
	if revision <= 0 || revision == a.last || !a.inOffice() {
		return
	}
	a.wait = min(a.Period, longestPeriod)
	err := a.compact(ctx, revision)
	switch {
	case err == nil || errors.Is(err, rpctypes.ErrGRPCCompacted):
		a.last, a.since = revision, a.clock.Now()
		a.log.Info("history compacted by itself", "below revision", revision)
	case ctx.Err() == nil:
		a.log.Warn("history was not compacted by itself", "below revision", revision, "error", err)
	}
}

// note adds the revision of now to those of the last period.
func (a *autoCompactor) note() {
	looks := int(a.Period/(min(a.Period, longestPeriod)/looksPerPeriod)) + 1
	a.noted = append(a.noted, a.revision())
	if len(a.noted) > looks {
		a.noted = a.noted[1:]
	}
}

package gateway

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

const (
	// quotaPause is between two looks at the space that the database takes.
	quotaPause = 500 * time.Millisecond
	// scarceSteps is in how many looks, one after the other, disks have to be without room.
	scarceSteps = 4
	// awaySteps is in how many looks, one after the other, a member has to be down before its
	// alarm is taken back for it.
	awaySteps = 20
	// roomAgain is the part of the quota, in percent, below which there is space again:
	// it keeps an alarm from coming and going with every write.
	roomAgain = 90
)

// space is what a quota needs of a *kv.Store.
type space interface {
	SizeInUse() int64
	Committed() int64
	Alarms() []*pb.AlarmMember
	NoSpace() bool
	CompactRevision() int64
	Reclaim(ctx context.Context) error
}

// quota keeps this node's database from growing beyond a size. It refuses what would
// make it so, and has the alarm raised, upon which all nodes refuse; once there is room
// it has the alarm taken back. Both are decrees, so no node's size matters to what is
// executed.
//
// It does so, too, where disks are nearly full, if without the nodes of which this is so no
// majority would be left: while one is, the others go on without a node that is full.
//
// It counts what the state takes, Store.SizeInUse, and not the files as etcd does: files
// that are replaced go by themselves, so nobody has to defragment for the alarm to end.
type quota struct {
	limit   func() int64 // bytes
	store   space
	pending func() int64                                              // bytes of the writes under way here
	members func() (me uint64, all []uint64, inOffice bool)           // me is 0 before this node is one
	away    func(member uint64) bool                                  // it cannot be reached from here
	scarce  func() bool                                               // disks are nearly full, and a majority's would be
	propose func(ctx context.Context, r *pb.AlarmRequest) (err error) // decided and executed
	log     hclog.Logger

	woken     chan struct{}
	crowded   chan struct{} // says that space is to be reclaimed
	refused   atomic.Bool   // a write, since the last step
	noRoom    atomic.Bool   // disks were scarce at the last step
	scarceFor int           // looks
	awayFor   map[uint64]int
	measured  atomic.Pointer[measured]
}

// measured is a size in use, and what had been committed just before.
type measured struct{ inUse, committed int64 }

func newQuota(g *Gateway) *quota {
	q := &quota{
		limit: func() int64 { return g.limits.Load().Quota }, store: g.options.Store, pending: g.bytes.Load, log: g.log,
		members: func() (me uint64, all []uint64, inOffice bool) {
			c := g.options.Node.Configuration()
			for _, m := range c.Members {
				all = append(all, uint64(m.ID))
			}
			self, _ := c.Named(g.options.Member)
			_, ours := g.expires()
			return uint64(self.ID), all, ours
		},
		away: func(member uint64) bool {
			m, known := g.options.Node.Configuration().Member(uint32(member))
			return known && m.Name != g.options.Member && !g.seen.Load().Transport.Peers[m.Name].Connected
		},
		scarce: func() bool { return g.seen.Load().Disk.Scarce },
		propose: func(ctx context.Context, r *pb.AlarmRequest) error {
			_, err := proposeOwn[*pb.AlarmResponse](ctx, g, &pb.InternalRaftRequest{Alarm: r})
			return err
		},
		woken: make(chan struct{}, 1), crowded: make(chan struct{}, 1), awayFor: make(map[uint64]int),
	}
	q.measured.Store(&measured{})
	return q
}

// admit refuses a write for which there is no space, with those under way, itself among
// them. It measures only where what is known leaves a doubt.
func (q *quota) admit() error {
	if q.store.NoSpace() || q.noRoom.Load() {
		return rpctypes.ErrGRPCNoSpace
	}
	known, pending := q.measured.Load(), q.pending()
	grown := max(0, q.store.Committed()-known.committed) // less than 0 after a restore
	if known.inUse+grown+pending <= q.limit() || q.measure()+pending <= q.limit() {
		return nil
	}
	q.refused.Store(true)
	wake(q.woken)
	return rpctypes.ErrGRPCNoSpace
}

func (q *quota) measure() (inUse int64) {
	m := &measured{committed: q.store.Committed()} // first, or growth in between would be lost
	m.inUse = q.store.SizeInUse()
	q.measured.Store(m)
	return m.inUse
}

func wake(sleeper chan struct{}) {
	select {
	case sleeper <- struct{}{}:
	default:
	}
}

// run looks at the space until ctx ends.
func (q *quota) run(ctx context.Context) {
	var reclaiming sync.WaitGroup
	defer reclaiming.Wait()
	reclaiming.Go(func() { q.reclaim(ctx) })
	again := time.NewTicker(quotaPause)
	defer again.Stop()
	for ctx.Err() == nil {
		q.step(ctx)
		select {
		case <-again.C:
		case <-q.woken:
		case <-ctx.Done():
		}
	}
}

// step has alarms raised and taken back.
func (q *quota) step(ctx context.Context) {
	refused, inUse, room := q.refused.Swap(false), q.measure(), q.limit()/100*roomAgain
	me, members, inOffice := q.members()
	if me == 0 {
		return
	}
	own := &pb.AlarmMember{MemberID: me, Alarm: pb.AlarmType_NOSPACE}
	seems := q.scarce()
	if q.scarceFor++; !seems {
		q.scarceFor = 0
	}
	scarce := q.scarceFor >= scarceSteps // longer than a connection takes to come back
	q.noRoom.Store(scarce)
	mine := false
	for _, a := range q.store.Alarms() {
		mine = mine || a.MemberID == me && a.Alarm == pb.AlarmType_NOSPACE
		if inOffice && (!slices.Contains(members, a.MemberID) || q.isOrphan(a)) {
			q.say(ctx, pb.AlarmRequest_DEACTIVATE, a, inUse)
		}
	}
	switch {
	case !mine && (inUse > q.limit() || refused && inUse >= room || scarce):
		q.say(ctx, pb.AlarmRequest_ACTIVATE, own, inUse)
	case mine && inUse < room && !seems:
		q.say(ctx, pb.AlarmRequest_DEACTIVATE, own, inUse)
	}
	if inUse >= room {
		wake(q.crowded)
	}
}

// isOrphan reports whether the member that raised an alarm, and would take it back, is down:
// then writes must not wait for it (L1). It raises the alarm again when it returns, if there
// is a reason still. A member that is corrupt stays so while it is down.
func (q *quota) isOrphan(a *pb.AlarmMember) bool {
	if a.Alarm != pb.AlarmType_NOSPACE {
		return false
	}
	if q.awayFor[a.MemberID]++; !q.away(a.MemberID) {
		delete(q.awayFor, a.MemberID)
	}
	if q.awayFor[a.MemberID] < awaySteps {
		return false
	}
	delete(q.awayFor, a.MemberID)
	return true
}

// say has an alarm raised or taken back. What fails is tried again with the next step.
func (q *quota) say(ctx context.Context, action pb.AlarmRequest_AlarmAction, a *pb.AlarmMember, inUse int64) {
	member := a.MemberID
	err := q.propose(ctx, &pb.AlarmRequest{Action: action, MemberID: member, Alarm: a.Alarm})
	switch {
	case err != nil:
		q.log.Debug("an alarm was not changed", "member", member, "to", action, "error", err)
	case action == pb.AlarmRequest_ACTIVATE:
		q.log.Warn("alarm NOSPACE raised: no node takes puts until keys are deleted and history is compacted, or disks have room", "member", member, "in use", inUse, "quota", q.limit(), "disks full", q.noRoom.Load())
	default:
		q.log.Info("alarm taken back", "alarm", a.Alarm, "member", member, "in use", inUse, "quota", q.limit())
	}
}

// reclaim gives back space where it is short, once for each compaction: nothing else
// makes any.
func (q *quota) reclaim(ctx context.Context) {
	reclaimed := int64(-1) // the revision of the last compaction; none yet
	for {
		select {
		case <-q.crowded:
		case <-ctx.Done():
			return
		}
		compacted := q.store.CompactRevision()
		if compacted == reclaimed {
			continue
		}
		if err := q.store.Reclaim(ctx); err != nil {
			q.log.Debug("space was not reclaimed", "error", err)
			continue
		}
		reclaimed = compacted
		wake(q.woken)
	}
}

package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// noise does not compress.
func noise(random *rand.Rand, size int) string {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

// A full database refuses what takes space, and nothing else; when keys are deleted and
// history is compacted, it takes it again, and nobody has to take the alarm back.
func TestQuota(t *testing.T) {
	const quota, size = 8 << 20, 256 << 10
	f := start(t, func(o *Options) { o.Limits.Quota = quota })
	ctx, random := t.Context(), rand.New(rand.NewPCG(1, 1))
	var err error
	for i := 0; err == nil && i <= quota/size; i++ {
		_, err = f.Put(ctx, fmt.Sprint("key", i), noise(random, size))
	}
	if !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Fatalf("a put beyond the quota: %v", err)
	}
	if inUse := f.gateway.options.Store.SizeInUse(); inUse > quota || inUse < quota-2*size {
		t.Errorf("a full database has %d bytes in use, of %d", inUse, quota)
	}
	alarms := func() int {
		r, err := f.AlarmList(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return len(r.Alarms)
	}
	eventually(t, "the alarm", func() bool { return alarms() == 1 })
	f.wantFull(true)
	last, err := f.Delete(ctx, "key", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Compact(ctx, last.Header.Revision); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the alarm", func() bool { return alarms() == 0 })
	f.wantFull(false)
}

// wantFull sees what a database with or without the alarm does.
func (f *fixture) wantFull(full bool) {
	f.t.Helper()
	ctx := f.t.Context()
	_, put := f.Put(ctx, "a", "1")
	_, txn := f.Txn(ctx).If(clientv3.Compare(clientv3.Version("none"), ">", 0)).Then(clientv3.OpPut("a", "1")).Commit()
	_, grant := f.Grant(ctx, 60)
	for _, err := range []error{put, txn, grant} {
		if errors.Is(err, rpctypes.ErrNoSpace) != full || err != nil && !full {
			f.t.Errorf("full: %t, and a write is answered with %v", full, err)
		}
	}
	_, get := f.Get(ctx, "a")
	_, none := f.Delete(ctx, "none")
	if err := errors.Join(get, none); err != nil {
		f.t.Error(err)
	}
	r, err := f.Status(ctx, f.gateway.ClientAddr())
	if err != nil || r.DbSizeQuota != f.gateway.limits.Load().Quota || slices.Contains(r.Errors, "memberID:1 alarm:NOSPACE") != full && len(r.Errors) != 1 {
		f.t.Errorf("full: %t, and status = %v, %v", full, r, err)
	}
	code, body := f.web("/health")
	if (code == http.StatusServiceUnavailable && strings.Contains(body, "ALARM NOSPACE")) != full {
		f.t.Errorf("full: %t, and /health = %d %s", full, code, body)
	}
	if code, body := f.web("/health?exclude=NOSPACE"); code != http.StatusOK {
		f.t.Errorf("/health but for the alarm = %d %s", code, body)
	}
}

// fakeSpace is a store with any size.
type fakeSpace struct {
	inUse, committed, compacted int64
	raised                      []uint64
	measured                    int
	reclaimed                   chan int64
}

func (s *fakeSpace) SizeInUse() int64       { s.measured++; return s.inUse }
func (s *fakeSpace) Committed() int64       { return s.committed }
func (s *fakeSpace) NoSpace() bool          { return len(s.raised) > 0 }
func (s *fakeSpace) CompactRevision() int64 { return s.compacted }

func (s *fakeSpace) Reclaim(context.Context) error {
	s.reclaimed <- s.compacted
	return nil
}

func (s *fakeSpace) Alarms() (all []*pb.AlarmMember) {
	for _, m := range s.raised {
		all = append(all, &pb.AlarmMember{MemberID: m, Alarm: pb.AlarmType_NOSPACE})
	}
	return all
}

// newFakeQuota is the quota of member 1 of two, and what it proposes.
func newFakeQuota(s *fakeSpace) (q *quota, proposed *[]string) {
	proposed = new([]string)
	q = &quota{
		limit: func() int64 { return 1000 }, store: s, pending: func() int64 { return 0 }, log: hclog.NewNullLogger(),
		members: func() (uint64, []uint64, bool) { return 1, []uint64{1, 2}, false },
		away:    func(uint64) bool { return false },
		scarce:  func() bool { return false },
		propose: func(_ context.Context, r *pb.AlarmRequest) error {
			*proposed = append(*proposed, fmt.Sprint(r.Action, " ", r.MemberID))
			return nil
		},
		woken: make(chan struct{}, 1), crowded: make(chan struct{}, 1), awayFor: make(map[uint64]int),
	}
	q.measured.Store(&measured{})
	return q, proposed
}

// L1: member 2 raises the alarm and goes down. It alone would take the alarm back, so member 1
// does, whose leader is in office, once member 2 has been down for a while without a break.
func TestL1_TheAlarmOfAMemberThatIsDownEnds(t *testing.T) {
	s := &fakeSpace{raised: []uint64{2}}
	q, proposed := newFakeQuota(s)
	inOffice, away := true, true
	q.members = func() (uint64, []uint64, bool) { return 1, []uint64{1, 2}, inOffice }
	q.away = func(member uint64) bool { return away && member == 2 }
	steps := func(n int) {
		for range n {
			q.step(t.Context())
		}
	}
	steps(awaySteps - 1)
	away = false
	steps(1)
	away = true
	steps(awaySteps - 1)
	inOffice = false
	steps(2)
	inOffice = true
	if len(*proposed) > 0 {
		t.Errorf("proposed %q though member 2 was back meanwhile, or is for another node to judge", *proposed)
	}
	steps(1)
	if want := []string{"DEACTIVATE 2"}; !slices.Equal(*proposed, want) {
		t.Errorf("proposed %q, want %q", *proposed, want)
	}
}

// The alarm is raised by who has no room, and taken back by the same when there is some
// to spare; that of a member that has gone, by whoever is in office.
func TestQuotaSteps(t *testing.T) {
	for _, tt := range []struct {
		name     string
		inUse    int64
		refused  bool
		raised   []uint64
		inOffice bool
		want     string
	}{
		{"room", 899, false, nil, false, ""},
		{"the last bytes", 1000, false, nil, false, ""},
		{"beyond", 1001, false, nil, false, "ACTIVATE 1"},
		{"beyond, raised", 1001, true, []uint64{1}, false, ""},
		{"beyond, raised by another", 1001, false, []uint64{2}, false, "ACTIVATE 1"},
		{"a write does not fit", 950, true, nil, false, "ACTIVATE 1"},
		{"a large write does not fit", 800, true, nil, false, ""},
		{"little room again", 900, false, []uint64{1}, false, ""},
		{"room again", 899, false, []uint64{1}, false, "DEACTIVATE 1"},
		{"another's", 100, false, []uint64{2}, true, ""},
		{"a stranger's", 100, false, []uint64{3}, false, ""},
		{"a stranger's, in office", 100, false, []uint64{3}, true, "DEACTIVATE 3"},
	} {
		q, proposed := newFakeQuota(&fakeSpace{inUse: tt.inUse, raised: tt.raised})
		q.refused.Store(tt.refused)
		q.members = func() (uint64, []uint64, bool) { return 1, []uint64{1, 2}, tt.inOffice }
		q.step(t.Context())
		if got := strings.Join(*proposed, ", "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if q.refused.Load() {
			t.Errorf("%s: the refusal is not forgotten", tt.name)
		}
	}
	for _, tt := range []struct {
		raised []uint64
		scarce bool
		want   string
	}{
		{nil, true, "ACTIVATE 1"},
		{[]uint64{1}, true, ""},
		{[]uint64{1}, false, "DEACTIVATE 1"},
	} {
		q, proposed := newFakeQuota(&fakeSpace{inUse: 100, raised: tt.raised})
		q.scarce = func() bool { return tt.scarce }
		for range scarceSteps - 1 {
			q.step(t.Context())
			if tt.scarce && len(*proposed) != 0 {
				t.Errorf("with alarms %v: %v is proposed for disks that may just be out of reach", tt.raised, *proposed)
			}
			*proposed = nil
		}
		q.step(t.Context())
		if got := strings.Join(*proposed, ", "); got != tt.want {
			t.Errorf("with alarms %v and disks full: %t: %q, want %q", tt.raised, tt.scarce, got, tt.want)
		}
		if err := q.admit(); (err == rpctypes.ErrGRPCNoSpace) != (tt.scarce || tt.raised != nil) {
			t.Errorf("with alarms %v and disks full: %t: a write is answered with %v", tt.raised, tt.scarce, err)
		}
	}
	q, proposed := newFakeQuota(&fakeSpace{inUse: 2000})
	q.members = func() (uint64, []uint64, bool) { return 0, nil, false }
	if q.step(t.Context()); len(*proposed) != 0 {
		t.Errorf("who is no member proposes %v", *proposed)
	}
}

// A write is refused for what has been written since the last look, and for those under
// way, and the store is looked at only when that leaves a doubt.
func TestQuotaAdmits(t *testing.T) {
	s := &fakeSpace{inUse: 500, committed: 10_000}
	q, _ := newFakeQuota(s)
	var pending int64
	q.pending = func() int64 { return pending }
	q.step(t.Context())
	for _, tt := range []struct {
		name                      string
		committed, inUse, pending int64
		looks                     int
		want                      error
	}{
		{"room", 10_400, 500, 100, 0, nil},
		{"less room than it seems", 10_400, 900, 101, 1, rpctypes.ErrGRPCNoSpace},
		{"more room than it seems", 10_900, 100, 500, 1, nil},
		{"which is known then", 10_900, 100, 500, 0, nil},
		{"after a restore", 0, 100, 500, 0, nil},
	} {
		s.committed, s.inUse, pending, s.measured = tt.committed, tt.inUse, tt.pending, 0
		if err := q.admit(); err != tt.want || s.measured != tt.looks {
			t.Errorf("%s: %v after %d looks, want %v after %d", tt.name, err, s.measured, tt.want, tt.looks)
		}
		if refused := q.refused.Swap(false); refused != (tt.want != nil) {
			t.Errorf("%s: remembered as refused: %t", tt.name, refused)
		}
	}
	s.raised = []uint64{2}
	if err := q.admit(); err != rpctypes.ErrGRPCNoSpace {
		t.Errorf("with another's alarm: %v", err)
	}
}

// Space is reclaimed where it is short, once for each compaction.
func TestQuotaReclaims(t *testing.T) {
	s := &fakeSpace{inUse: 900, compacted: 5, reclaimed: make(chan int64)}
	q, _ := newFakeQuota(s)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { q.reclaim(ctx); close(ended) }()
	for _, compacted := range []int64{5, 7} {
		s.compacted = compacted
		q.step(ctx)
		if got := <-s.reclaimed; got != compacted {
			t.Errorf("reclaimed at %d, want %d", got, compacted)
		}
		<-q.woken // it is done, and the alarm may end
	}
	q.crowded <- struct{}{}
	q.crowded <- struct{}{} // it took the one before, and did nothing
	select {
	case <-s.reclaimed:
		t.Error("reclaimed again without a compaction")
	default:
	}
	cancel()
	<-ended
	s.inUse = 899
	for len(q.crowded) > 0 { // and nobody else receives
		<-q.crowded
	}
	if q.step(ctx); len(q.crowded) != 0 {
		t.Error("reclaims where there is room")
	}
}

// Clients raise and take back alarms, of members that there are; here of the other one,
// or this node would take it back at once, having room.
func TestAlarm(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	s := &maintenanceServer{g: f.gateway}
	nospace, corrupt := pb.AlarmType_NOSPACE, pb.AlarmType_CORRUPT
	for _, tt := range []struct {
		r    *pb.AlarmRequest
		want int
		code codes.Code
	}{
		{&pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: 2, Alarm: nospace}, 1, codes.OK},
		{&pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: 9, Alarm: nospace}, 0, codes.NotFound},
		{&pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE}, 0, codes.OK},
		{&pb.AlarmRequest{}, 1, codes.OK},
		{&pb.AlarmRequest{Alarm: nospace}, 1, codes.OK},
		{&pb.AlarmRequest{Alarm: corrupt}, 0, codes.OK},
		{&pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: 2, Alarm: corrupt}, 0, codes.OK},
		{&pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: 2, Alarm: nospace}, 1, codes.OK},
		{&pb.AlarmRequest{}, 0, codes.OK},
		{&pb.AlarmRequest{Action: 7}, 0, codes.InvalidArgument},
	} {
		r, err := s.Alarm(ctx, tt.r)
		if len(r.GetAlarms()) != tt.want || status.Code(err) != tt.code {
			t.Errorf("%v: %v, %v, want %d alarms", tt.r, r, err, tt.want)
		}
	}
}

package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// rawStream is a stream of watches without what etcd's client makes of it.
type rawStream struct {
	pb.Watch_WatchClient
	t testing.TB
}

func (f *fixture) rawWatch(ctx context.Context) *rawStream {
	f.t.Helper()
	s, err := pb.NewWatchClient(f.ActiveConnection()).Watch(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	return &rawStream{s, f.t}
}

func (s *rawStream) ask(r *pb.WatchCreateRequest) {
	s.t.Helper()
	if err := s.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: r}}); err != nil {
		s.t.Fatal(err)
	}
}

// create asks for a watch and returns the answer.
func (s *rawStream) create(r *pb.WatchCreateRequest) *pb.WatchResponse {
	s.t.Helper()
	s.ask(r)
	return s.next()
}

func (s *rawStream) cancel(id int64) {
	s.t.Helper()
	r := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}}
	if err := s.Send(r); err != nil {
		s.t.Fatal(err)
	}
}

func (s *rawStream) askProgress() {
	s.t.Helper()
	r := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}
	if err := s.Send(r); err != nil {
		s.t.Fatal(err)
	}
}

func (s *rawStream) next() *pb.WatchResponse {
	s.t.Helper()
	r, err := s.Recv()
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// told reads responses until the events of a revision have come, and shows all events.
func told(t *testing.T, c clientv3.WatchChan, until int64) string {
	t.Helper()
	var all []string
	for r := range c {
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
		for _, e := range r.Events {
			s := fmt.Sprintf("%d %s %s=%s", e.Kv.ModRevision, e.Type, e.Kv.Key, e.Kv.Value)
			if e.PrevKv != nil {
				s += fmt.Sprintf(" was %s", e.PrevKv.Value)
			}
			all = append(all, s)
			if e.Kv.ModRevision >= until {
				return strings.Join(all, ", ")
			}
		}
	}
	t.Fatalf("the watch ended after %v", all)
	return ""
}

// Etcd's client is told what it watches: the past and the future, keys and ranges, with
// filters and previous values.
func TestWatch(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	f.put("a", "1", "b", "2", "ab", "3") // 2 to 4
	watches := map[string]clientv3.WatchChan{
		"2 PUT a=1, 5 PUT a=4, 6 DELETE a=":             f.Watch(ctx, "a", clientv3.WithRev(1)),
		"5 PUT a=4 was 1, 6 DELETE a= was 4":            f.Watch(ctx, "a", clientv3.WithPrevKV()),
		"2 PUT a=1, 4 PUT ab=3, 5 PUT a=4, 6 DELETE a=": f.Watch(ctx, "a", clientv3.WithPrefix(), clientv3.WithRev(2)),
		"6 DELETE a=": f.Watch(ctx, "", clientv3.WithFromKey(), clientv3.WithFilterPut()),
	}
	f.put("a", "4") // 5
	if _, err := f.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	for want, c := range watches {
		if got := told(t, c, 6); got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	}
	if n := f.gateway.requests.count(); n != 0 {
		t.Errorf("%d places of requests are taken", n)
	}
}

// Watches are created, refused and cancelled in etcd's words.
func TestWatchAnswers(t *testing.T) {
	f := start(t)
	f.put("a", "1", "a", "2", "a", "3") // 2 to 4
	if _, err := f.Compact(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	s := f.rawWatch(t.Context())
	r := s.create(&pb.WatchCreateRequest{Key: []byte("b"), WatchId: 7})
	if !r.Created || r.Canceled || r.WatchId != 7 || r.Header.Revision != 4 || r.Header.MemberId != 1 || r.Header.ClusterId == 0 || r.Header.RaftTerm != 7 {
		t.Errorf("created: %v", r)
	}
	for want, c := range map[string]*pb.WatchCreateRequest{
		"mvcc: duplicate watch ID provided on the WatchStream":   {Key: []byte("b"), WatchId: 7},
		"mvcc: watcher range is empty":                           {Key: []byte("b"), RangeEnd: []byte("a")},
		"etcdserver: mvcc: required revision has been compacted": {Key: []byte("b"), StartRevision: -1},
	} {
		if r := s.create(c); !r.Created || !r.Canceled || r.WatchId != -1 || r.CancelReason != want || r.CompactRevision != 0 {
			t.Errorf("%v: %v", c, r)
		}
	}
	if r = s.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 2}); !r.Created || r.Canceled || r.WatchId != 0 {
		t.Errorf("from before the compacted revision: %v", r)
	}
	if r = s.next(); !r.Canceled || r.WatchId != 0 || r.CompactRevision != 3 || r.CancelReason != "" || r.Header.Revision != 4 {
		t.Errorf("and then: %v", r)
	}
	if n := f.gateway.watches.Load(); n != 1 {
		t.Errorf("%d watches are counted when a compaction has ended one of two", n)
	}
	s.cancel(0)
	if r = s.next(); !r.Canceled || r.Created || r.WatchId != 0 || r.CompactRevision != 0 {
		t.Errorf("and, as it is cancelled: %v", r)
	}
	if r = s.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 3}); !r.Created || r.WatchId != 1 {
		t.Errorf("from the compacted revision on: %v", r)
	}
	if r = s.next(); len(r.Events) != 2 || r.WatchId != 1 || r.Header.Revision != 4 {
		t.Errorf("and then: %v", r)
	}
	s.cancel(9)
	s.cancel(0) // once more
	s.cancel(7)
	if r = s.next(); !r.Canceled || r.Created || r.WatchId != 7 || r.CancelReason != "" {
		t.Errorf("cancelled: %v", r)
	}
	// Etcd's client makes ErrCompacted of it.
	c := <-f.Watch(t.Context(), "a", clientv3.WithRev(1))
	if !errors.Is(c.Err(), rpctypes.ErrCompacted) || c.CompactRevision != 3 {
		t.Errorf("etcd's client: %v, %d", c.Err(), c.CompactRevision)
	}
}

// The request for progress is answered when all is sent; a stream without watches has
// none.
func TestWatchProgressRequest(t *testing.T) {
	f := start(t)
	f.put("a", "1", "a", "2")
	s := f.rawWatch(t.Context())
	s.askProgress()
	s.create(&pb.WatchCreateRequest{Key: []byte("b")})
	s.ask(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 1})
	s.askProgress()
	if r := s.next(); !r.Created || r.WatchId != 1 {
		t.Fatalf("created: %v", r)
	}
	if r := s.next(); len(r.Events) != 2 {
		t.Errorf("before the progress: %v", r)
	}
	if r := s.next(); r.WatchId != -1 || r.Header.Revision != 3 || len(r.Events) != 0 || r.Created || r.Canceled {
		t.Errorf("progress: %v", r)
	}
	c := f.Watch(t.Context(), "c", clientv3.WithCreatedNotify())
	<-c
	if err := f.RequestProgress(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := <-c; !r.IsProgressNotify() || r.Header.Revision != 3 {
		t.Errorf("etcd's client hears %+v", r)
	}
}

// Watches that ask for it are told now and then that there was nothing.
func TestWatchProgressNotify(t *testing.T) {
	f := start(t, func(o *Options) { o.WatchProgress = 20 * time.Millisecond })
	f.put("b", "1")
	silent := f.Watch(t.Context(), "a")
	c := f.Watch(t.Context(), "a", clientv3.WithProgressNotify())
	for range 2 {
		if r := <-c; !r.IsProgressNotify() || r.Header.Revision != 2 {
			t.Errorf("heard %+v", r)
		}
	}
	f.put("a", "1")
	if got := told(t, silent, 3); got != "3 PUT a=1" {
		t.Errorf("who did not ask was told %s", got)
	}
}

// A response that is too long comes in parts to who wants it, and is one to others.
func TestWatchFragments(t *testing.T) {
	f := start(t)
	value := strings.Repeat("x", 200<<10)
	s := f.rawWatch(t.Context())
	s.create(&pb.WatchCreateRequest{Key: []byte("k"), RangeEnd: []byte("l"), Fragment: true})
	whole := f.Watch(t.Context(), "k", clientv3.WithPrefix())
	joined := f.Watch(t.Context(), "k", clientv3.WithPrefix(), clientv3.WithFragment(), clientv3.WithPrevKV())
	for i := range 20 {
		f.put(fmt.Sprintf("k%02d", i), value)
	}
	if _, err := f.Delete(t.Context(), "k", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if r := s.next(); r.Fragment || len(r.Events) == 0 {
			t.Fatalf("%d events, of a response in parts: %t", len(r.Events), r.Fragment)
		} else if r.Events[len(r.Events)-1].Kv.ModRevision == 21 {
			break
		}
	}
	if r := s.next(); len(r.Events) != 20 || r.Fragment {
		t.Errorf("short deletions came in parts: %t", r.Fragment)
	}
	for _, c := range []clientv3.WatchChan{whole, joined} {
		n := 0
		for n < 40 {
			r := <-c
			if err := r.Err(); err != nil {
				t.Fatal(err)
			}
			if n += len(r.Events); r.Events[len(r.Events)-1].Type == mvccpb.Event_DELETE && len(r.Events) < 20 {
				t.Errorf("a revision of 20 changes came with %d", len(r.Events))
			}
		}
	}
	s = f.rawWatch(t.Context())
	s.create(&pb.WatchCreateRequest{Key: []byte("k"), RangeEnd: []byte("l"), Fragment: true, PrevKv: true, StartRevision: 22})
	for n, parts := 0, 1; ; parts++ {
		r := s.next()
		if n += len(r.Events); !r.Fragment {
			if n != 20 || parts < 3 {
				t.Errorf("%d events in %d parts", n, parts)
			}
			break
		}
	}
}

// Streams of watches have places of their own, and there is a bound for watches.
func TestWatchLimits(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.InFlight, o.Limits.WatchStreams, o.Limits.Watches = 1, 1, 2 })
	s := f.rawWatch(t.Context())
	s.create(&pb.WatchCreateRequest{Key: []byte("a")})
	s.create(&pb.WatchCreateRequest{Key: []byte("a")})
	if r := s.create(&pb.WatchCreateRequest{Key: []byte("a")}); !r.Canceled || r.CancelReason != "etcdserver: too many requests" {
		t.Errorf("a watch too many: %v", r)
	}
	f.put("a", "1") // in the one place of a request
	other, err := pb.NewWatchClient(f.ActiveConnection()).Watch(t.Context())
	if err == nil {
		_, err = other.Recv()
	}
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a stream too many: %v", err)
	}
	s.next()
	s.next()
	s.cancel(0)
	s.next()
	if r := s.create(&pb.WatchCreateRequest{Key: []byte("a")}); r.Canceled {
		t.Errorf("a watch in the place of another: %v", r)
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	f.put("a", "2")
	s.next() // who sends no more is still told
}

// When the node leaves, and when it stops, streams end so that clients turn to others.
func TestWatchEnds(t *testing.T) {
	for name, end := range map[string]func(*fixture){
		"leaving": func(f *fixture) { close(f.node.leaving) },
		"done":    func(f *fixture) { close(f.node.done) },
		"stop": func(f *fixture) {
			if err := f.gateway.Stop(f.t.Context()); err != nil {
				f.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			s := f.rawWatch(t.Context())
			s.create(&pb.WatchCreateRequest{Key: []byte("a")})
			end(f)
			_, err := s.Recv()
			if status.Code(err) != codes.Unavailable {
				t.Errorf("the stream ended with %v, want Unavailable", err)
			}
			eventually(t, "the watches to be gone", func() bool { return f.gateway.watches.Load() == 0 })
		})
	}
}

// A client that requires a leader is cut off where there is none for long, others not.
func TestWatchRequiresLeader(t *testing.T) {
	f := start(t)
	led, free := f.rawWatch(clientv3.WithRequireLeader(t.Context())), f.rawWatch(t.Context())
	led.create(&pb.WatchCreateRequest{Key: []byte("a")})
	free.create(&pb.WatchCreateRequest{Key: []byte("a")})
	f.node.change(func() { f.node.leader = false })
	now := time.Now()
	for range 2 { // as keepLooking does, at other times
		f.gateway.leader.note(false, now)
		now = now.Add(leaderPatience + time.Minute)
	}
	if _, err := led.Recv(); status.Convert(err).Message() != status.Convert(rpctypes.ErrGRPCNoLeader).Message() {
		t.Errorf("who requires a leader: %v", err)
	}
	f.put("a", "1")
	if r := free.next(); len(r.Events) != 1 {
		t.Errorf("who does not: %v", r)
	}
}

// Who comes while a node begins is not told that there is no leader, upon which etcd's
// client would end a watch: the node has yet to hear of one.
func TestANodeThatBeginsHasYetToHearOfALeader(t *testing.T) {
	var l leaderWatch
	begun := time.Now()
	for _, step := range []struct {
		after  time.Duration
		leader bool
		want   error
	}{
		{0, false, errBegins},
		{leaderPatience - 1, false, errBegins},
		{leaderPatience, false, rpctypes.ErrGRPCNoLeader},
		{leaderPatience + 1, true, nil},
		{leaderPatience + 2, false, rpctypes.ErrGRPCNoLeader},
	} {
		now := begun.Add(step.after)
		l.note(step.leader, now)
		if got := l.missing(now); step.want != nil && got != step.want {
			t.Errorf("after %s: %v, want %v", step.after, got, step.want)
		}
	}
}

// A client goes on where it was at another node. Who has no keys has no watches.
func TestWatchElsewhere(t *testing.T) {
	f := start(t)
	other := f.gateway.options
	other.Client, other.HTTP = "127.0.0.1:0", ""
	second, err := Start(other)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := second.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	f.SetEndpoints(f.gateway.ClientAddr(), second.ClientAddr())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := f.Watch(ctx, "a")
	f.put("a", "1")
	first := told(t, c, 2)
	if err := f.gateway.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.put("a", "2", "a", "3")
	if got := first + ", " + told(t, c, 4); got != "2 PUT a=1, 3 PUT a=2, 4 PUT a=3" {
		t.Errorf("told %s", got)
	}
	cancel()
	f.node.change(func() { f.node.members.Members[0].Replica = false })
	s, err := pb.NewWatchClient(f.ActiveConnection()).Watch(t.Context())
	if err == nil {
		_, err = s.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("a member without a replica: %v, want Unavailable", err)
	}
}

// Who reads nothing holds up nobody, and is told all when it reads.
func TestWatchSlowClient(t *testing.T) {
	f := start(t)
	slow := f.rawWatch(t.Context())
	slow.create(&pb.WatchCreateRequest{Key: []byte("a")})
	other := f.dial()
	c := other.Watch(t.Context(), "a")
	const writes = 200
	value := strings.Repeat("x", 64<<10)
	go func() {
		for range writes {
			if _, err := other.Put(t.Context(), "a", value); err != nil {
				t.Error(err)
			}
		}
	}()
	for n := 0; n < writes; {
		n += len((<-c).Events)
	}
	for rev := int64(2); rev < writes+2; {
		for _, e := range slow.next().Events {
			if e.Kv.ModRevision != rev {
				t.Fatalf("event %d came when %d was due", e.Kv.ModRevision, rev)
			}
			rev++
		}
	}
}

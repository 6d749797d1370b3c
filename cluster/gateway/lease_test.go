package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

// hands is a clock that a test sets.
type hands struct{ atomic.Int64 }

func (h *hands) now() time.Duration { return time.Duration(h.Load()) }

func (h *hands) pass(d time.Duration) { h.Add(int64(d)) }

// timed gives a gateway a store whose clock a test sets.
func timed(t *testing.T, clock *hands) func(*Options) {
	return func(o *Options) {
		t.Helper()
		store, err := kv.Open(kv.Options{Dir: "timed", FS: vfs.NewMem(), Clock: clock.now})
		if err != nil {
			t.Fatal(err)
		}
		n := o.Node.(*lonely)
		if err := n.store.Close(); err != nil {
			t.Fatal(err)
		}
		n.store, o.Store = store, store
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func mustGrant(t *testing.T, f *fixture, id, ttl int64) {
	t.Helper()
	r, err := pb.NewLeaseClient(f.ActiveConnection()).LeaseGrant(t.Context(), &pb.LeaseGrantRequest{ID: id, TTL: ttl})
	if err != nil || r.ID != id || r.TTL != ttl {
		t.Fatalf("grant of lease %d: %v, %v", id, r, err)
	}
}

// Leases are granted under the client's id or one of the server's, and refused as etcd
// refuses them.
func TestLeaseGrant(t *testing.T) {
	f := start(t)
	mustGrant(t, f, 7, 60)
	client := pb.NewLeaseClient(f.ActiveConnection())
	if _, err := client.LeaseGrant(t.Context(), &pb.LeaseGrantRequest{ID: 7, TTL: 60}); !errors.Is(err, rpctypes.ErrGRPCLeaseExist) {
		t.Errorf("granted twice: %v", err)
	}
	if _, err := f.Grant(t.Context(), kv.MaxLeaseTTL+1); !errors.Is(err, rpctypes.ErrLeaseTTLTooLarge) {
		t.Errorf("granted for too long: %v", err)
	}
	one, err := f.Grant(t.Context(), 1)
	if err != nil || one.ID <= 0 || one.TTL != kv.MinLeaseTTL || one.Revision != 1 {
		t.Errorf("a lease without an id: %+v, %v", one, err)
	}
	two, err := f.Grant(t.Context(), 100)
	if err != nil || two.ID == one.ID {
		t.Errorf("another: %+v, %v", two, err)
	}
	r, err := f.Leases(t.Context())
	if err != nil || len(r.Leases) != 3 || r.Leases[0].ID != one.ID || r.Leases[1].ID != 7 {
		t.Errorf("leases, as they expire: %+v, %v", r, err)
	}
}

// A key lives as long as its lease, which tells of it and of its time.
func TestLeasedKeys(t *testing.T) {
	clock := new(hands)
	f := start(t, timed(t, clock))
	ctx := t.Context()
	mustGrant(t, f, 7, 60)
	if _, err := f.Put(ctx, "a", "1", clientv3.WithLease(8)); !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		t.Errorf("put with an unknown lease: %v", err)
	}
	for _, key := range []string{"b", "a"} {
		if _, err := f.Put(ctx, key, "1", clientv3.WithLease(7)); err != nil {
			t.Fatal(err)
		}
	}
	clock.pass(20*time.Second + time.Millisecond)
	barriers := f.node.barriers
	r, err := f.TimeToLive(ctx, 7, clientv3.WithAttachedKeys())
	if err != nil || r.TTL != 39 || r.GrantedTTL != 60 || fmt.Sprintf("%s", r.Keys) != "[a b]" || r.Revision != 3 || f.node.barriers != barriers+1 {
		t.Errorf("time to live: %+v, %v, after %d barriers", r, err, f.node.barriers-barriers)
	}
	if r, err = f.TimeToLive(ctx, 7); err != nil || len(r.Keys) != 0 {
		t.Errorf("time to live without keys: %+v, %v", r, err)
	}
	if r, err := f.KeepAliveOnce(ctx, 7); err != nil || r.TTL != 60 || r.ResponseHeader.Revision != 3 {
		t.Errorf("kept alive: %+v, %v", r, err)
	}
	if r, err = f.TimeToLive(ctx, 7); err != nil || r.TTL != 60 {
		t.Errorf("time to live of a renewed lease: %+v, %v", r, err)
	}
	if r, err := f.Revoke(ctx, 7); err != nil || r.Header.Revision != 4 {
		t.Errorf("revoke: %+v, %v", r, err)
	}
	if r, err := f.Get(ctx, "", clientv3.WithPrefix()); err != nil || r.Count != 0 || r.Header.Revision != 4 {
		t.Errorf("after the revocation: %+v, %v", r, err)
	}
	if _, err := f.Revoke(ctx, 7); !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
	if _, err := f.KeepAliveOnce(ctx, 7); !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		t.Errorf("an unknown lease kept alive: %v", err)
	}
	if r, err = f.TimeToLive(ctx, 7); err != nil || r.TTL != -1 {
		t.Errorf("time to live of an unknown lease: %+v, %v", r, err)
	}
}

// renewing is a stream of keep-alives.
type renewing struct {
	pb.Lease_LeaseKeepAliveClient
	t testing.TB
}

func (f *fixture) renewing() *renewing {
	f.t.Helper()
	s, err := pb.NewLeaseClient(f.ActiveConnection()).LeaseKeepAlive(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return &renewing{s, f.t}
}

func (r *renewing) ask(ids ...int64) {
	r.t.Helper()
	for _, id := range ids {
		if err := r.Send(&pb.LeaseKeepAliveRequest{ID: id}); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *renewing) is(id, ttl int64) {
	r.t.Helper()
	if m, err := r.Recv(); err != nil || m.ID != id || m.TTL != ttl {
		r.t.Errorf("answer %v, %v, want lease %d with %d seconds", m, err, id, ttl)
	}
}

// All that is asked on a stream is answered, in order, and the stream ends as its
// client ends it.
func TestKeepAliveStream(t *testing.T) {
	f := start(t)
	mustGrant(t, f, 1, 10)
	mustGrant(t, f, 2, 20)
	s := f.renewing()
	const rounds = 2 * streamRenewals
	go func() {
		for range rounds {
			s.ask(1, 3, 2)
		}
		_ = s.CloseSend()
	}()
	for range rounds {
		s.is(1, 10)
		s.is(3, 0)
		s.is(2, 20)
	}
	if _, err := s.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the end of a stream: %v", err)
	}
}

// Keep-alives that wait go into one operation, and one is under way at a time.
func TestKeepAlivesShareAnOperation(t *testing.T) {
	f := start(t)
	const streams = 10
	all := make([]*renewing, streams)
	for i := range all {
		mustGrant(t, f, int64(i)+1, 10+int64(i))
		all[i] = f.renewing()
	}
	before := f.node.proposed
	release := f.node.hold()
	defer release()
	all[0].ask(1)
	f.node.waitHeld(t, 1)
	for i, s := range all[1:] {
		s.ask(int64(i) + 2)
	}
	eventually(t, "nine keep-alives that wait", func() bool {
		r := f.gateway.renewer
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.waiting) == 1 && len(r.waiting[0].ids) == streams-1
	})
	release()
	for i, s := range all {
		s.is(int64(i)+1, 10+int64(i))
	}
	f.node.change(func() {
		if got := f.node.proposed - before; got != 2 || f.node.most != 1 {
			t.Errorf("%d operations, %d at a time, want 2 and 1", got, f.node.most)
		}
	})
}

// An operation renews a bounded number of leases, and who gave up holds up nobody.
func TestRenewerIsBounded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var sizes []int
	r := &renewer{woken: make(chan struct{}, 1), propose: func(_ context.Context, op *pb.InternalRaftRequest) (*pb.LeaseCheckpointRequest, error) {
		sizes = append(sizes, len(op.LeaseCheckpoint.Checkpoints))
		return op.LeaseCheckpoint, nil
	}}
	gone, leave := context.WithCancel(ctx)
	leave()
	ids := make([]int64, streamRenewals)
	for range 2*maxRenewals/streamRenewals + 1 {
		if _, err := r.renew(gone, ids); !errors.Is(err, context.Canceled) {
			t.Errorf("renewed for who has gone: %v", err)
		}
	}
	ended := make(chan struct{})
	go func() { r.run(ctx); close(ended) }()
	if _, err := r.renew(ctx, ids); err != nil {
		t.Error(err)
	}
	cancel()
	<-ended
	if slices.Max(sizes) > maxRenewals || len(sizes) < 3 {
		t.Errorf("operations of %d leases, want no more than %d in each", sizes, maxRenewals)
	}
}

// A stream of keep-alives takes no place from requests, and ends with an error that
// clients try elsewhere after when the cluster cannot renew, or the gateway ends.
func TestKeepAliveStreamEnds(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.InFlight = 1 })
	mustGrant(t, f, 1, 10)
	s := f.renewing()
	s.ask(1)
	s.is(1, 10)
	f.put("a", "1")
	f.node.change(func() { f.node.fails = cluster.ErrNoMajority })
	s.ask(1)
	if _, err := s.Recv(); !errors.Is(err, rpctypes.ErrGRPCUnhealthy) {
		t.Errorf("without a majority: %v", err)
	}
	f.node.change(func() { f.node.fails = nil })
	s = f.renewing()
	s.ask(1)
	s.is(1, 10)
	if err := f.gateway.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.Recv(); !errors.Is(err, rpctypes.ErrGRPCStopped) {
		t.Errorf("at the end of the gateway: %v", err)
	}
}

// Writes that are too many for the node do not keep it from renewing leases.
func TestRenewalsUnderAFlood(t *testing.T) {
	f := start(t)
	mustGrant(t, f, 1, 10)
	flood := int64(DefaultLimits().InFlightBytes)
	f.gateway.bytes.Add(flood)
	defer f.gateway.bytes.Add(-flood)
	client := pb.NewKVClient(f.ActiveConnection())
	if _, err := client.Put(t.Context(), &pb.PutRequest{Key: []byte("a")}); !errors.Is(err, rpctypes.ErrGRPCRequestTooManyRequests) {
		t.Errorf("a write: %v", err)
	}
	if r, err := f.KeepAliveOnce(t.Context(), 1); err != nil || r.TTL != 10 {
		t.Errorf("a keep-alive: %v, %v", r, err)
	}
}

// A lease that was renewed after it expired, by somebody's clock, is not revoked for it.
func TestExpiryIsOfATerm(t *testing.T) {
	clock := new(hands)
	f := start(t, timed(t, clock))
	mustGrant(t, f, 1, 10)
	clock.pass(10 * time.Second)
	expired := f.gateway.options.Store.Lessor().Expired(1)
	if _, err := f.KeepAliveOnce(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	e := newExpirer(f.gateway)
	if err := e.revoke(t.Context(), expired[0]); !errors.Is(err, kv.ErrLeaseRenewed) {
		t.Errorf("the revocation of a renewed lease: %v", err)
	}
	if err := e.revokeAll(t.Context(), expired); err != nil {
		t.Errorf("it is no failure: %v", err)
	}
	if r, err := f.TimeToLive(t.Context(), 1); err != nil || r.TTL != 10 {
		t.Errorf("time to live %+v, %v", r, err)
	}
}

// The node whose leader is in office has leases revoked that have expired.
func TestLeasesExpire(t *testing.T) {
	clock := new(hands)
	f := start(t, timed(t, clock))
	mustGrant(t, f, 1, 10)
	mustGrant(t, f, 2, 3600)
	for id, key := range []string{"free", "a", "b"} {
		if _, err := f.Put(t.Context(), key, "x", clientv3.WithLease(clientv3.LeaseID(id))); err != nil {
			t.Fatal(err)
		}
	}
	f.node.change(func() { f.node.office = "alpha" })
	eventually(t, "that only lease 2 and its key are left", func() bool {
		clock.pass(time.Second)
		r, err := f.Get(t.Context(), "", clientv3.WithPrefix())
		if err != nil || r.Count > 3 {
			t.Fatal(r, err)
		}
		return r.Count == 2 && r.Kvs[0].Lease == 2 && f.gateway.options.Store.Lessor().Len() == 1
	})
}

package kv_test

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// hands is a clock that a test sets.
type hands struct{ now time.Duration }

// newTimed is a node with a clock of its own.
func newTimed(t *testing.T, clock *hands) *node {
	t.Helper()
	return openTimed(t, vfs.NewMem(), clock)
}

func openTimed(t *testing.T, fs vfs.FS, clock *hands) *node {
	t.Helper()
	s, err := kv.Open(kv.Options{Dir: "node/kv", FS: fs, Clock: func() time.Duration { return clock.now }})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, Store: s, fs: fs, slot: s.Executed()}
	t.Cleanup(n.close)
	return n
}

// expired are the ids of the leases that have expired, in order.
func (n *node) expired() (ids []int64) {
	for _, e := range n.Lessor().Expired(math.MaxInt) {
		ids = append(ids, e.ID)
	}
	slices.Sort(ids)
	return ids
}

// expireAll executes the revocation of all leases that have expired.
func (n *node) expireAll() {
	n.t.Helper()
	for _, e := range n.Lessor().Expired(math.MaxInt) {
		n.mustDo(expire(e.ID, e.Term))
	}
}

// remaining is what a lease has left.
func (n *node) remaining(id int64) time.Duration {
	n.t.Helper()
	left, _, err := n.Lessor().Remaining(id)
	if err != nil {
		n.t.Fatal(err)
	}
	return left
}

// A grant is refused as etcd refuses it, and a short time to live is made longer.
func TestGrant(t *testing.T) {
	n := newNode(t)
	for _, tt := range []struct {
		name    string
		id, ttl int64
		want    int64
		err     error
	}{
		{"a lease", 7, 60, 60, nil},
		{"one that there is", 7, 60, 0, rpctypes.ErrGRPCLeaseExist},
		{"too short", 8, 1, kv.MinLeaseTTL, nil},
		{"negative", 9, -5, kv.MinLeaseTTL, nil},
		{"the longest", 10, kv.MaxLeaseTTL, kv.MaxLeaseTTL, nil},
		{"too long", 11, kv.MaxLeaseTTL + 1, 0, rpctypes.ErrGRPCLeaseTTLTooLarge},
		{"no id", 0, 60, 0, rpctypes.ErrGRPCLeaseNotFound},
	} {
		got, err := n.do(grant(tt.id, tt.ttl))
		if err != tt.err {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.err)
		}
		if r, ok := got.(*pb.LeaseGrantResponse); tt.err == nil && (!ok || r.TTL != tt.want || r.ID != tt.id || r.Header.Revision != 1) {
			t.Errorf("%s: %v, want ttl %d", tt.name, got, tt.want)
		}
	}
	if left, ttl, err := n.Lessor().Remaining(10); err != nil || ttl != kv.MaxLeaseTTL*time.Second || left < 200*365*24*time.Hour {
		t.Errorf("the longest lease has %v of %v left, %v", left, ttl, err)
	}
}

// A key has one lease at most: it is moved by a put with another, kept by IgnoreLease
// and lost by a put without, or with the key.
func TestKeysOfALease(t *testing.T) {
	n := newNode(t)
	n.mustDo(grant(1, 60))
	n.mustDo(grant(2, 60))
	is := func(what string, one, two []string) {
		t.Helper()
		if a, b := n.keysOf(1), n.keysOf(2); !slices.Equal(a, one) || !slices.Equal(b, two) {
			t.Errorf("%s: leases have %q and %q, want %q and %q", what, a, b, one, two)
		}
	}
	for _, key := range []string{"b", "a", "c"} {
		n.mustDo(putLeased(key, 1))
	}
	is("puts", []string{"a", "b", "c"}, nil)
	n.mustDo(putLeased("b", 2))
	is("moved", []string{"a", "c"}, []string{"b"})
	keep := put("a", "new")
	keep.Put.IgnoreLease = true
	n.mustDo(keep)
	if kv := n.get(requestKey("a")).Kvs[0]; kv.Lease != 1 || string(kv.Value) != "new" {
		t.Errorf("with IgnoreLease: %v", kv)
	}
	is("with IgnoreLease", []string{"a", "c"}, []string{"b"})
	n.put("a", "free")
	is("overwritten", []string{"c"}, []string{"b"})
	n.delete("b", "")
	is("deleted", []string{"c"}, nil)
	n.mustDo(txn(&pb.TxnRequest{Success: []*pb.RequestOp{
		{Request: &pb.RequestOp_RequestPut{RequestPut: putLeased("d", 2).Put}}, opDelete("c", ""),
	}}))
	is("in a transaction", nil, []string{"d"})
	refused := txn(&pb.TxnRequest{Success: []*pb.RequestOp{
		opPut("e", "x"), {Request: &pb.RequestOp_RequestPut{RequestPut: putLeased("f", 9).Put}},
	}})
	if _, err := n.do(refused); err != rpctypes.ErrGRPCLeaseNotFound || len(n.get(requestKey("e")).Kvs) != 0 {
		t.Errorf("a transaction with an unknown lease: %v", err)
	}
}

// A revocation deletes the lease's keys, in their order and in one revision.
func TestRevoke(t *testing.T) {
	n := newNode(t)
	n.mustDo(grant(1, 60))
	for _, key := range []string{"c", "a", "b"} {
		n.mustDo(putLeased(key, 1))
	}
	n.put("free", "x")
	before := n.Revision()
	if r := n.mustDo(revoke(1)).(*pb.LeaseRevokeResponse); r.Header.Revision != before+1 || n.Revision() != before+1 {
		t.Errorf("revoked at %d, after %d", r.Header.Revision, before)
	}
	if kvs := briefs(n.all(0).Kvs); kvs != briefs(n.get(requestKey("free")).Kvs) {
		t.Errorf("left: %s", kvs)
	}
	if got := must(n.Deleted(before + 1)); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("deleted in the order %q", got)
	}
	if _, err := n.do(revoke(1)); err != rpctypes.ErrGRPCLeaseNotFound {
		t.Errorf("revoked twice: %v", err)
	}
	n.mustDo(grant(1, 60))
	if keys := n.keysOf(1); len(keys) != 0 {
		t.Errorf("granted again, it has %q", keys)
	}
	n.mustDo(grant(2, 60))
	if r := n.mustDo(revoke(2)).(*pb.LeaseRevokeResponse); r.Header.Revision != before+1 {
		t.Errorf("a lease without keys was revoked at %d, after %d", r.Header.Revision, before+1)
	}
}

// A lease expires once its time to live has passed since its grant or last renewal.
func TestExpiry(t *testing.T) {
	clock := new(hands)
	n := newTimed(t, clock)
	n.mustDo(grant(1, 10))
	n.mustDo(grant(2, 10))
	clock.now = 9 * time.Second
	if left := n.remaining(1); left != time.Second || len(n.expired()) != 0 {
		t.Errorf("%v left, expired: %v", left, n.expired())
	}
	answer := n.mustDo(renew(1, 5)).(*pb.LeaseCheckpointRequest).Checkpoints
	if len(answer) != 2 || answer[0].Remaining_TTL != 10 || answer[1].Remaining_TTL != 0 {
		t.Errorf("renewed: %v", answer)
	}
	clock.now = 10 * time.Second
	if got := n.expired(); !slices.Equal(got, []int64{2}) {
		t.Errorf("expired: %v, want lease 2", got)
	}
	if got := n.Lessor().Leases(); !slices.Equal(got, []int64{2, 1}) {
		t.Errorf("leases %v, want them in the order in which they expire", got)
	}
	if left := n.remaining(2); left != 0 {
		t.Errorf("%v left of an expired lease", left)
	}
	n.expireAll()
	if _, _, err := n.Lessor().Remaining(2); !errors.Is(err, rpctypes.ErrGRPCLeaseNotFound) || len(n.expired()) != 0 {
		t.Errorf("after its revocation: %v", err)
	}
}

// A renewal that was answered is not undone by a revocation that was proposed before
// it, even where the lease was revoked and granted again meanwhile.
func TestRenewalBeforeRevocation(t *testing.T) {
	clock := new(hands)
	n := newTimed(t, clock)
	n.mustDo(grant(1, 10))
	n.mustDo(putLeased("a", 1))
	clock.now = 10 * time.Second
	expired := n.Lessor().Expired(1)[0]
	n.mustDo(renew(1))
	if _, err := n.do(expire(expired.ID, expired.Term)); err != kv.ErrLeaseRenewed || len(n.keysOf(1)) != 1 {
		t.Errorf("a renewed lease was revoked: %v", err)
	}
	clock.now = 20 * time.Second
	expired = n.Lessor().Expired(1)[0]
	n.mustDo(revoke(1))
	n.mustDo(grant(1, 10))
	n.mustDo(renew(1))
	if _, err := n.do(expire(expired.ID, expired.Term)); err != kv.ErrLeaseRenewed {
		t.Errorf("another lease of that id was revoked: %v", err)
	}
}

// Clocks cannot make two nodes disagree on a lease: only decrees change it. Each node
// has its own idea of what has expired, and the states are equal.
func TestSkewedClocks(t *testing.T) {
	slow, fast := new(hands), &hands{now: time.Hour}
	one, two := newTimed(t, slow), newTimed(t, fast)
	both := func(ops ...*pb.InternalRaftRequest) {
		t.Helper()
		for i, result := range one.execute(ops...) {
			if !bytes.Equal(result, two.execute(ops[i])[0]) {
				t.Errorf("results of %v differ", ops[i])
			}
		}
		two.slot = one.slot
	}
	pass := func(d time.Duration) { slow.now += d; fast.now += 3 * d }
	both(grant(1, 10))
	both(putLeased("a", 1))
	pass(4 * time.Second)
	if len(one.expired()) != 0 || len(two.expired()) != 1 {
		t.Fatalf("expired: %v and %v, want lease 1 on the fast clock alone", one.expired(), two.expired())
	}
	for _, proposer := range []*node{one, two} {
		for _, e := range proposer.Lessor().Expired(1) {
			both(renew(1))
			both(expire(e.ID, e.Term))
		}
	}
	if len(one.keysOf(1)) != 1 {
		t.Error("the fast clock undid a renewal")
	}
	pass(4 * time.Second)
	for _, e := range two.Lessor().Expired(1) {
		both(expire(e.ID, e.Term))
	}
	if got := one.Lessor().Len() + two.Lessor().Len() + len(one.all(0).Kvs); got != 0 {
		t.Errorf("%d leases and keys are left", got)
	}
	if !bytes.Equal(one.snapshot(), two.snapshot()) {
		t.Error("the states differ")
	}
}

// A node that restarts, or restores a snapshot, has the leases and their keys, and gives
// each its whole time to live again.
func TestLeasesAfterARestart(t *testing.T) {
	clock := new(hands)
	n := newTimed(t, clock)
	n.mustDo(grant(1, 10))
	n.mustDo(grant(2, 20))
	n.mustDo(putLeased("a", 1))
	n.mustDo(putLeased("b", 2))
	hash := n.hash(0)
	snapshot := n.snapshot()
	n.flush()
	n.close()
	clock.now = time.Hour
	again := openTimed(t, n.fs, clock)
	restored := newTimed(t, clock)
	restored.mustDo(grant(3, 10)) // is not in the snapshot
	if err := restored.Restore(bytes.NewReader(snapshot)); err != nil {
		t.Fatal(err)
	}
	restored.slot = restored.Executed()
	if a, b := again.remaining(1), restored.remaining(1); a != 10*time.Second || b != a {
		t.Errorf("%v left after a restart, %v after a restore", a, b)
	}
	for what, n := range map[string]*node{"restarted": again, "restored": restored} {
		if got := n.Lessor().Leases(); !slices.Equal(got, []int64{1, 2}) || n.hash(0) != hash {
			t.Errorf("%s: leases %v", what, got)
		}
		n.mustDo(renew(1)) // in a term that was not before
		clock.now += 10 * time.Second
		n.mustDo(renew(2))
		n.expireAll()
		if got := briefs(n.all(0).Kvs); got != briefs(n.get(requestKey("b")).Kvs) {
			t.Errorf("%s: %s is left", what, got)
		}
	}
}

// An operation that was applied and not committed has told the lessor nothing.
func TestLessorHearsOfCommits(t *testing.T) {
	n := newNode(t)
	n.Apply(n.slot, [][]byte{must(proto.Marshal(grant(1, 10)))})
	if n.Lessor().Len() != 0 {
		t.Error("a lease is known before it is committed")
	}
	n.Apply(n.slot, nil)
	if err := n.Commit(n.slot, nil); err != nil || n.Lessor().Len() != 0 {
		t.Errorf("a lease is known that was dropped: %v", err)
	}
}

// Of a hundred thousand leases, those that have expired are found, a limited number at
// a time, and forgotten once they are revoked.
func TestManyLeases(t *testing.T) {
	clock := new(hands)
	lessor := newTimed(t, clock).Lessor()
	const all = 100_000
	for id := int64(1); id <= all; id++ {
		lessor.Grant(id, 10+id%1000)
	}
	clock.now = 10 * time.Second
	if got := len(lessor.Expired(all)); got != all/1000 || lessor.Len() != all {
		t.Errorf("%d of %d leases have expired", got, lessor.Len())
	}
	if got := lessor.Expired(7); len(got) != 7 {
		t.Errorf("%d leases, want no more than the limit", len(got))
	}
	clock.now = time.Hour
	for left := all; left > 0; left -= 1000 {
		if lessor.Len() != left {
			t.Fatalf("%d leases are left, want %d", lessor.Len(), left)
		}
		for _, e := range lessor.Expired(1000) {
			lessor.Revoke(e.ID)
		}
	}
}

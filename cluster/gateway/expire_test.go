package gateway

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/go-hclog"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

// expiring is an expirer with leases whose revocations a test answers.
type expiring struct {
	*expirer
	clock *hands
	store *kv.Store

	mu      sync.Mutex
	office  bool
	round   uint64
	fails   error         // of barriers
	takes   time.Duration // a barrier
	answer  func(kv.Expired) error
	revoked []kv.Expired
}

func newExpiring(t *testing.T, leases int) *expiring {
	t.Helper()
	x := &expiring{clock: new(hands), office: true, round: 1, answer: func(kv.Expired) error { return nil }}
	var err error
	if x.store, err = kv.Open(kv.Options{Dir: "state", FS: vfs.NewMem(), Clock: x.clock.now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.store.Close(); err != nil {
			t.Error(err)
		}
	})
	var ops [][]byte
	for i := range leases {
		op, err := proto.Marshal(&pb.InternalRaftRequest{LeaseGrant: &pb.LeaseGrantRequest{ID: int64(i) + 1, TTL: 10}})
		if err != nil {
			t.Fatal(err)
		}
		ops = append(ops, op)
	}
	x.store.Apply(1, ops)
	if err := x.store.Commit(1, nil); err != nil {
		t.Fatal(err)
	}
	x.expirer = &expirer{
		ours:    func() (uint64, bool) { return x.round, x.office },
		lessor:  x.store.Lessor(),
		barrier: func(context.Context) error { x.clock.pass(x.takes); return x.fails },
		revoke:  x.record,
		log:     hclog.NewNullLogger(),
	}
	return x
}

func (x *expiring) record(_ context.Context, l kv.Expired) error {
	x.mu.Lock()
	x.revoked = append(x.revoked, l)
	x.mu.Unlock()
	return x.answer(l)
}

// revokes makes a step and returns how many leases it had revoked.
func (x *expiring) revokes(t *testing.T) int {
	x.revoked = nil
	x.step(t.Context())
	return len(x.revoked)
}

// Nothing is revoked by a node that is not in office, for a time after it came into it,
// and for a time after there was no majority.
func TestExpiryWaits(t *testing.T) {
	x := newExpiring(t, 3)
	x.office = false
	x.clock.pass(time.Hour)
	is := func(what string, want int) {
		t.Helper()
		if got := x.revokes(t); got != want {
			t.Errorf("%s: %d revocations, want %d", what, got, want)
		}
	}
	is("out of office", 0)
	x.office = true
	is("new in office", 0)
	x.clock.pass(renewalGrace - 1)
	is("still new in office", 0)
	x.clock.pass(1)
	is("in office", 3)
	x.fails = cluster.ErrNoMajority
	is("without a majority", 0)
	x.fails = nil
	x.clock.pass(renewalGrace - 1)
	is("with a majority again", 0)
	x.clock.pass(1)
	is("with a majority for long", 3)
	x.takes = renewalGrace + 1
	is("with a majority after a while", 0)
	x.takes = 0
	x.clock.pass(renewalGrace)
	is("with a majority for long again", 3)
	x.office = false
	is("while nobody knows", 0)
	x.office = true
	is("in the same office", 3)
	x.round = 2
	is("new in office again", 0)
}

// A revocation says which term has expired. One that comes too late is no failure, and
// any other ends the step.
func TestRevocationsOfExpired(t *testing.T) {
	x := newExpiring(t, maxExpired+1)
	x.clock.pass(time.Hour)
	x.step(t.Context()) // new in office
	x.clock.pass(renewalGrace)
	x.answer = func(l kv.Expired) error {
		if l.Term != uint64(l.ID) {
			t.Errorf("lease %d in term %d", l.ID, l.Term)
		}
		return kv.ErrLeaseRenewed
	}
	if more := x.step(t.Context()); !more || len(x.revoked) != maxExpired {
		t.Errorf("%d revocations, more: %v", len(x.revoked), more)
	}
	x.answer = func(kv.Expired) error { return errors.New("planted") }
	if got := x.revokes(t); got == 0 || got > maxRevocations {
		t.Errorf("%d revocations after a failure, want at most %d", got, maxRevocations)
	}
}

// Leases that expire together are revoked some at a time.
func TestRevocationsUnderWay(t *testing.T) {
	x := newExpiring(t, 3*maxRevocations)
	x.clock.pass(time.Hour)
	x.step(t.Context()) // new in office
	x.clock.pass(renewalGrace)
	var mu sync.Mutex
	waiting := 0
	full, most := make(chan struct{}), 0
	x.answer = func(kv.Expired) error {
		mu.Lock()
		waiting++
		most = max(most, waiting)
		if waiting == maxRevocations && most == waiting {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		mu.Unlock()
		<-full
		mu.Lock()
		waiting--
		mu.Unlock()
		return nil
	}
	if got := x.revokes(t); got != 3*maxRevocations || most != maxRevocations {
		t.Errorf("%d revocations, %d under way at most, want %d", got, most, maxRevocations)
	}
}

// Who has leases revoked is the member in office, or every one that knows deadlines if
// that one knows none.
func TestWhoExpires(t *testing.T) {
	for _, tt := range []struct {
		name, office  string
		leaderReplica bool
		want          bool
	}{
		{"this member is in office", "alpha", true, true},
		{"another is", "beta", true, false},
		{"another is, without a replica", "beta", false, true},
		{"nobody is", "", true, false},
		{"a member is that is none any more", "gamma", true, false},
	} {
		g := &Gateway{options: Options{Member: "alpha"}}
		c := twoMembers()
		c.Members[1].Replica = tt.leaderReplica
		g.seen.Store(&cluster.Status{InOffice: tt.office, Configuration: c})
		if _, got := g.expires(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

package kv_test

import (
	"maps"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// modelLeases are the leases of a model. Which keys they have, its newest state says.
type modelLeases struct {
	granted  map[int64]*modelLease
	lastTerm uint64
}

type modelLease struct {
	ttl  int64
	term uint64
}

// executeLease is execute for the operations on leases.
func (m *model) executeLease(a *attempt, op *pb.InternalRaftRequest) (proto.Message, error) {
	switch {
	case op.LeaseGrant != nil:
		return m.grant(op.LeaseGrant)
	case op.LeaseRevoke != nil:
		return a.revoke(op.LeaseRevoke.ID, op.Header.GetID())
	default:
		return m.renew(op.LeaseCheckpoint), nil
	}
}

func (m *model) grant(r *pb.LeaseGrantRequest) (proto.Message, error) {
	if m.leases.granted[r.ID] != nil {
		return nil, rpctypes.ErrGRPCLeaseExist
	}
	m.leases.lastTerm++
	l := &modelLease{ttl: max(r.TTL, 2), term: m.leases.lastTerm}
	m.leases.granted[r.ID] = l
	return &pb.LeaseGrantResponse{Header: &pb.ResponseHeader{Revision: m.revision()}, ID: r.ID, TTL: l.ttl}, nil
}

func (m *model) renew(r *pb.LeaseCheckpointRequest) proto.Message {
	answer := new(pb.LeaseCheckpointRequest)
	for _, c := range r.Checkpoints {
		renewed := &pb.LeaseCheckpoint{ID: c.ID}
		if l := m.leases.granted[c.ID]; l != nil {
			m.leases.lastTerm++
			l.term, renewed.Remaining_TTL = m.leases.lastTerm, l.ttl
		}
		answer.Checkpoints = append(answer.Checkpoints, renewed)
	}
	return answer
}

func (a *attempt) revoke(id int64, term uint64) (proto.Message, error) {
	l := a.m.leases.granted[id]
	if l == nil {
		return nil, rpctypes.ErrGRPCLeaseNotFound
	}
	if term != 0 && term != l.term {
		return nil, kv.ErrLeaseRenewed
	}
	for _, key := range a.m.keysOf(id) {
		a.wrote = true
		delete(a.state, key)
	}
	delete(a.m.leases.granted, id)
	return &pb.LeaseRevokeResponse{Header: &pb.ResponseHeader{Revision: a.revision()}}, nil
}

// keysOf are the keys that a lease has, in order.
func (m *model) keysOf(id int64) (keys []string) {
	state := m.states[m.revision()]
	for _, key := range slices.Sorted(maps.Keys(state)) {
		if state[key].Lease == id {
			keys = append(keys, key)
		}
	}
	return keys
}

// anyLease is one of few, the last of all possible among them.
var anyLease = rapid.SampledFrom([]int64{1, 2, 3, -1})

func drawLease(t *rapid.T, m *model) *pb.InternalRaftRequest {
	id := anyLease.Draw(t, "lease")
	switch rapid.IntRange(0, 5).Draw(t, "what") {
	case 0, 1, 2:
		return grant(id, rapid.Int64Range(-1, 5).Draw(t, "ttl"))
	case 3:
		return renew(rapid.SliceOfN(anyLease, 0, 3).Draw(t, "leases")...)
	case 4:
		if l := m.leases.granted[id]; l != nil {
			return expire(id, l.term)
		}
		return revoke(id)
	default:
		return expire(id, rapid.Uint64Range(0, m.leases.lastTerm+1).Draw(t, "term"))
	}
}

// sameLeases compares the leases and their keys with a model's.
func sameLeases(t *rapid.T, n *node, m *model) {
	got := n.Lessor().Leases()
	slices.Sort(got)
	if want := slices.Sorted(maps.Keys(m.leases.granted)); !slices.Equal(got, want) {
		t.Fatalf("leases %v, want %v", got, want)
	}
	for _, id := range got {
		if keys := n.keysOf(id); !slices.Equal(keys, m.keysOf(id)) {
			t.Fatalf("keys of lease %d: %q, want %q", id, keys, m.keysOf(id))
		}
	}
}

func grant(id, ttl int64) *pb.InternalRaftRequest {
	return &pb.InternalRaftRequest{LeaseGrant: &pb.LeaseGrantRequest{ID: id, TTL: ttl}}
}

func renew(ids ...int64) *pb.InternalRaftRequest {
	r := new(pb.LeaseCheckpointRequest)
	for _, id := range ids {
		r.Checkpoints = append(r.Checkpoints, &pb.LeaseCheckpoint{ID: id})
	}
	return &pb.InternalRaftRequest{LeaseCheckpoint: r}
}

func revoke(id int64) *pb.InternalRaftRequest {
	return &pb.InternalRaftRequest{LeaseRevoke: &pb.LeaseRevokeRequest{ID: id}}
}

// expire is the revocation of a lease in a term.
func expire(id int64, term uint64) *pb.InternalRaftRequest {
	op := revoke(id)
	op.Header = &pb.RequestHeader{ID: term}
	return op
}

func putLeased(key string, lease int64) *pb.InternalRaftRequest {
	op := put(key, "x")
	op.Put.Lease = lease
	return op
}

// keysOf are the keys of a lease.
func (n *node) keysOf(id int64) (keys []string) {
	n.t.Helper()
	for _, key := range must(n.LeaseKeys(id)) {
		keys = append(keys, string(key))
	}
	return keys
}

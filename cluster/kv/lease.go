package kv

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// A lease is replicated state like any other: it begins, goes on and ends by decrees
// alone, so clocks cannot make two nodes disagree on it. What a clock says is in the
// lessor, which no decree depends on.
//
// From a grant or a renewal on, a lease is in a new term. Terms are numbered across
// all leases. A lease that expires is revoked in a certain term: where it was renewed
// meanwhile, even if it was revoked and granted again, the revocation is refused, and
// so does not undo a renewal that was answered.

const (
	// MinLeaseTTL is what shorter times to live are taken for, in seconds: etcd's, with
	// its default election time.
	MinLeaseTTL = 2
	// MaxLeaseTTL is the longest time to live, in seconds: etcd's.
	MaxLeaseTTL = 9_000_000_000
)

// lease is what the state holds of a lease, besides its keys.
type lease struct {
	ttl  int64 // seconds
	term uint64
}

func (l lease) append(dst []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(l.ttl)), l.term)
}

func parseLease(b []byte) (l lease, err error) {
	ttl, n := binary.Uvarint(b)
	if n > 0 {
		var m int
		if l.term, m = binary.Uvarint(b[n:]); m > 0 {
			l.ttl = int64(ttl)
			return l, nil
		}
	}
	return lease{}, fmt.Errorf("kv: lease %x is cut", b)
}

const leaseIDBytes = 8

func leaseKey(dst []byte, id int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, spaceLease), uint64(id))
}

// attachedKey is followed by nothing, so that the keys of a lease are in their order.
func attachedKey(dst []byte, id int64, key []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, spaceAttached), uint64(id))
	return append(dst, key...)
}

// attachedEnd is behind all keys of a lease.
func attachedEnd(id int64) []byte {
	if next := uint64(id) + 1; next != 0 {
		return binary.BigEndian.AppendUint64([]byte{spaceAttached}, next)
	}
	return []byte{spaceAttached + 1}
}

// lease returns the lease with an id, if it is granted.
func (v view) lease(id int64) (l lease, found bool, err error) {
	err = get(v.r, leaseKey(nil, id), func(b []byte) (err error) {
		l, err = parseLease(b)
		found = err == nil
		return err
	})
	return l, found, err
}

// attached returns the keys of a lease, in their order.
func (v view) attached(id int64) (keys [][]byte, err error) {
	it, err := v.iterate(attachedKey(nil, id, nil), attachedEnd(id))
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		keys = append(keys, bytes.Clone(it.Key()[1+leaseIDBytes:]))
	}
	return keys, closeIterator(it, nil)
}

// eachLease calls fn with every lease.
func eachLease(r pebble.Reader, fn func(id int64, l lease)) error {
	it, err := iterate(r, []byte{spaceLease}, []byte{spaceLease + 1})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if len(it.Key()) != 1+leaseIDBytes {
			err = fmt.Errorf("kv: %q is not the key of a lease", it.Key())
			break
		}
		var l lease
		if l, err = parseLease(it.Value()); err == nil {
			fn(int64(binary.BigEndian.Uint64(it.Key()[1:])), l)
		}
	}
	return closeIterator(it, err)
}

// leaseNews is what an operation did to a lease, for the lessor.
type leaseNews struct {
	id   int64
	now  lease
	gone bool
}

// begin begins terms of leases.
func (g *stage) begin(leases ...leaseNews) error {
	var term uint64
	err := get(staged{g}, keyTerm, func(b []byte) error {
		if len(b) != 8 {
			return fmt.Errorf("kv: last term of leases is %x", b)
		}
		term = binary.BigEndian.Uint64(b)
		return nil
	})
	for _, n := range leases {
		if err != nil {
			return err
		}
		term++
		n.now.term = term
		err = g.batch.Set(leaseKey(nil, n.id), n.now.append(nil), nil)
		g.leases = append(g.leases, n)
	}
	if err != nil {
		return err
	}
	return g.batch.Set(keyTerm, binary.BigEndian.AppendUint64(nil, term), nil)
}

func (g *stage) grantLease(r *pb.LeaseGrantRequest) (*pb.LeaseGrantResponse, error) {
	_, found, err := g.view().lease(r.ID)
	if err != nil {
		return nil, err
	}
	if found {
		return nil, rpctypes.ErrGRPCLeaseExist
	}
	ttl := max(r.TTL, MinLeaseTTL)
	if err := g.begin(leaseNews{id: r.ID, now: lease{ttl: ttl}}); err != nil {
		return nil, err
	}
	return &pb.LeaseGrantResponse{Header: g.header(), ID: r.ID, TTL: ttl}, nil
}

// renewLeases answers with the leases' times to live, which are 0 where there is no
// such lease. What the operation has there says nothing: who proposed it may not know.
func (g *stage) renewLeases(r *pb.LeaseCheckpointRequest) (*pb.LeaseCheckpointRequest, error) {
	answer := &pb.LeaseCheckpointRequest{Checkpoints: make([]*pb.LeaseCheckpoint, len(r.Checkpoints))}
	var renewed []leaseNews
	for i, c := range r.Checkpoints {
		l, found, err := g.view().lease(c.GetID())
		if err != nil {
			return nil, err
		}
		if found {
			renewed = append(renewed, leaseNews{id: c.ID, now: l})
		}
		answer.Checkpoints[i] = &pb.LeaseCheckpoint{ID: c.GetID(), Remaining_TTL: l.ttl}
	}
	if len(renewed) == 0 {
		return answer, nil
	}
	return answer, g.begin(renewed...)
}

// revokeLease deletes a lease and its keys, in one revision. A term that is not 0 is
// the only one in which it does.
func (g *stage) revokeLease(r *pb.LeaseRevokeRequest, term uint64) (*pb.LeaseRevokeResponse, error) {
	l, found, err := g.view().lease(r.ID)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, rpctypes.ErrGRPCLeaseNotFound
	case term != 0 && term != l.term:
		return nil, ErrLeaseRenewed
	}
	keys, err := g.view().attached(r.ID)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if err := g.attach(key, r.ID, 0); err != nil {
			return nil, err
		}
		if err := g.record(change{meta: meta{mod: g.next()}, deleted: true, key: key}); err != nil {
			return nil, err
		}
	}
	g.leases = append(g.leases, leaseNews{id: r.ID, gone: true})
	if err := g.batch.Delete(leaseKey(nil, r.ID), nil); err != nil {
		return nil, err
	}
	return &pb.LeaseRevokeResponse{Header: g.header()}, nil
}

// attach moves a key from a lease to another. Either may be 0, which is none.
func (g *stage) attach(key []byte, from, to int64) error {
	if from == to {
		return nil
	}
	if from != 0 {
		if err := g.batch.Delete(attachedKey(nil, from, key), nil); err != nil {
			return err
		}
	}
	if to == 0 {
		return nil
	}
	return g.batch.Set(attachedKey(nil, to, key), nil, nil)
}

func (g *stage) header() *pb.ResponseHeader { return &pb.ResponseHeader{Revision: g.view().revision} }

// CheckLeaseGrant says what is wrong with a grant, whatever the state.
func CheckLeaseGrant(r *pb.LeaseGrantRequest) error {
	switch {
	case r.GetID() == 0:
		return rpctypes.ErrGRPCLeaseNotFound // etcd's answer to what its servers never propose
	case r.TTL > MaxLeaseTTL:
		return rpctypes.ErrGRPCLeaseTTLTooLarge
	default:
		return nil
	}
}

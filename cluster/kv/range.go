package kv

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// found is a key that a range matched; kv is nil until its value is wanted.
type found struct {
	key []byte
	meta
	kv *mvccpb.KeyValue
}

// rangeKeys answers a range request. Values are read only for what is returned,
// or to sort by them.
func (v view) rangeKeys(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if err := v.checkRevision(r.Revision); err != nil {
		return nil, err
	}
	response := &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: v.revision}}
	keep := keepLimit(r)
	var keys []found
	err := v.each(ctx, spanOf(r.Key, r.RangeEnd), r.Revision, func(key []byte, m meta) error {
		response.Count++ // of all keys: neither limit nor filters change it
		if int64(len(keys)) < keep && passes(r, m) {
			keys = append(keys, found{key: bytes.Clone(key), meta: m})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := v.sort(ctx, r, keys); err != nil {
		return nil, err
	}
	if r.Limit > 0 && int64(len(keys)) > r.Limit {
		keys = keys[:r.Limit]
		response.More = true
	}
	if err := v.load(ctx, keys, !r.KeysOnly); err != nil {
		return nil, err
	}
	if len(keys) > 0 {
		response.Kvs = make([]*mvccpb.KeyValue, len(keys))
	}
	for i, k := range keys {
		if response.Kvs[i] = k.kv; r.KeysOnly {
			response.Kvs[i] = k.keyValue(k.key, nil)
		}
	}
	return response, nil
}

// byKey reports whether the answer's order is the one in which keys are stored.
func byKey(r *pb.RangeRequest) bool {
	return r.SortTarget == pb.RangeRequest_KEY && r.SortOrder != pb.RangeRequest_DESCEND
}

func filters(r *pb.RangeRequest) bool {
	return r.MinModRevision != 0 || r.MaxModRevision != 0 || r.MinCreateRevision != 0 || r.MaxCreateRevision != 0
}

// keepLimit is how many keys are needed to answer: one more than the limit shows
// that there are more. All are needed to find the first ones in another order.
// A target without an order is etcd's odd case: it sorts only the first ones by key.
func keepLimit(r *pb.RangeRequest) int64 {
	unordered := r.SortOrder == pb.RangeRequest_NONE && !filters(r)
	switch {
	case r.CountOnly:
		return 0
	case r.Limit <= 0 || r.Limit == math.MaxInt64:
		return math.MaxInt64
	case byKey(r) || unordered:
		return r.Limit + 1
	default:
		return math.MaxInt64
	}
}

func passes(r *pb.RangeRequest, m meta) bool {
	return (r.MinModRevision == 0 || m.mod.main >= r.MinModRevision) &&
		(r.MaxModRevision == 0 || m.mod.main <= r.MaxModRevision) &&
		(r.MinCreateRevision == 0 || m.create >= r.MinCreateRevision) &&
		(r.MaxCreateRevision == 0 || m.create <= r.MaxCreateRevision)
}

// sort puts keys into the order asked for; equal ones stay in the order of keys.
func (v view) sort(ctx context.Context, r *pb.RangeRequest, keys []found) error {
	var compare func(a, b found) int
	switch {
	case byKey(r):
		return nil
	case r.SortTarget == pb.RangeRequest_KEY:
		slices.Reverse(keys)
		return nil
	case r.SortTarget == pb.RangeRequest_VERSION:
		compare = func(a, b found) int { return cmp.Compare(a.version, b.version) }
	case r.SortTarget == pb.RangeRequest_CREATE:
		compare = func(a, b found) int { return cmp.Compare(a.create, b.create) }
	case r.SortTarget == pb.RangeRequest_MOD:
		compare = func(a, b found) int { return cmp.Compare(a.mod.main, b.mod.main) }
	default:
		if err := v.load(ctx, keys, true); err != nil {
			return err
		}
		compare = func(a, b found) int { return bytes.Compare(a.kv.Value, b.kv.Value) }
	}
	if r.SortOrder == pb.RangeRequest_DESCEND {
		ascending := compare
		compare = func(a, b found) int { return ascending(b, a) }
	}
	slices.SortStableFunc(keys, compare)
	return nil
}

// load reads the values that are wanted and were not read yet.
func (v view) load(ctx context.Context, keys []found, wanted bool) error {
	if len(keys) > 1 {
		v.recent = nil // a scan finds few of its keys there, and asks for each
	}
	for i := range keys {
		if !wanted || keys[i].kv != nil {
			continue
		}
		if err := stillWanted(ctx, i); err != nil {
			return err
		}
		kv, err := v.keyValue(keys[i].key, keys[i].meta)
		if err != nil {
			return err
		}
		keys[i].kv = kv
	}
	return nil
}

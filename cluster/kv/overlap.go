package kv

import (
	"bytes"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// writes is what a list of operations may write.
type writes struct {
	puts    map[string]bool
	deletes spans
}

// checkOverlap refuses a list of operations that may put a key twice, or put it
// and delete it, as a key has one change in a revision. What the two branches of a
// nested transaction do never happens together.
//
// Deletions may overlap. As in etcd, a put of one nested transaction is held
// against the deletions of those before it, not of those behind it.
func checkOverlap(ops []*pb.RequestOp) (writes, error) {
	all := writes{puts: make(map[string]bool)}
	for _, op := range ops {
		if d := op.GetRequestDeleteRange(); d != nil {
			all.deletes.add(spanOf(d.Key, d.RangeEnd))
		}
	}
	for _, op := range ops {
		if nested := op.GetRequestTxn(); nested != nil {
			if err := all.addBranches(nested); err != nil {
				return writes{}, err
			}
		}
	}
	for _, op := range ops {
		if p := op.GetRequestPut(); p != nil {
			if err := all.addPut(string(p.Key)); err != nil {
				return writes{}, err
			}
		}
	}
	return all, nil
}

func (w *writes) addBranches(r *pb.TxnRequest) error {
	success, err := checkOverlap(r.Success)
	if err != nil {
		return err
	}
	failure, err := checkOverlap(r.Failure)
	if err != nil {
		return err
	}
	for key := range success.puts {
		if err := w.addPut(key); err != nil {
			return err
		}
	}
	for key := range failure.puts {
		if success.puts[key] {
			continue
		}
		if err := w.addPut(key); err != nil {
			return err
		}
	}
	for _, s := range slices.Concat(success.deletes, failure.deletes) {
		w.deletes.add(s)
	}
	return nil
}

func (w *writes) addPut(key string) error {
	if w.puts[key] || w.deletes.cover([]byte(key)) {
		return rpctypes.ErrGRPCDuplicateKey
	}
	w.puts[key] = true
	return nil
}

// spans are disjoint and in order.
type spans []span

func (s *spans) add(added span) {
	if added.empty() {
		return
	}
	// from and to enclose what overlaps added or touches it.
	from, _ := slices.BinarySearchFunc(*s, added.start, func(old span, at []byte) int {
		if old.end == nil {
			return +1
		}
		return bytes.Compare(old.end, at)
	})
	to := from
	for ; to < len(*s) && (added.end == nil || bytes.Compare((*s)[to].start, added.end) <= 0); to++ {
		old := (*s)[to]
		if bytes.Compare(old.start, added.start) < 0 {
			added.start = old.start
		}
		if added.end != nil && (old.end == nil || bytes.Compare(old.end, added.end) > 0) {
			added.end = old.end
		}
	}
	added.single = false
	*s = slices.Replace(*s, from, to, added)
}

func (s spans) cover(key []byte) bool {
	i, found := slices.BinarySearchFunc(s, key, func(old span, key []byte) int {
		return bytes.Compare(old.start, key)
	})
	if found {
		return true
	}
	return i > 0 && (s[i-1].end == nil || bytes.Compare(key, s[i-1].end) < 0)
}

package kv_test

import (
	"bytes"
	"context"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

var (
	anyKey   = rapid.SampledFrom([]string{"a", "a\x00", "a\x00\xff", "ab", "b", "\x00", "\xff", "\xff\xff"})
	anyEnd   = rapid.OneOf(rapid.Just(""), anyKey, rapid.Just("c"))
	anyValue = rapid.SampledFrom([]string{"", "x", "y", "zz"})
	anyBool  = rapid.Bool()
)

// drawRange draws a range at revisions around those that there are.
func drawRange(t *rapid.T, m *model) *pb.RangeRequest {
	r := &pb.RangeRequest{
		Key:       []byte(anyKey.Draw(t, "key")),
		RangeEnd:  []byte(anyEnd.Draw(t, "range_end")),
		KeysOnly:  anyBool.Draw(t, "keys_only"),
		CountOnly: rapid.IntRange(0, 4).Draw(t, "count_only") == 0,
		SortOrder: pb.RangeRequest_SortOrder(rapid.IntRange(0, 2).Draw(t, "order")),
	}
	rev := rapid.Int64Range(-1, m.revision()+1)
	if anyBool.Draw(t, "in the past") {
		r.Revision = rev.Draw(t, "revision")
	}
	if anyBool.Draw(t, "filtered") {
		r.MinModRevision = max(rev.Draw(t, "min_mod"), 0)
		r.MaxCreateRevision = max(rev.Draw(t, "max_create"), 0)
	}
	if r.SortOrder != pb.RangeRequest_NONE {
		r.SortTarget = pb.RangeRequest_SortTarget(rapid.IntRange(0, 4).Draw(t, "target"))
	}
	r.Limit = rapid.Int64Range(0, 3).Draw(t, "limit")
	return r
}

func drawPut(t *rapid.T) *pb.PutRequest {
	r := &pb.PutRequest{
		Key:         []byte(anyKey.Draw(t, "key")),
		Value:       []byte(anyValue.Draw(t, "value")),
		PrevKv:      anyBool.Draw(t, "prev_kv"),
		IgnoreValue: rapid.IntRange(0, 5).Draw(t, "ignore_value") == 0,
	}
	if r.IgnoreValue {
		r.Value = nil
	}
	switch rapid.IntRange(0, 5).Draw(t, "leased") {
	case 0:
		r.IgnoreLease = true
	case 1, 2:
		r.Lease = anyLease.Draw(t, "lease")
	}
	return r
}

func drawDelete(t *rapid.T) *pb.DeleteRangeRequest {
	return &pb.DeleteRangeRequest{
		Key:      []byte(anyKey.Draw(t, "key")),
		RangeEnd: []byte(anyEnd.Draw(t, "range_end")),
		PrevKv:   anyBool.Draw(t, "prev_kv"),
	}
}

func drawCompare(t *rapid.T, m *model) *pb.Compare {
	c := &pb.Compare{
		Key:    []byte(anyKey.Draw(t, "key")),
		Result: pb.Compare_CompareResult(rapid.IntRange(0, 3).Draw(t, "result")),
	}
	if anyBool.Draw(t, "of a range") {
		c.RangeEnd = []byte(anyEnd.Draw(t, "range_end"))
	}
	switch rapid.IntRange(0, 3).Draw(t, "target") {
	case 0:
		c.Target = pb.Compare_VERSION
		c.TargetUnion = &pb.Compare_Version{Version: rapid.Int64Range(0, 2).Draw(t, "version")}
	case 1:
		c.Target = pb.Compare_MOD
		c.TargetUnion = &pb.Compare_ModRevision{ModRevision: rapid.Int64Range(0, m.revision()).Draw(t, "mod")}
	case 2:
		c.Target = pb.Compare_LEASE
		c.TargetUnion = &pb.Compare_Lease{Lease: rapid.Int64Range(0, 3).Draw(t, "lease")}
	default:
		c.Target = pb.Compare_VALUE
		c.TargetUnion = &pb.Compare_Value{Value: []byte(anyValue.Draw(t, "value"))}
	}
	return c
}

func drawTxn(t *rapid.T, m *model, depth int) *pb.TxnRequest {
	r := &pb.TxnRequest{}
	for range rapid.IntRange(0, 2).Draw(t, "compares") {
		r.Compare = append(r.Compare, drawCompare(t, m))
	}
	for _, list := range []*[]*pb.RequestOp{&r.Success, &r.Failure} {
		for range rapid.IntRange(0, 3).Draw(t, "ops") {
			var op *pb.RequestOp
			switch kind := rapid.IntRange(0, 6).Draw(t, "kind"); {
			case kind < 3:
				op = &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: drawPut(t)}}
			case kind < 4:
				op = &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: drawDelete(t)}}
			case kind < 6 || depth == 0:
				op = opRange(drawRange(t, m))
			default:
				op = opTxn(drawTxn(t, m, depth-1))
			}
			*list = append(*list, op)
		}
	}
	return r
}

func drawOperation(t *rapid.T, m *model) *pb.InternalRaftRequest {
	switch kind := rapid.IntRange(0, 14).Draw(t, "operation"); {
	case kind < 5:
		return &pb.InternalRaftRequest{Put: drawPut(t)}
	case kind < 6:
		return &pb.InternalRaftRequest{DeleteRange: drawDelete(t)}
	case kind < 9:
		return txn(drawTxn(t, m, 2))
	case kind < 14:
		return drawLease(t, m)
	default:
		return compact(rapid.Int64Range(m.compacted, m.revision()+1).Draw(t, "compaction"))
	}
}

func sameAnswer(t *rapid.T, asked, got, want proto.Message, err, wantErr error) {
	if err != wantErr {
		t.Fatalf("%v: error %v, want %v", asked, err, wantErr)
	}
	if err == nil && !proto.Equal(got, want) {
		t.Fatalf("%v: answers\n%v, want\n%v", asked, got, want)
	}
}

// The store answers as the model does, to every operation and every range at any
// revision. A second store with other slots, flushes and restarts, whose compactor
// never runs, comes to the same state.
func TestAgainstAModel(t *testing.T) {
	refused := map[error]int{}
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel()
		one, two := newNode(t), newNode(t)
		defer one.close()
		defer func() { two.close() }()
		two.StopCompactor()
		var waiting [][]byte // for two's next slot
		rt.Repeat(map[string]func(*rapid.T){
			"operations": func(t *rapid.T) {
				for range rapid.IntRange(1, 8).Draw(t, "operations") {
					op := drawOperation(t, m)
					got, err := one.do(op)
					waiting = append(waiting, must(proto.Marshal(op)))
					want, wantErr := proto.Message(nil), kv.Check(op, kv.Limits{})
					if wantErr == nil {
						want, wantErr = m.execute(op)
					}
					sameAnswer(t, op, got, want, err, wantErr)
					refused[err]++
				}
				sameLeases(t, one, m)
				if one.Revision() != m.revision() || one.CompactRevision() != m.compacted {
					t.Fatalf("revision %d, compacted to %d, want %d, %d", one.Revision(), one.CompactRevision(), m.revision(), m.compacted)
				}
			},
			"range": func(t *rapid.T) {
				r := drawRange(t, m)
				got, err := one.Range(context.Background(), r)
				want, wantErr := m.begin().rangeKeys(r)
				sameAnswer(t, r, got, want, err, wantErr)
			},
			"slot": func(*rapid.T) {
				two.executeBytes(waiting, nil)
				waiting = nil
			},
			"flush": func(*rapid.T) { two.flush() },
			"restart": func(*rapid.T) {
				fs := two.fs
				two.flush()
				two.close()
				two = openNode(t, fs)
				two.StopCompactor()
			},
		})
		two.executeBytes(waiting, nil)
		one.sweep()
		three := newNode(t)
		defer three.close()
		if err := three.Restore(bytes.NewReader(two.snapshot())); err != nil {
			rt.Fatal(err)
		}
		sameState(t, three, two)
		sameLeases(rt, one, m)
		sameLeases(rt, two, m)
		sameLeases(rt, three, m)
		for rev := max(m.compacted, 1); rev <= m.revision(); rev++ {
			if one.hash(rev) != two.hash(rev) {
				rt.Fatalf("hashes at %d of %d differ", rev, m.revision())
			}
		}
	})
	t.Logf("errors by kind: %v", refused)
	if refused[nil] == 0 || len(refused) < 4 || refused[kv.ErrLeaseRenewed] == 0 {
		t.Errorf("the operations came to %v: too few kinds", refused)
	}
}

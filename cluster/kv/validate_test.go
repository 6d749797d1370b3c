package kv_test

import (
	"bytes"
	"slices"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

func ops(ops ...*pb.RequestOp) []*pb.RequestOp { return ops }

func TestCheckTxnOverlap(t *testing.T) {
	nested := func(success, failure []*pb.RequestOp) *pb.RequestOp {
		return opTxn(&pb.TxnRequest{Success: success, Failure: failure})
	}
	a, b := opPut("a", ""), opPut("b", "")
	tests := []struct {
		name string
		ops  []*pb.RequestOp
		bad  bool
	}{
		{"two keys", ops(a, b), false},
		{"a key twice", ops(a, a), true},
		{"a put and a deletion of its key", ops(a, opDelete("a", "")), true},
		{"a deletion and then a put of its key", ops(opDelete("a", ""), a), true},
		{"a put inside of a deleted range", ops(b, opDelete("a", "c")), true},
		{"a put at the end of a deleted range", ops(b, opDelete("a", "b")), false},
		{"a put at the start of a deleted range", ops(a, opDelete("a", "b")), true},
		{"a put behind where all is deleted", ops(b, opDelete("a", "\x00")), true},
		{"a put before where all is deleted", ops(a, opDelete("b", "\x00")), false},
		{"a put in no keys", ops(b, opDelete("c", "a")), false},
		{"overlapping deletions", ops(opDelete("a", "c"), opDelete("b", "d"), opDelete("b", "")), false},
		{"a put in the gap of deletions", ops(opDelete("a", "b"), b, opDelete("c", "d")), false},
		{"a put in the second of merged deletions", ops(opDelete("a", "c"), opDelete("b", "e"), opPut("d", "")), true},
		{"a key and the same nested", ops(a, nested(ops(a), nil)), true},
		{"a key and the same nested in the other branch", ops(a, nested(nil, ops(a))), true},
		{"both branches of one", ops(nested(ops(a), ops(a))), false},
		{"a branch of each of two", ops(nested(ops(a), nil), nested(nil, ops(a))), true},
		{"twice in a branch", ops(nested(nil, ops(a, a))), true},
		{"put and deleted in a branch", ops(nested(ops(a, opDelete("a", "")), nil)), true},
		{"put in one branch, deleted in the other", ops(nested(ops(a), ops(opDelete("a", "")))), false},
		{"put here, deleted nested", ops(a, nested(ops(opDelete("a", "")), nil)), true},
		{"deleted here, put nested", ops(nested(nil, ops(a)), opDelete("a", "")), true},
		{"deleted nested, then put nested", ops(nested(ops(opDelete("a", "")), nil), nested(ops(a), nil)), true},
		{"put nested, then deleted nested, as etcd has it", ops(nested(ops(a), nil), nested(ops(opDelete("a", "")), nil)), false},
		{"two levels down", ops(a, nested(ops(nested(ops(a), nil)), nil)), true},
	}
	for _, tt := range tests {
		want := error(nil)
		if tt.bad {
			want = rpctypes.ErrGRPCDuplicateKey
		}
		for name, r := range map[string]*pb.TxnRequest{"success": {Success: tt.ops}, "failure": {Failure: tt.ops}} {
			if err := kv.CheckTxn(r, 0); err != want {
				t.Errorf("%s, in %s: %v, want %v", tt.name, name, err, want)
			}
		}
	}
}

// The deletions of a transaction are kept as few disjoint ranges; what they cover
// must be what each of them covers.
func TestOverlapWithManyDeletions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringOfN(rapid.RuneFrom([]rune("abc")), 1, 2, -1)
		end := rapid.OneOf(key, rapid.SampledFrom([]string{"", "\x00"}))
		var list []*pb.RequestOp
		put := key.Draw(t, "put")
		covered := false
		for range rapid.IntRange(0, 6).Draw(t, "deletions") {
			from, to := key.Draw(t, "key"), end.Draw(t, "end")
			list = append(list, opDelete(from, to))
			switch to {
			case "":
				covered = covered || put == from
			case "\x00":
				covered = covered || put >= from
			default:
				covered = covered || put >= from && put < to
			}
		}
		err := kv.CheckTxn(&pb.TxnRequest{Success: append(list, opPut(put, ""))}, 0)
		if (err != nil) != covered {
			t.Fatalf("put %q: error %v, covered = %t", put, err, covered)
		}
	})
}

func TestCheckTxnCountsOperations(t *testing.T) {
	many := func(n int) []*pb.RequestOp {
		return slices.Repeat(ops(opRange(requestKey("a"))), n)
	}
	nest := func(n int, op ...*pb.RequestOp) *pb.TxnRequest {
		return &pb.TxnRequest{Success: append(many(n-1), opTxn(&pb.TxnRequest{Success: op}))}
	}
	compares := &pb.TxnRequest{Compare: slices.Repeat([]*pb.Compare{{Key: []byte("a")}}, 5)}
	tests := []struct {
		name string
		r    *pb.TxnRequest
		max  int
		want error
	}{
		{"as many as allowed", &pb.TxnRequest{Success: many(4), Failure: many(4)}, 4, nil},
		{"one more", &pb.TxnRequest{Failure: many(5)}, 4, rpctypes.ErrGRPCTooManyOps},
		{"comparisons", compares, 4, rpctypes.ErrGRPCTooManyOps},
		{"nested ones count on top", nest(2, many(2)...), 4, nil},
		{"one more nested", nest(2, many(3)...), 4, rpctypes.ErrGRPCTooManyOps},
		{"no limit", &pb.TxnRequest{Success: many(500)}, 0, nil},
	}
	for _, tt := range tests {
		if err := kv.CheckTxn(tt.r, tt.max); err != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestCheck(t *testing.T) {
	big := put("a", string(bytes.Repeat([]byte("x"), 100)))
	size := proto.Size(big)
	tests := []struct {
		name   string
		op     *pb.InternalRaftRequest
		limits kv.Limits
		want   error
	}{
		{"a put", put("a", ""), kv.Limits{}, nil},
		{"as large as allowed", big, kv.Limits{Bytes: size}, nil},
		{"larger", big, kv.Limits{Bytes: size - 1}, rpctypes.ErrGRPCRequestTooLarge},
		{"too many operations", txn(&pb.TxnRequest{Success: ops(opPut("a", ""), opPut("b", ""))}), kv.Limits{Ops: 1}, rpctypes.ErrGRPCTooManyOps},
		{"no key", del("", ""), kv.Limits{}, rpctypes.ErrGRPCEmptyKey},
		{"a comparison without a key", txn(&pb.TxnRequest{Compare: []*pb.Compare{{}}}), kv.Limits{}, rpctypes.ErrGRPCEmptyKey},
		{"no command", &pb.InternalRaftRequest{ID: 1, Header: &pb.RequestHeader{ID: 1}}, kv.Limits{}, kv.ErrMalformed},
		{"two commands", &pb.InternalRaftRequest{Put: put("a", "").Put, Compaction: compact(1).Compaction}, kv.Limits{}, kv.ErrMalformed},
		{"a read", &pb.InternalRaftRequest{Range: requestKey("a")}, kv.Limits{}, kv.ErrMalformed},
		{"a command of another service", &pb.InternalRaftRequest{AuthEnable: &pb.AuthEnableRequest{}}, kv.Limits{}, kv.ErrMalformed},
		{"a header beside a command", &pb.InternalRaftRequest{Header: &pb.RequestHeader{ID: 1}, Put: put("a", "").Put}, kv.Limits{}, nil},
	}
	for _, tt := range tests {
		if err := kv.Check(tt.op, tt.limits); err != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// Whatever a peer proposes has a result, the same one on every replica.
func FuzzApply(f *testing.F) {
	deep := &pb.TxnRequest{Success: ops(opPut("deep", "1"))}
	for range 2000 {
		deep = &pb.TxnRequest{Success: ops(opTxn(deep))}
	}
	for _, op := range []*pb.InternalRaftRequest{
		put("a", "1"), del("a", "\x00"), compact(2), compact(-1), txn(deep), {},
		txn(&pb.TxnRequest{Success: ops(&pb.RequestOp{}, opRange(&pb.RangeRequest{}))}),
		txn(&pb.TxnRequest{Compare: []*pb.Compare{{Key: []byte("a"), Target: 77, Result: 78}}, Failure: ops(opDelete("a", "b"))}),
	} {
		f.Add(must(proto.Marshal(op)))
	}
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff})
	f.Add([]byte("\x22\x7f")) // a put that says it is longer
	f.Fuzz(func(t *testing.T, op []byte) {
		one, two := newNode(t), newNode(t)
		for _, n := range []*node{one, two} {
			n.put("a", "1")
			n.put("b", "1")
		}
		results := one.executeBytes([][]byte{op, op}, nil)
		first, second := two.executeBytes([][]byte{op}, nil), two.executeBytes([][]byte{op}, nil)
		if !bytes.Equal(results[0], first[0]) || !bytes.Equal(results[1], second[0]) {
			t.Errorf("results %q, and in slots of their own %q, %q", results, first, second)
		}
		if one.hash(0) != two.hash(0) || one.Revision() != two.Revision() {
			t.Error("two replicas differ")
		}
		response, err := kv.DecodeResult(results[0])
		if (response == nil) == (err == nil) {
			t.Errorf("the result decodes to %v, %v", response, err)
		}
	})
}

func TestDecodeResultOfNonsense(t *testing.T) {
	for _, result := range [][]byte{nil, {99}, {1, 0xff}} {
		if response, err := kv.DecodeResult(result); err == nil {
			t.Errorf("%x decodes to %v", result, response)
		}
	}
	if _, err := kv.DecodeResult([]byte("\x00a text of a later version")); err == nil {
		t.Error("an unknown error is none")
	}
}

package kv_test

import (
	"context"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// compareKey compares the keys from key to before to.
func compareKey(target pb.Compare_CompareTarget, key, to string) *pb.Compare {
	return &pb.Compare{Key: []byte(key), RangeEnd: []byte(to), Target: target}
}

func version(key, to string, v int64) *pb.Compare {
	c := compareKey(pb.Compare_VERSION, key, to)
	c.TargetUnion = &pb.Compare_Version{Version: v}
	return c
}

func create(key string, v int64) *pb.Compare {
	c := compareKey(pb.Compare_CREATE, key, "")
	c.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: v}
	return c
}

func mod(key, to string, v int64) *pb.Compare {
	c := compareKey(pb.Compare_MOD, key, to)
	c.TargetUnion = &pb.Compare_ModRevision{ModRevision: v}
	return c
}

func lease(key string, v int64) *pb.Compare {
	c := compareKey(pb.Compare_LEASE, key, "")
	c.TargetUnion = &pb.Compare_Lease{Lease: v}
	return c
}

func value(key, v string) *pb.Compare {
	c := compareKey(pb.Compare_VALUE, key, "")
	c.TargetUnion = &pb.Compare_Value{Value: []byte(v)}
	return c
}

func TestCompare(t *testing.T) {
	// a=1 2/2/1, b=5 3/4/2
	const less, equal, greater = 1, 2, 4 // how what is stored compares
	tests := []struct {
		name string
		c    *pb.Compare
		want int
	}{
		{"version below", version("b", "", 3), less},
		{"version same", version("b", "", 2), equal},
		{"version above", version("b", "", 1), greater},
		{"create below", create("b", 4), less},
		{"create same", create("b", 3), equal},
		{"mod same", mod("b", "", 4), equal},
		{"mod above", mod("b", "", 3), greater},
		{"lease same", lease("b", 0), equal},
		{"lease below", lease("b", 1), less},
		{"value below", value("b", "6"), less},
		{"value same", value("b", "5"), equal},
		{"value above", value("b", "40"), greater},
		{"a missing key has version 0", version("x", "", 0), equal},
		{"a missing key has create revision 0", create("x", 1), less},
		{"a missing key has mod revision 0", mod("x", "", 0), equal},
		{"a union of another target counts as 0", &pb.Compare{Key: []byte("b"), Target: pb.Compare_VERSION, TargetUnion: &pb.Compare_ModRevision{ModRevision: 2}}, greater},
		{"a range, all above", version("a", "c", 0), greater},
		{"a range, all below", mod("a", "c", 5), less},
		{"an empty range is a missing key", version("x", "\x00", 0), equal},
	}
	n := newNode(t)
	n.put("a", "1")
	n.put("b", "4")
	n.put("b", "5")
	holds := func(c *pb.Compare, result pb.Compare_CompareResult) bool {
		c.Result = result
		response, err := n.ReadTxn(context.Background(), &pb.TxnRequest{Compare: []*pb.Compare{c}})
		if err != nil {
			t.Fatal(err)
		}
		return response.Succeeded
	}
	for _, tt := range tests {
		for result, bits := range map[pb.Compare_CompareResult]int{
			pb.Compare_LESS: less, pb.Compare_EQUAL: equal, pb.Compare_GREATER: greater, pb.Compare_NOT_EQUAL: less | greater,
		} {
			if got, want := holds(tt.c, result), tt.want&bits != 0; got != want {
				t.Errorf("%s: %v is %t, want %t", tt.name, result, got, want)
			}
		}
	}
	for result := range pb.Compare_CompareResult(4) {
		if holds(value("x", ""), result) {
			t.Errorf("the value of a missing key is %v something", result)
		}
	}
	if holds(version("a", "c", 1), pb.Compare_EQUAL) || holds(version("a", "c", 1), pb.Compare_NOT_EQUAL) {
		t.Error("a comparison holds for a range although it doesn't for one of its keys")
	}
}

func TestTxnReadsItsOwnWritesInOrder(t *testing.T) {
	n := newNode(t)
	n.put("a", "1")
	response := n.mustDo(txn(&pb.TxnRequest{Success: []*pb.RequestOp{
		opRange(requestKey("a")),
		opPut("b", "1"),
		opRange(&pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte{0}}),
		opDelete("a", ""),
		opRange(&pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte{0}}),
		opRange(&pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte{0}, Revision: 2}),
	}})).(*pb.TxnResponse)
	reads := []struct {
		op   int
		want string
		rev  int64
	}{
		{0, "a=1 2/2/1, ", 2},
		{2, "a=1 2/2/1, b=1 3/3/1, ", 3},
		{4, "b=1 3/3/1, ", 3},
		{5, "a=1 2/2/1, ", 3},
	}
	for _, read := range reads {
		r := response.Responses[read.op].GetResponseRange()
		if got := briefs(r.Kvs); got != read.want || r.Header.Revision != read.rev {
			t.Errorf("operation %d reads %q at %d, want %q at %d", read.op, got, r.Header.Revision, read.want, read.rev)
		}
	}
	if got := response.Responses[1].GetResponsePut().Header.Revision; got != 3 {
		t.Errorf("the put's revision is %d, want 3", got)
	}
	if d := response.Responses[3].GetResponseDeleteRange(); d.Deleted != 1 || d.Header.Revision != 3 {
		t.Errorf("the deletion answers %v", d)
	}
	if response.Header.Revision != 3 || !response.Succeeded {
		t.Errorf("the transaction answers %v", response)
	}
	if got, want := briefs(n.all(0).Kvs), "b=1 3/3/1, "; got != want {
		t.Errorf("after it there is %s, want %s", got, want)
	}
}

// All comparisons see the state before the transaction, as in etcd.
func TestNestedTxnComparesBeforeAnyWrite(t *testing.T) {
	n := newNode(t)
	absent := []*pb.Compare{{Key: []byte("a"), Target: pb.Compare_VERSION, TargetUnion: &pb.Compare_Version{Version: 0}}}
	nested := func(value string) *pb.TxnRequest {
		return &pb.TxnRequest{
			Compare: absent,
			Success: []*pb.RequestOp{opPut(value, "was absent")},
			Failure: []*pb.RequestOp{opPut(value, "was there")},
		}
	}
	response := n.mustDo(txn(&pb.TxnRequest{Success: []*pb.RequestOp{
		opPut("a", "1"), opTxn(nested("x")), opTxn(&pb.TxnRequest{Success: []*pb.RequestOp{opTxn(nested("y"))}}),
	}})).(*pb.TxnResponse)
	if !response.Responses[1].GetResponseTxn().Succeeded {
		t.Error("the nested comparison has seen the write before it")
	}
	want := "a=1 2/2/1, x=was absent 2/2/1, y=was absent 2/2/1, "
	if got := briefs(n.all(0).Kvs); got != want {
		t.Errorf("there is %s, want %s", got, want)
	}
	n.mustDo(txn(nested("x")))
	if got := n.get(requestKey("x")).Kvs[0].Value; string(got) != "was there" {
		t.Errorf("the failing transaction wrote %s", got)
	}
}

// A transaction that is refused has done nothing.
func TestTxnIsRefusedAsAWhole(t *testing.T) {
	ignoring := func(key string) *pb.RequestOp {
		op := opPut(key, "")
		op.GetRequestPut().IgnoreValue = true
		return op
	}
	leased := opPut("c", "1")
	leased.GetRequestPut().Lease = 7
	tests := []struct {
		name string
		op   *pb.RequestOp
		want error
	}{
		{"a future revision", opRange(&pb.RangeRequest{Key: []byte("a"), Revision: 4}), rpctypes.ErrGRPCFutureRev},
		{"the transaction's own revision", opRange(&pb.RangeRequest{Key: []byte("a"), Revision: 4}), rpctypes.ErrGRPCFutureRev},
		{"a compacted revision", opRange(&pb.RangeRequest{Key: []byte("a"), Revision: 1}), rpctypes.ErrGRPCCompacted},
		{"ignore_value of a missing key", ignoring("x"), rpctypes.ErrGRPCKeyNotFound},
		{"a lease", leased, rpctypes.ErrGRPCLeaseNotFound},
		{"a key twice", opPut("first", ""), rpctypes.ErrGRPCDuplicateKey},
		{"no key", opDelete("", ""), rpctypes.ErrGRPCEmptyKey},
		{"an operation that is none", &pb.RequestOp{}, rpctypes.ErrGRPCKeyNotFound},
		{"an unknown order", opRange(&pb.RangeRequest{Key: []byte("a"), SortOrder: 9}), rpctypes.ErrGRPCInvalidSortOption},
	}
	for _, tt := range tests {
		for _, op := range []*pb.RequestOp{tt.op, opTxn(&pb.TxnRequest{Success: []*pb.RequestOp{tt.op}})} {
			n := newNode(t)
			n.put("a", "1")
			n.put("b", "1")
			n.compact(2)
			before := n.hash(0)
			_, err := n.do(txn(&pb.TxnRequest{Success: []*pb.RequestOp{opPut("first", "1"), op}}))
			if err != tt.want {
				t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
			}
			if n.Revision() != 3 || n.hash(0) != before {
				t.Errorf("%s: it has changed the state, to revision %d", tt.name, n.Revision())
			}
		}
	}
}

func TestReadTxn(t *testing.T) {
	n := newNode(t)
	n.put("a", "1")
	read := &pb.TxnRequest{Success: []*pb.RequestOp{
		opRange(requestKey("a")),
		opTxn(&pb.TxnRequest{Success: []*pb.RequestOp{opRange(requestKey("a"))}}),
	}}
	response, err := n.ReadTxn(context.Background(), read)
	if err != nil {
		t.Fatal(err)
	}
	if got := briefs(response.Responses[0].GetResponseRange().Kvs); got != "a=1 2/2/1, " || response.Header.Revision != 2 {
		t.Errorf("got %s at %d", got, response.Header.Revision)
	}
	if got := briefs(response.Responses[1].GetResponseTxn().Responses[0].GetResponseRange().Kvs); got != "a=1 2/2/1, " {
		t.Errorf("nested: got %s", got)
	}
	write := &pb.TxnRequest{Failure: []*pb.RequestOp{opTxn(&pb.TxnRequest{Success: []*pb.RequestOp{opDelete("a", "")}})}}
	if _, err := n.ReadTxn(context.Background(), write); err != kv.ErrWrites {
		t.Errorf("a transaction that may write: error %v, want %v", err, kv.ErrWrites)
	}
	if kv.IsSerializable(read) {
		t.Error("reads are serializable although none asks for it")
	}
}

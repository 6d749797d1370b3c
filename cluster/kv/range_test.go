package kv_test

import (
	"bytes"
	"context"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// rangeNode has revisions 2 to 8:
//
//	a=1 2/2/1, b=9 3/7/2, ba=5 4/4/1, c=5 5/8/3; d was there from 6 on, until 9.
func rangeNode(t *testing.T) *node {
	n := newNode(t)
	n.put("a", "1")
	n.put("b", "8")
	n.put("ba", "5")
	n.put("c", "2")
	n.mustDo(txn(&pb.TxnRequest{Success: []*pb.RequestOp{opPut("c", "3"), opPut("d", "0")}}))
	n.put("b", "9")
	n.put("c", "5")
	n.delete("d", "")
	return n
}

func everything(r *pb.RangeRequest) *pb.RangeRequest {
	r.Key, r.RangeEnd = []byte{0}, []byte{0}
	return r
}

// What rangeNode has at revision 9.
const (
	a  = "a=1 2/2/1, "
	b  = "b=9 3/7/2, "
	ba = "ba=5 4/4/1, "
	c  = "c=5 5/8/3, "
)

type rangeTest struct {
	name  string
	r     *pb.RangeRequest
	want  string
	more  bool
	count int64
}

func TestRange(t *testing.T) {
	testRanges(t, []rangeTest{
		{"a key", requestKey("b"), b, false, 1},
		{"no such key", requestKey("x"), "", false, 0},
		{"a deleted key", requestKey("d"), "", false, 0},
		{"a range", &pb.RangeRequest{Key: []byte("b"), RangeEnd: []byte("c")}, b + ba, false, 2},
		{"a prefix", &pb.RangeRequest{Key: []byte("b"), RangeEnd: []byte("c")}, b + ba, false, 2},
		{"from a key on", &pb.RangeRequest{Key: []byte("ba"), RangeEnd: []byte{0}}, ba + c, false, 2},
		{"everything", everything(&pb.RangeRequest{}), a + b + ba + c, false, 4},
		{"a range that ends before it begins", &pb.RangeRequest{Key: []byte("c"), RangeEnd: []byte("a")}, "", false, 0},
		{"an empty range at a revision", &pb.RangeRequest{Key: []byte("c"), RangeEnd: []byte("a"), Revision: 5}, "", false, 0},

		{"limit", everything(&pb.RangeRequest{Limit: 2}), a + b, true, 4},
		{"a limit that just suffices", everything(&pb.RangeRequest{Limit: 4}), a + b + ba + c, false, 4},
		{"the greatest limit", everything(&pb.RangeRequest{Limit: 1<<63 - 1}), a + b + ba + c, false, 4},
		{"a negative limit", everything(&pb.RangeRequest{Limit: -1}), a + b + ba + c, false, 4},
		{"count only", everything(&pb.RangeRequest{CountOnly: true}), "", false, 4},
		{"count only with a limit", everything(&pb.RangeRequest{CountOnly: true, Limit: 1}), "", false, 4},
		{"keys only", &pb.RangeRequest{Key: []byte("b"), RangeEnd: []byte("c"), KeysOnly: true}, "b= 3/7/2, ba= 4/4/1, ", false, 2},
	})
}

func TestRangeOrders(t *testing.T) {
	testRanges(t, []rangeTest{
		{"descending", everything(&pb.RangeRequest{SortOrder: pb.RangeRequest_DESCEND}), c + ba + b + a, false, 4},
		{"descending with a limit", everything(&pb.RangeRequest{SortOrder: pb.RangeRequest_DESCEND, Limit: 1}), c, true, 4},
		{"by version", everything(&pb.RangeRequest{SortTarget: pb.RangeRequest_VERSION}), a + ba + b + c, false, 4},
		{"by version, descending", everything(&pb.RangeRequest{SortTarget: pb.RangeRequest_VERSION, SortOrder: pb.RangeRequest_DESCEND}), c + b + a + ba, false, 4},
		{"by mod revision", everything(&pb.RangeRequest{SortTarget: pb.RangeRequest_MOD, SortOrder: pb.RangeRequest_ASCEND}), a + ba + b + c, false, 4},
		{"by mod revision, the newest", everything(&pb.RangeRequest{SortTarget: pb.RangeRequest_MOD, SortOrder: pb.RangeRequest_DESCEND, Limit: 1}), c, true, 4},
		{"by create revision", everything(&pb.RangeRequest{SortTarget: pb.RangeRequest_CREATE, SortOrder: pb.RangeRequest_DESCEND}), c + ba + b + a, false, 4},
		{"by value", everything(&pb.RangeRequest{SortTarget: pb.RangeRequest_VALUE, SortOrder: pb.RangeRequest_ASCEND}), a + ba + c + b, false, 4},
		{"by value, keys only", everything(&pb.RangeRequest{SortTarget: pb.RangeRequest_VALUE, SortOrder: pb.RangeRequest_DESCEND, Limit: 1, KeysOnly: true}), "b= 3/7/2, ", true, 4},
		{"a target without an order sorts the first ones", everything(&pb.RangeRequest{SortTarget: pb.RangeRequest_VALUE, Limit: 2}), a + ba, true, 4},
	})
}

func TestRangeFilters(t *testing.T) {
	testRanges(t, []rangeTest{
		{"min mod revision", everything(&pb.RangeRequest{MinModRevision: 7}), b + c, false, 4},
		{"max mod revision", everything(&pb.RangeRequest{MaxModRevision: 4}), a + ba, false, 4},
		{"min create revision", everything(&pb.RangeRequest{MinCreateRevision: 4}), ba + c, false, 4},
		{"max create revision", everything(&pb.RangeRequest{MaxCreateRevision: 3}), a + b, false, 4},
		{"filters and a limit", everything(&pb.RangeRequest{MinModRevision: 3, MaxCreateRevision: 4, Limit: 1}), b, true, 4},
	})
}

func TestRangeInThePast(t *testing.T) {
	testRanges(t, []rangeTest{
		{"a revision", everything(&pb.RangeRequest{Revision: 6}), "a=1 2/2/1, b=8 3/3/1, ba=5 4/4/1, c=3 5/6/2, d=0 6/6/1, ", false, 5},
		{"a key at a revision", &pb.RangeRequest{Key: []byte("c"), Revision: 6}, "c=3 5/6/2, ", false, 1},
		{"a key before it was made", &pb.RangeRequest{Key: []byte("c"), Revision: 4}, "", false, 0},
		{"the last revision", everything(&pb.RangeRequest{Revision: 9}), a + b + ba + c, false, 4},
		{"the first revision", everything(&pb.RangeRequest{Revision: 1}), "", false, 0},
		{"a negative revision is the newest", everything(&pb.RangeRequest{Revision: -3}), a + b + ba + c, false, 4},
		{"a limit at a revision", everything(&pb.RangeRequest{Revision: 6, Limit: 1}), a, true, 5},
		{"counted at a revision", everything(&pb.RangeRequest{Revision: 6, CountOnly: true}), "", false, 5},
		{"a range at a revision", &pb.RangeRequest{Key: []byte("b"), RangeEnd: []byte("c"), Revision: 6}, "b=8 3/3/1, ba=5 4/4/1, ", false, 2},
	})
}

func testRanges(t *testing.T, tests []rangeTest) {
	n := rangeNode(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			response := n.get(tt.r)
			if got := briefs(response.Kvs); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if response.More != tt.more || response.Count != tt.count {
				t.Errorf("more = %t, count = %d, want %t, %d", response.More, response.Count, tt.more, tt.count)
			}
			if response.Header.Revision != 9 {
				t.Errorf("the header has revision %d, want the present one, 9", response.Header.Revision)
			}
		})
	}
}

func TestRangeErrors(t *testing.T) {
	n := rangeNode(t)
	n.compact(5)
	tests := []struct {
		name string
		r    *pb.RangeRequest
		want error
	}{
		{"no key", &pb.RangeRequest{}, rpctypes.ErrGRPCEmptyKey},
		{"a compacted revision", &pb.RangeRequest{Key: []byte("a"), Revision: 4}, rpctypes.ErrGRPCCompacted},
		{"the revision that was compacted to", &pb.RangeRequest{Key: []byte("a"), Revision: 5}, nil},
		{"a future revision", &pb.RangeRequest{Key: []byte("a"), Revision: 10}, rpctypes.ErrGRPCFutureRev},
		{"an unknown order", &pb.RangeRequest{Key: []byte("a"), SortOrder: 3}, rpctypes.ErrGRPCInvalidSortOption},
		{"an unknown target", &pb.RangeRequest{Key: []byte("a"), SortTarget: 5}, rpctypes.ErrGRPCInvalidSortOption},
	}
	for _, tt := range tests {
		if _, err := n.Range(context.Background(), tt.r); err != tt.want {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
	}
}

// Keys are any bytes, and one that goes on with a zero byte is another key.
func TestKeysAreBytes(t *testing.T) {
	n := newNode(t)
	keys := []string{"\x00", "\x00\x00", "\x00\x01", "\x00\xff", "a", "a\x00", "a\x00\x01", "a\x00\xff", "a\x01", "a\xff", "b", "\xff", "\xff\xff"}
	for _, key := range keys {
		n.put(key, key)
	}
	for rev := range int64(len(keys) + 2) {
		n.put("a", "later")
		for i, kv := range n.all(rev).Kvs {
			if string(kv.Key) != keys[i] {
				t.Fatalf("at revision %d key %d is %q, want %q", rev, i, kv.Key, keys[i])
			}
		}
	}
	for i, key := range keys {
		if got := n.get(&pb.RangeRequest{Key: []byte(key), Revision: int64(i) + 2}); got.Count != 1 || string(got.Kvs[0].Value) != key {
			t.Errorf("key %q at revision %d: %v", key, i+2, got.Kvs)
		}
		if got := n.get(&pb.RangeRequest{Key: []byte(key), RangeEnd: []byte{0}}); got.Count != int64(len(keys)-i) {
			t.Errorf("from key %q on there are %d keys, want %d", key, got.Count, len(keys)-i)
		}
	}
}

func TestQuery(t *testing.T) {
	n := rangeNode(t)
	raw, err := n.Query(must(proto.Marshal(requestKey("a"))))
	if err != nil {
		t.Fatal(err)
	}
	var response pb.RangeResponse
	if err := proto.Unmarshal(raw, &response); err != nil || briefs(response.Kvs) != "a=1 2/2/1, " {
		t.Errorf("got %v, %v", &response, err)
	}
	if _, err := n.Query([]byte{0xff}); err == nil {
		t.Error("no error for a query that is no range request")
	}
}

func TestRangeEndsWithItsContext(t *testing.T) {
	n := newNode(t)
	ops := make([]*pb.InternalRaftRequest, 3000)
	for i := range ops {
		ops[i] = put(string(rune('a'+i)), "")
	}
	n.execute(ops...)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, rev := range []int64{0, 2500} {
		if _, err := n.Range(ctx, &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, Revision: rev}); err != context.Canceled {
			t.Errorf("at revision %d: error %v, want %v", rev, err, context.Canceled)
		}
	}
}

func TestAClosedStoreAnswersErrClosed(t *testing.T) {
	n := newNode(t)
	n.close()
	if _, err := n.Range(context.Background(), requestKey("a")); err != kv.ErrClosed {
		t.Errorf("range: %v", err)
	}
	if _, err := n.Flush(); err != kv.ErrClosed {
		t.Errorf("flush: %v", err)
	}
	if _, err := n.Snapshot(); err != kv.ErrClosed {
		t.Errorf("snapshot: %v", err)
	}
}

// Queries share one of Pebble's snapshots until the next commit, and none is held longer:
// not by a commit, a sweep, or a restore.
func TestQueriesShareAMoment(t *testing.T) {
	n := newNode(t)
	open := func() int { return n.Pebble().Metrics().Snapshots.Count }
	expect := func(after string, want int) {
		t.Helper()
		if got := open(); got != want {
			t.Errorf("after %s, %d snapshots are open, want %d", after, got, want)
		}
	}
	n.execute(put("a", "1"))
	expect("a put", 0)
	for range 3 {
		n.get(requestKey("a"))
	}
	expect("three gets", 1)
	n.execute(put("a", "2"))
	expect("another put", 0)
	if got := string(n.get(requestKey("a")).Kvs[0].Value); got != "2" {
		t.Errorf("it reads %q, want what the last put wrote", got)
	}
	snapshot := n.snapshot()
	n.get(requestKey("a"))
	old := n.Pebble()
	if err := n.Restore(bytes.NewReader(snapshot)); err != nil {
		t.Fatal(err)
	}
	if old == n.Pebble() {
		t.Fatal("a restore goes on in the same database")
	}
	expect("a restore", 0)
	n.StopCompactor()
	n.compact(2)
	n.get(requestKey("a"))
	if _, err := n.SweepStep(); err != nil {
		t.Fatal(err)
	}
	expect("a sweep", 0) // or the space of what it deleted would not be free
}

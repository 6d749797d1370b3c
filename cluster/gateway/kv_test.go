package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// shown is what a get found, as "key=value".
func shown(r *clientv3.GetResponse) string {
	var all []string
	for _, kv := range r.Kvs {
		all = append(all, fmt.Sprintf("%s=%s", kv.Key, kv.Value))
	}
	return strings.Join(all, " ")
}

// Every option of Range, through etcd's client. The revisions are 2 to 6: a=1, b=2,
// c=3, a=4, d=0.
func TestRange(t *testing.T) {
	f := start(t)
	f.put("a", "1", "b", "2", "c", "3", "a", "4", "d", "0")
	tests := []struct {
		name string
		key  string
		opts []clientv3.OpOption
		want string
	}{
		{"one key", "a", nil, "a=4"},
		{"no such key", "x", nil, ""},
		{"a range", "a", []clientv3.OpOption{clientv3.WithRange("c")}, "a=4 b=2"},
		{"a prefix", "", []clientv3.OpOption{clientv3.WithPrefix()}, "a=4 b=2 c=3 d=0"},
		{"from a key on", "b", []clientv3.OpOption{clientv3.WithFromKey()}, "b=2 c=3 d=0"},
		{"a limit", "a", []clientv3.OpOption{clientv3.WithFromKey(), clientv3.WithLimit(2)}, "a=4 b=2"},
		{"an old revision", "a", []clientv3.OpOption{clientv3.WithRev(2)}, "a=1"},
		{"serializable", "a", []clientv3.OpOption{clientv3.WithSerializable()}, "a=4"},
		{"keys only", "a", []clientv3.OpOption{clientv3.WithFromKey(), clientv3.WithKeysOnly()}, "a= b= c= d="},
		{"count only", "a", []clientv3.OpOption{clientv3.WithFromKey(), clientv3.WithCountOnly()}, ""},
		{"sorted by key, down", "a", []clientv3.OpOption{clientv3.WithFromKey(),
			clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend)}, "d=0 c=3 b=2 a=4"},
		{"sorted by value", "a", []clientv3.OpOption{clientv3.WithFromKey(),
			clientv3.WithSort(clientv3.SortByValue, clientv3.SortAscend)}, "d=0 b=2 c=3 a=4"},
		{"sorted by version", "a", []clientv3.OpOption{clientv3.WithFromKey(),
			clientv3.WithSort(clientv3.SortByVersion, clientv3.SortDescend)}, "a=4 b=2 c=3 d=0"},
		{"the last created", "", clientv3.WithLastCreate(), "d=0"},
		{"the first modified", "", clientv3.WithFirstRev(), "b=2"},
		{"by modification", "a", []clientv3.OpOption{clientv3.WithFromKey(),
			clientv3.WithMinModRev(4), clientv3.WithMaxModRev(5)}, "a=4 c=3"},
		{"by creation", "a", []clientv3.OpOption{clientv3.WithFromKey(),
			clientv3.WithMinCreateRev(3), clientv3.WithMaxCreateRev(4)}, "b=2 c=3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := f.Get(t.Context(), tt.key, tt.opts...)
			if err != nil {
				t.Fatal(err)
			}
			if got := shown(r); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if r.Header.Revision != 6 {
				t.Errorf("header's revision = %d, want 6", r.Header.Revision)
			}
			chunks, err := f.GetStream(t.Context(), tt.key, tt.opts...)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := clientv3.GetStreamToGetResponse(chunks)
			if err != nil {
				t.Fatal(err)
			}
			if shown(whole) != tt.want || whole.Count != r.Count || whole.More != r.More || whole.Header.Revision != 6 {
				t.Errorf("streamed: %+v, want %+v", whole, r)
			}
		})
	}
}

// A large range goes out in parts under gRPC's usual limit of a message.
func TestRangeStreamSplits(t *testing.T) {
	f := start(t)
	value := strings.Repeat("x", 700<<10)
	f.put("a", value, "b", value, "c", value, "d", value, "e", value)
	chunks, err := f.GetStream(t.Context(), "", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	var keys []int
	for c := range chunks {
		if c.Err() != nil {
			t.Fatal(c.Err())
		}
		keys = append(keys, len(c.RangeResponse.Kvs))
	}
	if want := []int{2, 2, 1}; !slices.Equal(keys, want) {
		t.Errorf("keys in parts: %v, want %v", keys, want)
	}
}

// Writes answer with the revision they made and, where asked, what was before.
func TestWrites(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	f.put("a", "1", "b", "2")

	put, err := f.Put(ctx, "a", "3", clientv3.WithPrevKV())
	if err != nil || string(put.PrevKv.Value) != "1" || put.Header.Revision != 4 {
		t.Errorf("put with prev_kv = %+v, %v", put, err)
	}
	if _, err := f.Put(ctx, "a", "", clientv3.WithIgnoreValue(), clientv3.WithIgnoreLease()); err != nil {
		t.Errorf("put that ignores the value: %v", err)
	}
	del, err := f.Delete(ctx, "a", clientv3.WithFromKey(), clientv3.WithPrevKV())
	if err != nil || del.Deleted != 2 || len(del.PrevKvs) != 2 || string(del.PrevKvs[0].Value) != "3" || del.Header.Revision != 6 {
		t.Errorf("delete = %+v, %v", del, err)
	}
	if del, err = f.Delete(ctx, "a"); err != nil || del.Deleted != 0 || del.Header.Revision != 6 {
		t.Errorf("delete of nothing = %+v, %v", del, err)
	}
}

// Transactions: every target and result of a comparison, ranges, nested ones.
func TestTxn(t *testing.T) {
	f := start(t)
	f.put("a", "1", "b", "2")
	tests := []struct {
		name string
		cmp  clientv3.Cmp
		want bool
	}{
		{"value =", clientv3.Compare(clientv3.Value("a"), "=", "1"), true},
		{"value !=", clientv3.Compare(clientv3.Value("a"), "!=", "1"), false},
		{"value >", clientv3.Compare(clientv3.Value("b"), ">", "1"), true},
		{"value <", clientv3.Compare(clientv3.Value("b"), "<", "1"), false},
		{"version", clientv3.Compare(clientv3.Version("a"), "=", 1), true},
		{"no version", clientv3.Compare(clientv3.Version("x"), "=", 0), true},
		{"create", clientv3.Compare(clientv3.CreateRevision("b"), ">", 2), true},
		{"mod", clientv3.Compare(clientv3.ModRevision("b"), "<", 3), false},
		{"lease", clientv3.Compare(clientv3.LeaseValue("a"), "=", 0), true},
		{"a range", clientv3.Compare(clientv3.Value("a").WithRange("c"), "<", "3"), true},
		{"a prefix", clientv3.Compare(clientv3.Value("b").WithPrefix(), "=", "1"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := f.Txn(t.Context()).If(tt.cmp).Then(clientv3.OpGet("a")).Else(clientv3.OpGet("b")).Commit()
			if err != nil || r.Succeeded != tt.want || r.Header.Revision != 3 {
				t.Errorf("got %+v, %v, want succeeded = %t", r, err, tt.want)
			}
		})
	}
	nested := clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut("c", "3")}, nil)
	r, err := f.Txn(t.Context()).Then(nested, clientv3.OpDelete("a"), clientv3.OpGet("c")).Commit()
	if err != nil || r.Header.Revision != 4 || string(r.Responses[2].GetResponseRange().Kvs[0].Value) != "3" {
		t.Errorf("nested: %+v, %v", r, err)
	}
}

// A read takes no slot; it asks whether it is fresh unless it is content without.
func TestReadsTakeNoSlot(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	read, stale := clientv3.OpGet("a"), clientv3.OpGet("a", clientv3.WithSerializable())
	write := clientv3.OpPut("a", "1")
	tests := []struct {
		name               string
		op                 clientv3.Op
		proposed, barriers int
	}{
		{"a read", read, 0, 1},
		{"a serializable read", stale, 0, 0},
		{"a transaction of reads", clientv3.OpTxn(nil, []clientv3.Op{read, stale}, nil), 0, 1},
		{"… of serializable reads", clientv3.OpTxn(nil, []clientv3.Op{stale}, []clientv3.Op{stale}), 0, 0},
		{"a write", write, 1, 0},
		{"a transaction that may write", clientv3.OpTxn(nil, []clientv3.Op{read}, []clientv3.Op{write}), 1, 0},
	}
	for _, tt := range tests {
		f.node.change(func() { f.node.proposed, f.node.barriers = 0, 0 })
		if _, err := f.Do(ctx, tt.op); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if f.node.proposed != tt.proposed || f.node.barriers != tt.barriers {
			t.Errorf("%s: %d proposals and %d barriers, want %d and %d",
				tt.name, f.node.proposed, f.node.barriers, tt.proposed, tt.barriers)
		}
	}
}

// The header names cluster, member, revision and the round in office.
func TestHeader(t *testing.T) {
	f := start(t)
	put, err := f.Put(t.Context(), "a", "1")
	if err != nil {
		t.Fatal(err)
	}
	want := &pb.ResponseHeader{ClusterId: clusterID("test"), MemberId: 1, Revision: 2, RaftTerm: 7}
	if got := put.Header; got.String() != want.String() {
		t.Errorf("header = %v, want %v", got, want)
	}
	if clusterID("test") == 0 || clusterID("test") == clusterID("other") {
		t.Error("clusters of different names have equal numbers, or one is 0")
	}
	// A replica that is too busy to show itself does not take the term back.
	f.node.change(func() { f.node.leader = false })
	f.gateway.look()
	if got := f.gateway.header(2).RaftTerm; got != 7 {
		t.Errorf("term after a look at a busy replica = %d, want 7", got)
	}
}

// Errors are etcd's own, and what is wrong on its face costs no slot.
func TestErrors(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.RequestBytes = 1 << 20 })
	ctx := t.Context()
	f.put("a", "1", "a", "2", "a", "3")
	if _, err := f.Compact(ctx, 3, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	do := func(op clientv3.Op) error { _, err := f.Do(ctx, op); return err }
	var many []clientv3.Op
	for i := range 129 {
		many = append(many, clientv3.OpPut(fmt.Sprint(i), ""))
	}
	txn := func(ops ...clientv3.Op) clientv3.Op { return clientv3.OpTxn(nil, ops, nil) }
	compact := func(rev int64) error { _, err := f.Compact(ctx, rev); return err }
	tests := []struct {
		name string
		got  error
		want error
	}{
		{"put without key", do(clientv3.OpPut("", "1")), rpctypes.ErrEmptyKey},
		{"get without key", do(clientv3.OpGet("")), rpctypes.ErrEmptyKey},
		{"delete without key", do(clientv3.OpDelete("")), rpctypes.ErrEmptyKey},
		{"put that ignores a value that is not there", do(clientv3.OpPut("x", "", clientv3.WithIgnoreValue())), rpctypes.ErrKeyNotFound},
		{"put with an unknown lease", do(clientv3.OpPut("x", "1", clientv3.WithLease(5))), rpctypes.ErrLeaseNotFound},
		{"two puts to a key", do(txn(clientv3.OpPut("x", "1"), clientv3.OpPut("x", "2"))), rpctypes.ErrDuplicateKey},
		{"129 operations", do(txn(many...)), rpctypes.ErrTooManyOps},
		{"128 operations", do(txn(many[1:]...)), nil},
		{"a compacted revision", do(clientv3.OpGet("a", clientv3.WithRev(2))), rpctypes.ErrCompacted},
		{"a future revision", do(clientv3.OpGet("a", clientv3.WithRev(1000))), rpctypes.ErrFutureRev},
		{"a compaction twice", compact(3), rpctypes.ErrCompacted},
		{"a compaction of the future", compact(1000), rpctypes.ErrFutureRev},
		{"a put over the limit", do(clientv3.OpPut("x", strings.Repeat("x", 1<<20))), rpctypes.ErrRequestTooLarge},
		{"a transaction over the limit", do(txn(clientv3.OpPut("x", strings.Repeat("x", 1<<20)))), rpctypes.ErrRequestTooLarge},
		{"a put just below it", do(clientv3.OpPut("x", strings.Repeat("x", 1<<20-64))), nil},
	}
	for _, tt := range tests {
		if !errors.Is(tt.got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	proposed := f.node.proposed
	remote := pb.NewKVClient(f.ActiveConnection())
	_, err := remote.Put(ctx, &pb.PutRequest{Key: []byte("a"), Value: []byte("1"), IgnoreValue: true})
	if !sameStatus(err, rpctypes.ErrGRPCValueProvided) || f.node.proposed != proposed {
		t.Errorf("put with and without value: %v after %d proposals, want none", err, f.node.proposed-proposed)
	}
	if _, err := remote.Range(ctx, &pb.RangeRequest{Key: []byte("a"), SortOrder: 9}); !sameStatus(err, rpctypes.ErrGRPCInvalidSortOption) {
		t.Errorf("an unknown order: %v, want %v", err, rpctypes.ErrGRPCInvalidSortOption)
	}
	// What gRPC does not even receive has its own text, in etcd, too.
	if err := do(clientv3.OpPut("x", strings.Repeat("x", 2<<20))); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a put far over the limit: %v, want ResourceExhausted", err)
	}
}

func sameStatus(got, want error) bool {
	g, w := status.Convert(got), status.Convert(want)
	return g.Code() == w.Code() && g.Message() == w.Message()
}

// A client's own deadline, where it ends first, is what the client hears of.
func TestClientGivesUp(t *testing.T) {
	f := start(t)
	release := f.node.hold()
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := f.Put(ctx, "a", "1")
		failed <- err
	}()
	f.node.waitHeld(t, 1)
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("put after the client gave up: %v", err)
	}
	f.node.waitHeld(t, 0)
	eventually(t, "the place to be free", func() bool { return f.gateway.requests.count() == 0 })
}

package kv_test

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

// brief writes a key-value as key=value and create/mod/version.
func brief(kv *mvccpb.KeyValue) string {
	if kv == nil {
		return "none"
	}
	return fmt.Sprintf("%s=%s %d/%d/%d", kv.Key, kv.Value, kv.CreateRevision, kv.ModRevision, kv.Version)
}

func briefs(kvs []*mvccpb.KeyValue) string {
	out := ""
	for _, kv := range kvs {
		out += brief(kv) + ", "
	}
	return out
}

// S7: revisions count effective commands, as etcd's do, from 1 for an empty store.
func TestRevisionsCountEffectiveCommands(t *testing.T) {
	n := newNode(t)
	steps := []struct {
		name string
		op   *pb.InternalRaftRequest
		want int64
	}{
		{"a put", put("a", "1"), 2},
		{"the same put again", put("a", "1"), 3},
		{"a deletion of nothing", del("x", ""), 3},
		{"a deletion", del("a", ""), 4},
		{"a transaction that reads", txn(&pb.TxnRequest{Success: []*pb.RequestOp{opRange(requestKey("a"))}}), 4},
		{"a transaction that deletes nothing", txn(&pb.TxnRequest{Success: []*pb.RequestOp{opDelete("x", "")}}), 4},
		{"a transaction that writes twice", txn(&pb.TxnRequest{Success: []*pb.RequestOp{opPut("a", "2"), opPut("b", "2")}}), 5},
		{"a deletion of two", del("a", "c"), 6},
		{"a compaction", compact(4), 6},
		{"a refused put", put("", "1"), 6},
		{"no command", &pb.InternalRaftRequest{}, 6},
	}
	if got := n.Revision(); got != 1 {
		t.Fatalf("an empty store has revision %d, want 1", got)
	}
	for _, step := range steps {
		n.execute(step.op)
		if got := n.Revision(); got != step.want {
			t.Errorf("after %s: revision %d, want %d", step.name, got, step.want)
		}
	}
	n.executeBytes(nil, nil) // a slot without operations
	if got := n.Revision(); got != 6 {
		t.Errorf("after a slot without operations: revision %d, want 6", got)
	}
}

func TestPutKeepsCreateRevisionAndCountsVersions(t *testing.T) {
	n := newNode(t)
	n.put("a", "1")
	n.put("b", "1")
	if got := n.put("a", "2").Header.Revision; got != 4 {
		t.Errorf("the put's header has revision %d, want 4", got)
	}
	if got, want := briefs(n.all(0).Kvs), "a=2 2/4/2, b=1 3/3/1, "; got != want {
		t.Errorf("have %s, want %s", got, want)
	}
	n.delete("a", "")
	n.put("a", "3")
	if got, want := briefs(n.all(0).Kvs), "a=3 6/6/1, b=1 3/3/1, "; got != want {
		t.Errorf("after a deletion: have %s, want %s", got, want)
	}
}

func TestPutOptions(t *testing.T) {
	tests := []struct {
		name string
		put  *pb.PutRequest
		prev string
		now  string
		err  error
	}{
		{"prev_kv of a new key", &pb.PutRequest{Key: []byte("new"), PrevKv: true}, "none", "new= 3/3/1", nil},
		{"prev_kv", &pb.PutRequest{Key: []byte("a"), Value: []byte("2"), PrevKv: true}, "a=1 2/2/1", "a=2 2/3/2", nil},
		{"no prev_kv", &pb.PutRequest{Key: []byte("a"), Value: []byte("2")}, "none", "a=2 2/3/2", nil},
		{"ignore_value", &pb.PutRequest{Key: []byte("a"), IgnoreValue: true}, "none", "a=1 2/3/2", nil},
		{"ignore_value and prev_kv", &pb.PutRequest{Key: []byte("a"), IgnoreValue: true, PrevKv: true}, "a=1 2/2/1", "a=1 2/3/2", nil},
		{"ignore_lease", &pb.PutRequest{Key: []byte("a"), Value: []byte("2"), IgnoreLease: true}, "none", "a=2 2/3/2", nil},
		{"ignore_value of a new key", &pb.PutRequest{Key: []byte("new"), IgnoreValue: true}, "none", "none", rpctypes.ErrGRPCKeyNotFound},
		{"ignore_lease of a new key", &pb.PutRequest{Key: []byte("new"), IgnoreLease: true}, "none", "none", rpctypes.ErrGRPCKeyNotFound},
		{"a lease", &pb.PutRequest{Key: []byte("a"), Lease: 7}, "none", "a=1 2/2/1", rpctypes.ErrGRPCLeaseNotFound},
		{"ignore_value and a value", &pb.PutRequest{Key: []byte("a"), Value: []byte("2"), IgnoreValue: true}, "none", "a=1 2/2/1", rpctypes.ErrGRPCValueProvided},
		{"ignore_lease and a lease", &pb.PutRequest{Key: []byte("a"), Lease: 7, IgnoreLease: true}, "none", "a=1 2/2/1", rpctypes.ErrGRPCLeaseProvided},
		{"no key", &pb.PutRequest{Value: []byte("2")}, "none", "none", rpctypes.ErrGRPCEmptyKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t)
			n.put("a", "1")
			response, err := n.do(&pb.InternalRaftRequest{Put: tt.put})
			if err != tt.err {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err == nil {
				if got := brief(response.(*pb.PutResponse).PrevKv); got != tt.prev {
					t.Errorf("prev_kv %s, want %s", got, tt.prev)
				}
			}
			if len(tt.put.Key) == 0 {
				return
			}
			now := "none"
			if kvs := n.get(&pb.RangeRequest{Key: tt.put.Key}).Kvs; len(kvs) > 0 {
				now = brief(kvs[0])
			}
			if now != tt.now {
				t.Errorf("the key is %s, want %s", now, tt.now)
			}
		})
	}
}

func TestDeleteRange(t *testing.T) {
	tests := []struct {
		name, key, end string
		want           string // prev_kvs
	}{
		{"a key", "a", "", "a=1 2/2/1, "},
		{"a range", "a", "b", "a=1 2/2/1, a\x00=2 3/3/1, ab=3 4/4/1, "},
		{"all from a key on", "ab", "\x00", "ab=3 4/4/1, b=4 5/5/1, "},
		{"everything", "\x00", "\x00", "a=1 2/2/1, a\x00=2 3/3/1, ab=3 4/4/1, b=4 5/5/1, "},
		{"a range that ends before it begins", "b", "a", ""},
		{"nothing", "x", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t)
			for i, key := range []string{"a", "a\x00", "ab", "b"} {
				n.put(key, fmt.Sprint(i+1))
			}
			before := n.all(0).Count
			op := del(tt.key, tt.end)
			op.DeleteRange.PrevKv = true
			response := n.mustDo(op).(*pb.DeleteRangeResponse)
			if got := briefs(response.PrevKvs); got != tt.want {
				t.Errorf("prev_kvs %q, want %q", got, tt.want)
			}
			if response.Deleted != int64(len(response.PrevKvs)) {
				t.Errorf("deleted %d, but %d prev_kvs", response.Deleted, len(response.PrevKvs))
			}
			if got := n.all(0).Count; got != before-response.Deleted {
				t.Errorf("%d keys remain of %d after deleting %d", got, before, response.Deleted)
			}
			wantRev := int64(5)
			if response.Deleted > 0 {
				wantRev = 6
			}
			if response.Header.Revision != wantRev {
				t.Errorf("revision %d, want %d", response.Header.Revision, wantRev)
			}
		})
	}
}

// Operations of one slot see those before them, and nobody else does until Commit.
func TestCommitMakesOneChangeOfASlot(t *testing.T) {
	n := newNode(t)
	var ops [][]byte
	for _, value := range []string{"1", "2", "3"} {
		op := put("a", value)
		op.Put.PrevKv = true
		ops = append(ops, must(proto.Marshal(op)))
	}
	results := n.Apply(1, ops)
	for i, want := range []string{"none", "a=1 2/2/1", "a=2 2/3/2"} {
		response := must(kv.DecodeResult(results[i])).(*pb.PutResponse)
		if got := brief(response.PrevKv); got != want {
			t.Errorf("operation %d had before it %s, want %s", i, got, want)
		}
	}
	if n.Revision() != 1 || n.all(0).Count != 0 || n.Executed() != 1 {
		t.Errorf("before the commit there is %v at revision %d", n.all(0).Kvs, n.Revision())
	}
	n.Apply(1, ops[:1]) // a replica that is executing the slot again
	if err := n.Commit(1, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := briefs(n.all(0).Kvs), "a=1 2/2/1, "; got != want || n.Executed() != 2 {
		t.Errorf("after the commit there is %s below slot %d, want %s below 2", got, n.Executed(), want)
	}
	if err := n.Commit(1, nil); err == nil {
		t.Error("a slot was committed twice")
	}
	n.Apply(2, ops)
	if err := n.Commit(3, nil); err == nil {
		t.Error("what was applied as slot 2 was committed as slot 3")
	}
}

// What a slot did that is executed again, with other operations even, leaves no trace.
func TestASlotThatCameToNothing(t *testing.T) {
	for _, dropped := range []*pb.InternalRaftRequest{del("a", ""), del("a", "b"), put("a", "2"), put("new", "1")} {
		n := newNode(t)
		n.put("a", "1")
		n = n.reopened() // so that nothing is known of the key
		n.Apply(n.slot, [][]byte{must(proto.Marshal(dropped))})
		n.execute(put("a", "3"), put("new", "3"))
		if got, want := briefs(n.all(0).Kvs), "a=3 2/3/2, new=3 4/4/1, "; got != want {
			t.Errorf("after %v that was dropped there is %s, want %s", dropped, got, want)
		}
	}
}

// A put is written as protobuf writes it, and read as protobuf reads it or left to it.
func TestPutIsProtobuf(t *testing.T) {
	read := 0
	rapid.Check(t, func(t *rapid.T) {
		put := drawPut(t)
		op := must(kv.EncodePut(put))
		if want := must(kv.Encode(&pb.InternalRaftRequest{Put: put})); !bytes.Equal(op, want) {
			t.Fatalf("%v is encoded as %x, want %x", put, op, want)
		}
		switch rapid.IntRange(0, 3).Draw(t, "damage") {
		case 1: // more fields, known or not, the same ones again
			more := rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "more")
			put := append(must(proto.Marshal(drawPut(t))), more...)
			op = protowire.AppendBytes(protowire.AppendTag(nil, 4, protowire.BytesType), put)
		case 2:
			op = append(op, op...)
		case 3:
			op[rapid.IntRange(0, len(op)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		got := &pb.PutRequest{Key: []byte("before"), Value: []byte("before"), Lease: 1, PrevKv: true, IgnoreLease: true, IgnoreValue: true}
		if !kv.ParsePut(op, got) {
			return
		}
		read++
		var want pb.InternalRaftRequest
		if err := proto.Unmarshal(op, &want); err != nil || !proto.Equal(&want, &pb.InternalRaftRequest{Put: got}) {
			t.Fatalf("%x was read as %v, protobuf says %v, %v", op, got, &want, err)
		}
	})
	if read == 0 {
		t.Error("nothing was read")
	}
}

func TestRecords(t *testing.T) {
	n := newNode(t)
	n.executeBytes(nil, []cluster.Record{{Key: "b", Value: []byte("2")}, {Key: "a", Value: []byte("1")}, {Key: "c", Value: []byte{}}})
	n.executeBytes(nil, []cluster.Record{{Key: "b", Value: nil}, {Key: "a", Value: []byte("3")}})
	want := []cluster.Record{{Key: "a", Value: []byte("3")}, {Key: "c", Value: []byte{}}}
	if got := must(n.Records()); !reflect.DeepEqual(got, want) {
		t.Errorf("records %q, want %q", got, want)
	}
	n = n.reopened()
	if got := must(n.Records()); !reflect.DeepEqual(got, want) {
		t.Errorf("after a restart: records %q, want %q", got, want)
	}
	if n.Executed() != 3 {
		t.Errorf("after a restart: executed below %d, want 3", n.Executed())
	}
}

package kv_test

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a store as a replica drives it: a slot after the other.
type node struct {
	t testing.TB
	*kv.Store
	fs   vfs.FS
	slot uint64
}

func newNode(t testing.TB) *node { return openNode(t, vfs.NewMem()) }

func openNode(t testing.TB, fs vfs.FS) *node {
	t.Helper()
	s, err := kv.Open(kv.Options{Dir: "node/kv", FS: fs, MemTableSize: 1 << 20, CacheSize: 1 << 20, HotKeys: 8})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, Store: s, fs: fs, slot: s.Executed()}
	t.Cleanup(n.close)
	return n
}

func (n *node) close() {
	n.t.Helper()
	if err := n.Close(); err != nil {
		n.t.Error(err)
	}
}

// reopened is the node after a clean end.
func (n *node) reopened() *node {
	n.t.Helper()
	n.flush()
	n.close()
	return openNode(n.t, n.fs)
}

func (n *node) flush() uint64 {
	n.t.Helper()
	below, err := n.Flush()
	if err != nil {
		n.t.Fatal(err)
	}
	return below
}

// execute runs the operations of one slot.
func (n *node) execute(ops ...*pb.InternalRaftRequest) [][]byte {
	n.t.Helper()
	raw := make([][]byte, len(ops))
	for i, op := range ops {
		raw[i] = must(proto.Marshal(op))
	}
	return n.executeBytes(raw, nil)
}

func (n *node) executeBytes(ops [][]byte, records []cluster.Record) [][]byte {
	n.t.Helper()
	results := n.Apply(n.slot, ops)
	if err := n.Commit(n.slot, records); err != nil {
		n.t.Fatal(err)
	}
	n.slot++
	return results
}

func (n *node) do(op *pb.InternalRaftRequest) (proto.Message, error) {
	n.t.Helper()
	return kv.DecodeResult(n.execute(op)[0])
}

func (n *node) put(key, value string) *pb.PutResponse {
	n.t.Helper()
	return n.mustDo(put(key, value)).(*pb.PutResponse)
}

func (n *node) delete(key, end string) *pb.DeleteRangeResponse {
	n.t.Helper()
	return n.mustDo(del(key, end)).(*pb.DeleteRangeResponse)
}

func (n *node) compact(rev int64) {
	n.t.Helper()
	n.mustDo(compact(rev))
}

func (n *node) mustDo(op *pb.InternalRaftRequest) proto.Message {
	n.t.Helper()
	response, err := n.do(op)
	if err != nil {
		n.t.Fatalf("%v: %v", op, err)
	}
	return response
}

func (n *node) get(r *pb.RangeRequest) *pb.RangeResponse {
	n.t.Helper()
	response, err := n.Range(context.Background(), r)
	if err != nil {
		n.t.Fatalf("%v: %v", r, err)
	}
	return response
}

func (n *node) all(rev int64) *pb.RangeResponse {
	n.t.Helper()
	return n.get(&pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, Revision: rev})
}

func (n *node) hash(rev int64) uint32 {
	n.t.Helper()
	hash, _, _, err := n.HashKV(context.Background(), rev)
	if err != nil {
		n.t.Fatalf("hash at %d: %v", rev, err)
	}
	return hash
}

func (n *node) snapshot() []byte {
	n.t.Helper()
	w, err := n.Snapshot()
	if err != nil {
		n.t.Fatal(err)
	}
	defer w.(io.Closer).Close()
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		n.t.Fatal(err)
	}
	return b.Bytes()
}

func (n *node) sweep() {
	n.t.Helper()
	if err := n.WaitCompacted(context.Background()); err != nil {
		n.t.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func put(key, value string) *pb.InternalRaftRequest {
	return &pb.InternalRaftRequest{Put: &pb.PutRequest{Key: []byte(key), Value: []byte(value)}}
}

func del(key, end string) *pb.InternalRaftRequest {
	return &pb.InternalRaftRequest{DeleteRange: &pb.DeleteRangeRequest{Key: []byte(key), RangeEnd: []byte(end)}}
}

func compact(rev int64) *pb.InternalRaftRequest {
	return &pb.InternalRaftRequest{Compaction: &pb.CompactionRequest{Revision: rev}}
}

func txn(r *pb.TxnRequest) *pb.InternalRaftRequest { return &pb.InternalRaftRequest{Txn: r} }

func opPut(key, value string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put(key, value).Put}}
}

func opDelete(key, end string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: del(key, end).DeleteRange}}
}

func opRange(r *pb.RangeRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: r}}
}

func opTxn(r *pb.TxnRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: r}}
}

func requestKey(key string) *pb.RangeRequest { return &pb.RangeRequest{Key: []byte(key)} }

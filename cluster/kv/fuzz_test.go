package kv_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

// fuzzLimits are those of a gateway.
var fuzzLimits = kv.Limits{Bytes: 1 << 20, Ops: 128}

// script is operations, each behind its length in two bytes.
func script(operations ...*pb.InternalRaftRequest) (all []byte) {
	for _, op := range operations {
		b, err := proto.Marshal(op)
		if err != nil {
			panic(err)
		}
		all = append(binary.BigEndian.AppendUint16(all, uint16(len(b))), b...)
	}
	return all
}

// scripted takes a script apart, whatever it is.
func scripted(b []byte) (operations [][]byte) {
	for len(b) >= 2 && len(operations) < 32 {
		n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
		operations, b = append(operations, b[2:2+n]), b[2+n:]
	}
	return operations
}

func putOp(key, value string, lease int64) *pb.InternalRaftRequest {
	return &pb.InternalRaftRequest{Put: &pb.PutRequest{Key: []byte(key), Value: []byte(value), Lease: lease}}
}

// FuzzHistory has two stores execute whatever was decided, and a gateway look at it before:
// nothing panics, and the two agree to the last byte (S7).
func FuzzHistory(f *testing.F) {
	all := []byte{0}
	f.Add(script(putOp("a", "1", 0), putOp("b", "2", 7), &pb.InternalRaftRequest{DeleteRange: &pb.DeleteRangeRequest{Key: []byte("a"), RangeEnd: all, PrevKv: true}}))
	f.Add(script(
		&pb.InternalRaftRequest{LeaseGrant: &pb.LeaseGrantRequest{ID: 7, TTL: 10}}, putOp("b", "2", 7),
		&pb.InternalRaftRequest{LeaseCheckpoint: &pb.LeaseCheckpointRequest{Checkpoints: []*pb.LeaseCheckpoint{{ID: 7, Remaining_TTL: 3}}}},
		&pb.InternalRaftRequest{LeaseRevoke: &pb.LeaseRevokeRequest{ID: 7}}))
	f.Add(script(putOp("a", "1", 0), putOp("a", "2", 0), &pb.InternalRaftRequest{Txn: &pb.TxnRequest{
		Compare: []*pb.Compare{{Key: []byte("a"), Target: pb.Compare_VERSION, Result: pb.Compare_GREATER, TargetUnion: &pb.Compare_Version{Version: 1}}},
		Success: []*pb.RequestOp{
			{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("c"), Value: []byte("3"), PrevKv: true}}},
			{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: all, RangeEnd: all, Limit: 1, SortTarget: pb.RangeRequest_VALUE}}},
			{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{}}},
		},
	}}, &pb.InternalRaftRequest{Compaction: &pb.CompactionRequest{Revision: 2, Physical: true}}))
	f.Add(script(&pb.InternalRaftRequest{Alarm: &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: 1, Alarm: pb.AlarmType_NOSPACE}}, putOp("a", "1", 0)))
	f.Add([]byte{0, 1, 0xff, 0, 0})
	f.Fuzz(func(t *testing.T, text []byte) {
		operations := scripted(text)
		for _, operation := range operations {
			op := new(pb.InternalRaftRequest)
			if proto.Unmarshal(operation, op) == nil {
				_ = kv.Check(op, fuzzLimits) // any answer will do
			}
		}
		one, other := newNode(t), newNode(t)
		if a, b := one.Apply(one.slot, operations), other.Apply(other.slot, operations); !equalAll(a, b) {
			t.Fatalf("results are %q and %q", a, b)
		}
		for _, n := range []*node{one, other} {
			if err := n.Commit(n.slot, nil); err != nil {
				t.Fatal(err)
			}
		}
		a, _, atA, err := one.HashKV(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if b, _, atB, err := other.HashKV(t.Context(), 0); err != nil || a != b || atA != atB {
			t.Fatalf("hashes are %x at %d and %x at %d: %v", a, atA, b, atB, err)
		}
	})
}

func equalAll(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// FuzzRestore gives a store whatever comes as a snapshot: it takes all of it or nothing,
// and who only looks at it finds the same.
func FuzzRestore(f *testing.F) {
	n := newNode(f)
	seed := func() {
		var b bytes.Buffer
		s, err := n.Snapshot()
		if err != nil {
			f.Fatal(err)
		}
		if err := kv.WriteFile(&b, s); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
		f.Add(b.Bytes()[:b.Len()/2])
	}
	seed()
	n.Apply(n.slot, scripted(script(putOp("a", "1", 0), putOp("b", "2", 0), &pb.InternalRaftRequest{LeaseGrant: &pb.LeaseGrantRequest{ID: 7, TTL: 10}})))
	if err := n.Commit(n.slot, nil); err != nil {
		f.Fatal(err)
	}
	seed()
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		contents, looked := kv.Inspect(bytes.NewReader(file))
		n := openNode(t, vfs.NewMem())
		before := n.Executed()
		restored := n.Restore(bytes.NewReader(file))
		switch {
		case looked == nil && restored != nil:
			t.Errorf("looked good, with %+v, and could not be restored: %v", contents, restored)
		case restored != nil && n.Executed() != before:
			t.Errorf("was not restored (%v), but has executed %d slots", restored, n.Executed())
		}
	})
}

// FuzzSealed gives a store a snapshot that is whatever it is but for its checksum, as a peer
// could send it that has read nonsense from its own disk.
func FuzzSealed(f *testing.F) {
	n := newNode(f)
	seed := func() {
		var b bytes.Buffer
		s, err := n.Snapshot()
		if err != nil {
			f.Fatal(err)
		}
		if _, err := s.WriteTo(&b); err != nil {
			f.Fatal(err)
		}
		if err := s.(io.Closer).Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes()[:b.Len()-sha256.Size])
	}
	seed()
	n.Apply(n.slot, scripted(script(putOp("a", "1", 0), putOp("b", "2", 0), &pb.InternalRaftRequest{LeaseGrant: &pb.LeaseGrantRequest{ID: 7, TTL: 10}})))
	if err := n.Commit(n.slot, []cluster.Record{{Key: "session", Value: []byte("1")}}); err != nil {
		f.Fatal(err)
	}
	seed()
	f.Fuzz(func(t *testing.T, body []byte) {
		sum := sha256.Sum256(body)
		n := newNode(t)
		if n.Restore(bytes.NewReader(append(bytes.Clone(body), sum[:]...))) != nil {
			return
		}
		if _, err := n.Records(); err != nil {
			t.Errorf("it was restored, and cannot be read: %v", err)
		}
	})
}

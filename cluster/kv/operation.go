package kv

import (
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The numbers of fields in etcd's rpc.proto and raft_internal.proto.
const (
	fieldPut = 4 // of an InternalRaftRequest

	fieldKey         = 1 // of a PutRequest, as the rest
	fieldValue       = 2
	fieldLease       = 3
	fieldPrevKv      = 4
	fieldIgnoreValue = 5
	fieldIgnoreLease = 6
)

// Encode returns an operation as it is proposed.
func Encode(op *pb.InternalRaftRequest) ([]byte, error) {
	b, err := proto.Marshal(op)
	if err != nil {
		return nil, fmt.Errorf("kv: encode an operation: %w", err)
	}
	return b, nil
}

// EncodePut is Encode of an operation that is a put and nothing else, without the
// operation around it: that has forty fields.
func EncodePut(r *pb.PutRequest) ([]byte, error) {
	size := proto.Size(r)
	b := make([]byte, 0, protowire.SizeTag(fieldPut)+protowire.SizeBytes(size))
	b = protowire.AppendVarint(protowire.AppendTag(b, fieldPut, protowire.BytesType), uint64(size))
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, r)
	if err != nil {
		return nil, fmt.Errorf("kv: encode a put: %w", err)
	}
	return b, nil
}

// parsePut reads an operation that is a put and nothing else into r, whose key and value
// point into the operation. Nearly all operations are, and proto.Unmarshal would copy
// both. Where it returns false, the operation may be anything, a put among others.
func parsePut(operation []byte, r *pb.PutRequest) bool {
	number, kind, n := protowire.ConsumeTag(operation)
	if n < 0 || number != fieldPut || kind != protowire.BytesType {
		return false
	}
	put, m := protowire.ConsumeBytes(operation[n:])
	if m < 0 || n+m != len(operation) {
		return false
	}
	r.Key, r.Value, r.Lease, r.PrevKv, r.IgnoreValue, r.IgnoreLease = nil, nil, 0, false, false, false
	for len(put) > 0 {
		n := parsePutField(put, r)
		if n <= 0 {
			return false
		}
		put = put[n:]
	}
	return true
}

// parsePutField reads the first field and returns its length, or what is not above 0.
func parsePutField(b []byte, r *pb.PutRequest) int {
	number, kind, n := protowire.ConsumeTag(b)
	if n < 0 {
		return n
	}
	if kind == protowire.BytesType {
		value, m := protowire.ConsumeBytes(b[n:])
		switch {
		case m < 0:
			return m
		case number == fieldKey:
			r.Key = value
		case number == fieldValue:
			r.Value = value
		default:
			return 0
		}
		return n + m
	}
	value, m := protowire.ConsumeVarint(b[n:])
	if m < 0 || kind != protowire.VarintType {
		return 0
	}
	switch number {
	case fieldLease:
		r.Lease = int64(value)
	case fieldPrevKv:
		r.PrevKv = protowire.DecodeBool(value)
	case fieldIgnoreValue:
		r.IgnoreValue = protowire.DecodeBool(value)
	case fieldIgnoreLease:
		r.IgnoreLease = protowire.DecodeBool(value)
	default:
		return 0
	}
	return n + m
}

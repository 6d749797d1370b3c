package kv

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
)

// Range answers a range request on the last committed state. The header has its
// revision and nothing else. Later answers may share its Kvs, which must not be changed.
func (s *Store) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if err := CheckRange(r); err != nil {
		return nil, err
	}
	v, end, err := s.view()
	if err != nil {
		return nil, err
	}
	defer end()
	return v.rangeKeys(ctx, r)
}

// ReadTxn carries out a transaction that only reads, on the last committed state. Later
// answers may share its Kvs, which must not be changed.
func (s *Store) ReadTxn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	if !IsReadOnly(r) {
		return nil, ErrWrites
	}
	if err := CheckTxn(r, 0); err != nil {
		return nil, err
	}
	v, end, err := s.view()
	if err != nil {
		return nil, err
	}
	defer end()
	return runner{ctx: ctx, state: v}.txn(r)
}

// Query answers a marshalled RangeRequest with a marshalled RangeResponse.
func (s *Store) Query(query []byte) ([]byte, error) {
	var r pb.RangeRequest
	if err := proto.Unmarshal(query, &r); err != nil {
		return nil, fmt.Errorf("kv: query is not a range request: %w", err)
	}
	response, err := s.Range(context.Background(), &r)
	if err != nil {
		return nil, err
	}
	return marshalling.Marshal(response)
}

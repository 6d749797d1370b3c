package gateway

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// kvServer is etcd's KV service.
type kvServer struct {
	pb.UnimplementedKVServer
	g *Gateway
}

// propose has an operation decided and executed, and returns its response.
func propose[R proto.Message](ctx context.Context, g *Gateway, op *pb.InternalRaftRequest) (response R, slot uint64, err error) {
	if err := kv.Check(op, kv.Limits{Ops: g.options.Limits.TxnOps, Bytes: g.options.Limits.RequestBytes}); err != nil {
		return response, 0, err
	}
	encoded, err := proto.Marshal(op)
	if err != nil {
		return response, 0, fmt.Errorf("gateway: encode the request: %w", err)
	}
	result, err := g.options.Node.Propose(ctx, encoded)
	if err != nil {
		return response, 0, err
	}
	decoded, err := kv.DecodeResult(result.Output)
	if err != nil {
		return response, result.Slot, err
	}
	response, ok := decoded.(R)
	if !ok {
		return response, result.Slot, fmt.Errorf("gateway: slot %d answered with a %T", result.Slot, decoded)
	}
	return response, result.Slot, nil
}

// Range reads keys, as fresh as the request wants it.
func (s *kvServer) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if err := kv.CheckRange(r); err != nil {
		return nil, err
	}
	if err := s.freshen(ctx, r.Serializable); err != nil {
		return nil, err
	}
	resp, err := s.g.options.Store.Range(ctx, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.g.header(resp.Header.GetRevision())
	return resp, nil
}

func (s *kvServer) freshen(ctx context.Context, serializable bool) error {
	if serializable {
		return nil
	}
	return s.g.options.Node.Barrier(ctx)
}

// Put writes a key.
func (s *kvServer) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	resp, _, err := propose[*pb.PutResponse](ctx, s.g, &pb.InternalRaftRequest{Put: r})
	if err != nil {
		return nil, err
	}
	resp.Header = s.g.header(resp.Header.GetRevision())
	return resp, nil
}

// DeleteRange deletes keys.
func (s *kvServer) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	resp, _, err := propose[*pb.DeleteRangeResponse](ctx, s.g, &pb.InternalRaftRequest{DeleteRange: r})
	if err != nil {
		return nil, err
	}
	resp.Header = s.g.header(resp.Header.GetRevision())
	return resp, nil
}

// Txn executes a transaction; one that only reads takes no slot.
func (s *kvServer) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	if err := kv.CheckTxn(r, s.g.options.Limits.TxnOps); err != nil {
		return nil, err
	}
	var resp *pb.TxnResponse
	var err error
	if kv.IsReadOnly(r) {
		if err = s.freshen(ctx, kv.IsSerializable(r)); err == nil {
			resp, err = s.g.options.Store.ReadTxn(ctx, r)
		}
	} else {
		resp, _, err = propose[*pb.TxnResponse](ctx, s.g, &pb.InternalRaftRequest{Txn: r})
	}
	if err != nil {
		return nil, err
	}
	resp.Header = s.g.header(resp.Header.GetRevision())
	return resp, nil
}

// Compact drops what is older than a revision.
func (s *kvServer) Compact(ctx context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	resp, _, err := propose[*pb.CompactionResponse](ctx, s.g, &pb.InternalRaftRequest{Compaction: r})
	if err != nil {
		return nil, err
	}
	if r.Physical {
		if err := s.g.options.Store.WaitCompacted(ctx); err != nil {
			return nil, err
		}
	}
	resp.Header = s.g.header(s.g.options.Store.Revision())
	return resp, nil
}

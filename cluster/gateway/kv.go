package gateway

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

// kvServer is etcd's KV service.
type kvServer struct {
	pb.UnimplementedKVServer
	g *Gateway
}

// propose has an operation, which was checked, decided and executed, and returns its
// response.
func propose[R proto.Message](ctx context.Context, g *Gateway, op *pb.InternalRaftRequest) (response R, err error) {
	if op.Alarm != nil { // also where replicas differ: it is how that ends
		return proposeOwn[R](ctx, g, op)
	}
	encoded, err := kv.Encode(op)
	if err != nil {
		return response, err
	}
	return proposeEncoded[R](ctx, g, encoded, kv.TakesSpace(op))
}

func proposeEncoded[R proto.Message](ctx context.Context, g *Gateway, encoded []byte, takesSpace bool) (response R, err error) {
	if err := g.catchUp(ctx, g.limits.Load().Timeout); err != nil {
		return response, err // an alarm may have been raised that this node has not executed
	}
	if g.options.Store.Corrupt() {
		return response, rpctypes.ErrGRPCCorrupt
	}
	size := int64(len(encoded))
	if size > int64(g.options.Limits.RequestBytes) {
		return response, rpctypes.ErrGRPCRequestTooLarge
	}
	defer g.bytes.Add(-size)
	if g.bytes.Add(size) > int64(g.limits.Load().InFlightBytes) {
		return response, rpctypes.ErrGRPCRequestTooManyRequests
	}
	if takesSpace {
		if err := g.quota.admit(); err != nil {
			return response, err
		}
	}
	return decide[R](ctx, g, encoded)
}

// proposeOwn is propose for operations that are the node's own: clients that flood it
// must not keep it from them.
func proposeOwn[R proto.Message](ctx context.Context, g *Gateway, op *pb.InternalRaftRequest) (response R, err error) {
	encoded, err := kv.Encode(op)
	if err != nil {
		return response, err
	}
	return decide[R](ctx, g, encoded)
}

func decide[R proto.Message](ctx context.Context, g *Gateway, encoded []byte) (response R, err error) {
	var result cluster.Result
	err = g.patiently(ctx, func(ctx context.Context) (err error) {
		result, err = g.options.Node.Propose(ctx, encoded)
		return err
	})
	if err != nil {
		return response, err
	}
	decoded, err := kv.DecodeResult(result.Output)
	if err != nil {
		return response, err
	}
	response, ok := decoded.(R)
	if !ok {
		return response, fmt.Errorf("gateway: slot %d answered with a %T", result.Slot, decoded)
	}
	return response, nil
}

// freshen returns once a read here is as fresh as it is wanted.
func (g *Gateway) freshen(ctx context.Context, serializable bool) error {
	if !serializable {
		if g.options.Store.Corrupt() {
			return rpctypes.ErrGRPCCorrupt // who is right?
		}
		if err := g.patiently(ctx, g.options.Node.Barrier); err != nil {
			return err
		}
		if g.options.Store.Corrupt() {
			return rpctypes.ErrGRPCCorrupt // this node had yet to execute the alarm
		}
		return nil
	}
	switch me, ok := g.options.Node.Configuration().Named(g.options.Member); {
	case !ok:
		return cluster.ErrNotMember
	case !me.Replica:
		return cluster.ErrNoReplica // it has no keys, old or new
	}
	return g.catchUp(ctx, catchUpPatience)
}

// Range reads keys, as fresh as the request wants it.
func (s *kvServer) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if err := kv.CheckRange(r); err != nil {
		return nil, err
	}
	if err := s.g.freshen(ctx, r.Serializable); err != nil {
		return nil, err
	}
	resp, err := s.g.options.Store.Range(ctx, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.g.header(resp.Header.GetRevision())
	return resp, nil
}

// streamPart is how much of a streamed range goes into one message, in bytes.
const streamPart = 1 << 20

// RangeStream is Range with an answer in parts. Only the last has the header.
func (s *kvServer) RangeStream(r *pb.RangeRequest, stream pb.KV_RangeStreamServer) error {
	whole, err := s.Range(stream.Context(), r)
	if err != nil {
		return err
	}
	rest := whole.Kvs
	for n, size := 0, 0; n < len(rest); n++ {
		size += proto.Size(rest[n])
		if size < streamPart || n+1 == len(rest) {
			continue
		}
		part := &pb.RangeResponse{Kvs: rest[:n+1]}
		if err := stream.Send(&pb.RangeStreamResponse{RangeResponse: part}); err != nil {
			return err
		}
		rest, n, size = rest[n+1:], -1, 0
	}
	whole.Kvs = rest
	return stream.Send(&pb.RangeStreamResponse{RangeResponse: whole})
}

// Put writes a key.
func (s *kvServer) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	if err := kv.CheckPut(r); err != nil {
		return nil, err
	}
	encoded, err := kv.EncodePut(r)
	if err != nil {
		return nil, err
	}
	resp, err := proposeEncoded[*pb.PutResponse](ctx, s.g, encoded, true)
	if err != nil {
		return nil, err
	}
	resp.Header = s.g.header(resp.Header.GetRevision())
	return resp, nil
}

// DeleteRange deletes keys.
func (s *kvServer) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	if err := kv.CheckDeleteRange(r); err != nil {
		return nil, err
	}
	resp, err := propose[*pb.DeleteRangeResponse](ctx, s.g, &pb.InternalRaftRequest{DeleteRange: r})
	if err != nil {
		return nil, err
	}
	resp.Header = s.g.header(resp.Header.GetRevision())
	return resp, nil
}

// Txn executes a transaction; one that only reads takes no slot.
func (s *kvServer) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	if err := kv.CheckTxn(r, s.g.limits.Load().TxnOps); err != nil {
		return nil, err
	}
	var resp *pb.TxnResponse
	var err error
	if kv.IsReadOnly(r) {
		if err = s.g.freshen(ctx, kv.IsSerializable(r)); err == nil {
			resp, err = s.g.options.Store.ReadTxn(ctx, r)
		}
	} else {
		resp, err = propose[*pb.TxnResponse](ctx, s.g, &pb.InternalRaftRequest{Txn: r})
	}
	if err != nil {
		return nil, err
	}
	resp.Header = s.g.header(resp.Header.GetRevision())
	return resp, nil
}

// Compact drops what is older than a revision. A physical compaction is answered
// when its space here is free.
func (s *kvServer) Compact(ctx context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	resp, err := propose[*pb.CompactionResponse](ctx, s.g, &pb.InternalRaftRequest{Compaction: r})
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

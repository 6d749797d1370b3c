package gateway

import (
	"context"
	"errors"
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/api/v3/version"

	"github.com/pmmc-go/pmmc/cluster"
)

// clusterVersion is the version of etcd's API, by which clients tell what a cluster
// can do: that of the package that the API is taken from, without the patch.
func clusterVersion() string { return version.Cluster(version.Version) + ".0" }

// maintenanceServer is etcd's Maintenance service.
type maintenanceServer struct {
	pb.UnimplementedMaintenanceServer
	g *Gateway
}

// Status shows this member.
func (s *maintenanceServer) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	n, store := s.g.options.Node.Status(), s.g.options.Store
	resp := &pb.StatusResponse{
		Header: s.g.header(store.Revision()), Version: version.Version, StorageVersion: clusterVersion(),
		DbSize: store.Size(), DbSizeInUse: store.SizeInUse(), DbSizeQuota: s.g.limits.Load().Quota,
		Leader: uint64(n.Replica.Office.Leader), RaftTerm: n.Replica.Office.Round,
		RaftIndex: decided(n), RaftAppliedIndex: executed(n),
		DowngradeInfo: &pb.DowngradeInfo{},
	}
	if !n.Ready {
		resp.Errors = append(resp.Errors, rpctypes.ErrNoLeader.Error())
	}
	for _, a := range store.Alarms() {
		resp.Errors = append(resp.Errors, a.String())
	}
	return resp, nil
}

// decided is the highest slot known to be decided; 0 is none, as in the two below.
func decided(n cluster.Status) uint64 { return last(max(n.Replica.SlotOut, n.Replica.Ahead)) }

// executed is the highest slot that was executed here.
func executed(n cluster.Status) uint64 { return last(n.Replica.SlotOut) }

// last is the slot before one. A replica that is too busy to show itself shows 0.
func last(slot uint64) uint64 { return max(slot, 1) - 1 }

// HashKV hashes the keys at a revision; it is equal on all members.
func (s *maintenanceServer) HashKV(ctx context.Context, r *pb.HashKVRequest) (*pb.HashKVResponse, error) {
	hash, compacted, at, err := s.g.options.Store.HashKV(ctx, r.Revision)
	if err != nil {
		return nil, err
	}
	return &pb.HashKVResponse{
		Header: s.g.header(s.g.options.Store.Revision()), Hash: hash, CompactRevision: compacted, HashRevision: at,
	}, nil
}

// Hash is HashKV at the newest revision: what else is on disk differs between members.
func (s *maintenanceServer) Hash(ctx context.Context, _ *pb.HashRequest) (*pb.HashResponse, error) {
	hash, _, at, err := s.g.options.Store.HashKV(ctx, 0)
	if err != nil {
		return nil, err
	}
	return &pb.HashResponse{Header: s.g.header(at), Hash: hash}, nil
}

// MoveLeader hands the office over to another member, which takes it in one round trip.
// Writes wait for that long and do not fail.
func (s *maintenanceServer) MoveLeader(ctx context.Context, r *pb.MoveLeaderRequest) (*pb.MoveLeaderResponse, error) {
	if r.TargetID == 0 || r.TargetID > math.MaxUint32 {
		return nil, rpctypes.ErrGRPCBadLeaderTransferee
	}
	err := s.g.patiently(ctx, func(ctx context.Context) error { return s.g.options.Node.MoveLeader(ctx, uint32(r.TargetID)) })
	switch {
	case errors.Is(err, cluster.ErrRefused):
		return nil, rpctypes.ErrGRPCBadLeaderTransferee
	case errors.Is(err, cluster.ErrNotInOffice):
		return nil, rpctypes.ErrGRPCNotLeader
	case err != nil:
		return nil, err
	}
	return &pb.MoveLeaderResponse{Header: s.g.header(s.g.options.Store.Revision())}, nil
}

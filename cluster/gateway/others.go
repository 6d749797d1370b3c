package gateway

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// clusterServer is etcd's Cluster service.
type clusterServer struct {
	pb.UnimplementedClusterServer
	g *Gateway
}

// MemberList lists the members.
func (s *clusterServer) MemberList(ctx context.Context, r *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	if r.Linearizable {
		if err := s.g.options.Node.Barrier(ctx); err != nil {
			return nil, err
		}
	}
	resp := &pb.MemberListResponse{Header: s.g.header(0)}
	for _, m := range s.g.options.Members {
		resp.Members = append(resp.Members, &pb.Member{
			ID: uint64(m.ID), Name: m.Name,
			PeerURLs:   []string{url(m.Peer, s.g.options.PeerTLS)},
			ClientURLs: []string{url(m.Client, s.g.options.TLS != nil)},
		})
	}
	return resp, nil
}

func url(address string, secure bool) string {
	if secure {
		return "https://" + address
	}
	return "http://" + address
}

func (s *clusterServer) MemberAdd(context.Context, *pb.MemberAddRequest) (*pb.MemberAddResponse, error) {
	return nil, unimplemented("changing members")
}

func (s *clusterServer) MemberRemove(context.Context, *pb.MemberRemoveRequest) (*pb.MemberRemoveResponse, error) {
	return nil, unimplemented("changing members")
}

func (s *clusterServer) MemberUpdate(context.Context, *pb.MemberUpdateRequest) (*pb.MemberUpdateResponse, error) {
	return nil, unimplemented("changing members")
}

func (s *clusterServer) MemberPromote(context.Context, *pb.MemberPromoteRequest) (*pb.MemberPromoteResponse, error) {
	return nil, unimplemented("changing members")
}

// watchServer, leaseServer and authServer say that they come later.
type (
	watchServer struct{ pb.UnimplementedWatchServer }
	leaseServer struct{ pb.UnimplementedLeaseServer }
	authServer  struct{ pb.UnimplementedAuthServer }
)

func (watchServer) Watch(pb.Watch_WatchServer) error { return unimplemented("Watch") }

func (leaseServer) LeaseGrant(context.Context, *pb.LeaseGrantRequest) (*pb.LeaseGrantResponse, error) {
	return nil, unimplemented("Lease")
}

func (leaseServer) LeaseRevoke(context.Context, *pb.LeaseRevokeRequest) (*pb.LeaseRevokeResponse, error) {
	return nil, unimplemented("Lease")
}

func (leaseServer) LeaseKeepAlive(pb.Lease_LeaseKeepAliveServer) error { return unimplemented("Lease") }

func (leaseServer) LeaseTimeToLive(context.Context, *pb.LeaseTimeToLiveRequest) (*pb.LeaseTimeToLiveResponse, error) {
	return nil, unimplemented("Lease")
}

func (leaseServer) LeaseLeases(context.Context, *pb.LeaseLeasesRequest) (*pb.LeaseLeasesResponse, error) {
	return nil, unimplemented("Lease")
}

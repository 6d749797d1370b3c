package gateway

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// leaseServer is etcd's Lease service.
type leaseServer struct {
	pb.UnimplementedLeaseServer
	g *Gateway
}

// LeaseGrant grants a lease. An id that the client leaves open is chosen here: what is
// executed must be the same everywhere.
func (s *leaseServer) LeaseGrant(ctx context.Context, r *pb.LeaseGrantRequest) (*pb.LeaseGrantResponse, error) {
	r = &pb.LeaseGrantRequest{ID: r.ID, TTL: r.TTL}
	for r.ID == 0 {
		r.ID = rand.Int64()
	}
	if err := kv.CheckLeaseGrant(r); err != nil {
		return nil, err
	}
	resp, err := propose[*pb.LeaseGrantResponse](ctx, s.g, &pb.InternalRaftRequest{LeaseGrant: r})
	if err != nil {
		return nil, err
	}
	resp.Header = s.g.header(resp.Header.GetRevision())
	return resp, nil
}

// LeaseRevoke ends a lease and deletes its keys.
func (s *leaseServer) LeaseRevoke(ctx context.Context, r *pb.LeaseRevokeRequest) (*pb.LeaseRevokeResponse, error) {
	resp, err := propose[*pb.LeaseRevokeResponse](ctx, s.g, &pb.InternalRaftRequest{LeaseRevoke: r})
	if err != nil {
		return nil, err
	}
	resp.Header = s.g.header(resp.Header.GetRevision())
	return resp, nil
}

// LeaseTimeToLive tells what a lease has left, by this node's clock.
func (s *leaseServer) LeaseTimeToLive(ctx context.Context, r *pb.LeaseTimeToLiveRequest) (*pb.LeaseTimeToLiveResponse, error) {
	if err := s.g.freshen(ctx, false); err != nil {
		return nil, err
	}
	store := s.g.options.Store
	resp := &pb.LeaseTimeToLiveResponse{Header: s.g.header(store.Revision()), ID: r.ID}
	left, ttl, err := store.Lessor().Remaining(r.ID)
	if errors.Is(err, rpctypes.ErrGRPCLeaseNotFound) {
		resp.TTL = -1 // etcd's sign for it
		return resp, nil
	}
	if err != nil {
		return nil, err
	}
	resp.TTL, resp.GrantedTTL = int64(left/time.Second), int64(ttl/time.Second)
	if r.Keys {
		if resp.Keys, err = store.LeaseKeys(r.ID); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

// LeaseLeases lists all leases.
func (s *leaseServer) LeaseLeases(ctx context.Context, _ *pb.LeaseLeasesRequest) (*pb.LeaseLeasesResponse, error) {
	if err := s.g.freshen(ctx, false); err != nil {
		return nil, err
	}
	store := s.g.options.Store
	resp := &pb.LeaseLeasesResponse{Header: s.g.header(store.Revision())}
	for _, id := range store.Lessor().Leases() {
		resp.Leases = append(resp.Leases, &pb.LeaseStatus{ID: id})
	}
	return resp, nil
}

// streamRenewals is how many keep-alives of one stream wait at a time.
const streamRenewals = 256

// LeaseKeepAlive renews leases, for as long as the client wants. What has come meanwhile
// is renewed together, and answered in the order in which it came.
func (s *leaseServer) LeaseKeepAlive(stream pb.Lease_LeaseKeepAliveServer) error {
	ctx := stream.Context()
	asked := &asked{ids: make(chan int64, streamRenewals)}
	s.g.running.Go(func() { asked.read(stream) }) // ends with the handler, but after it
	for {
		ids, err := asked.next(ctx)
		if err != nil || len(ids) == 0 {
			return err
		}
		ttls, err := s.g.renewer.renew(ctx, ids)
		if err != nil {
			return err
		}
		header := s.g.header(s.g.options.Store.Revision())
		for i, id := range ids {
			if err := stream.Send(&pb.LeaseKeepAliveResponse{Header: header, ID: id, TTL: ttls[i]}); err != nil {
				return err
			}
		}
	}
}

// asked are the leases that a stream is asked to renew.
type asked struct {
	ids chan int64
	err error // what ended the stream, once ids is closed; nil if its client did
}

func (a *asked) read(stream pb.Lease_LeaseKeepAliveServer) {
	defer close(a.ids)
	for {
		r, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			a.err = err
			return
		}
		select {
		case a.ids <- r.ID:
		case <-stream.Context().Done():
			a.err = stream.Context().Err()
			return
		}
	}
}

// next waits for a keep-alive, and returns all that there are then; none at the end.
func (a *asked) next(ctx context.Context) (ids []int64, err error) {
	select {
	case id, more := <-a.ids:
		if !more {
			return nil, a.err
		}
		ids = append(ids, id)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for len(ids) < streamRenewals {
		select {
		case id, more := <-a.ids:
			if !more {
				return ids, nil
			}
			ids = append(ids, id)
		default:
			return ids, nil
		}
	}
	return ids, nil
}

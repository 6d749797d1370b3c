package gateway

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Alarm lists the alarms, raises one or takes it back.
func (s *maintenanceServer) Alarm(ctx context.Context, r *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	switch r.Action {
	case pb.AlarmRequest_GET:
		return s.alarms(ctx, r.Alarm)
	case pb.AlarmRequest_ACTIVATE:
		if _, err := find(s.g.options.Node.Configuration(), r.MemberID); err != nil && r.Alarm != pb.AlarmType_NONE {
			return nil, err // nobody would take it back
		}
	case pb.AlarmRequest_DEACTIVATE:
	default:
		return nil, status.Errorf(codes.InvalidArgument, "pmmc: %d is no action of an alarm", r.Action)
	}
	if r.Alarm == pb.AlarmType_NONE || r.MemberID == 0 { // one that is never raised
		return &pb.AlarmResponse{Header: s.g.header(s.g.options.Store.Revision())}, nil
	}
	resp, err := propose[*pb.AlarmResponse](ctx, s.g, &pb.InternalRaftRequest{Alarm: r})
	if err != nil {
		return nil, err
	}
	resp.Header = s.g.header(resp.Header.GetRevision())
	return resp, nil
}

// alarms are those of a type; NONE is every type.
func (s *maintenanceServer) alarms(ctx context.Context, of pb.AlarmType) (*pb.AlarmResponse, error) {
	if err := s.g.patiently(ctx, s.g.options.Node.Barrier); err != nil {
		return nil, err
	}
	store := s.g.options.Store
	resp := &pb.AlarmResponse{Header: s.g.header(store.Revision())}
	for _, a := range store.Alarms() {
		if of == pb.AlarmType_NONE || of == a.Alarm {
			resp.Alarms = append(resp.Alarms, a)
		}
	}
	return resp, nil
}

// Defragment gives back the space of what was deleted and compacted, which would go with
// later writes, too. Reads and writes go on meanwhile.
func (s *maintenanceServer) Defragment(ctx context.Context, _ *pb.DefragmentRequest) (*pb.DefragmentResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.g.life, cancel)()
	if err := s.g.options.Store.Reclaim(ctx); err != nil {
		return nil, err
	}
	return &pb.DefragmentResponse{Header: s.g.header(s.g.options.Store.Revision())}, nil
}

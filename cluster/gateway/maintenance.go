package gateway

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/version"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/cluster"
)

// maintenanceServer is etcd's Maintenance service.
type maintenanceServer struct {
	pb.UnimplementedMaintenanceServer
	g *Gateway
}

// Status shows this member.
func (s *maintenanceServer) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	n, store := s.g.options.Node.Status(), s.g.options.Store
	resp := &pb.StatusResponse{
		Header: s.g.header(store.Revision()), Version: version.Version, StorageVersion: "3.6",
		DbSize: store.Size(), DbSizeInUse: store.SizeInUse(),
		Leader: uint64(n.Replica.Office.Leader), RaftTerm: n.Replica.Office.Round,
		RaftIndex: decided(n), RaftAppliedIndex: n.Replica.SlotOut - 1,
	}
	if !n.Ready {
		resp.Errors = append(resp.Errors, "pmmc: no leader is known to be in office")
	}
	return resp, nil
}

// decided is the highest slot known to be decided.
func decided(n cluster.Status) uint64 { return max(n.Replica.SlotOut, n.Replica.Ahead) - 1 }

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

// Alarm lists the alarms, of which there are none yet.
func (s *maintenanceServer) Alarm(_ context.Context, r *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	if r.Action == pb.AlarmRequest_ACTIVATE {
		return nil, unimplemented("raising alarms")
	}
	return &pb.AlarmResponse{Header: s.g.header(s.g.options.Store.Revision())}, nil
}

// Defragment has nothing to do: Pebble frees space as it goes.
func (s *maintenanceServer) Defragment(context.Context, *pb.DefragmentRequest) (*pb.DefragmentResponse, error) {
	return &pb.DefragmentResponse{Header: s.g.header(s.g.options.Store.Revision())}, nil
}

// Hash is offered as HashKV only: what is on disk differs between members.
func (s *maintenanceServer) Hash(context.Context, *pb.HashRequest) (*pb.HashResponse, error) {
	return nil, unimplemented("Hash (use HashKV)")
}

// MoveLeader comes with membership changes.
func (s *maintenanceServer) MoveLeader(context.Context, *pb.MoveLeaderRequest) (*pb.MoveLeaderResponse, error) {
	return nil, unimplemented("MoveLeader")
}

// Downgrade has nothing to go down to.
func (s *maintenanceServer) Downgrade(context.Context, *pb.DowngradeRequest) (*pb.DowngradeResponse, error) {
	return nil, unimplemented("Downgrade")
}

// snapshotPart is how much of a snapshot goes into one message, in bytes.
const snapshotPart = 64 << 10

// sector is what the length of a snapshot, without its checksum, is a multiple of.
const sector = 512

// Snapshot streams the state as it is now, and its SHA-256 at the end, as etcd does.
// What is inside is pmmc's own format.
func (s *maintenanceServer) Snapshot(_ *pb.SnapshotRequest, stream pb.Maintenance_SnapshotServer) error {
	from, err := s.g.options.Store.Snapshot()
	if err != nil {
		return fmt.Errorf("gateway: snapshot: %w", err)
	}
	if c, ok := from.(io.Closer); ok {
		defer c.Close()
	}
	out := &snapshotStream{stream: stream, remaining: uint64(s.g.options.Store.Size())}
	sum := sha256.New()
	both := io.MultiWriter(out, sum)
	n, err := from.WriteTo(both)
	if err != nil {
		return fmt.Errorf("gateway: snapshot: %w", err)
	}
	// etcd's clients take a file for whole when all but its checksum is full sectors.
	if _, err := both.Write(make([]byte, (sector-n%sector)%sector)); err != nil {
		return fmt.Errorf("gateway: snapshot: %w", err)
	}
	if err := out.flush(); err != nil {
		return err
	}
	return stream.Send(&pb.SnapshotResponse{Blob: sum.Sum(nil), Version: version.Version})
}

// snapshotStream gathers what is written into messages.
type snapshotStream struct {
	stream    pb.Maintenance_SnapshotServer
	part      []byte
	remaining uint64 // a guess: how long the stream gets is known at its end
}

// Write adds to the stream.
func (w *snapshotStream) Write(b []byte) (int, error) {
	w.part = append(w.part, b...)
	if len(w.part) < snapshotPart {
		return len(b), nil
	}
	return len(b), w.flush()
}

func (w *snapshotStream) flush() error {
	w.remaining -= min(w.remaining, uint64(len(w.part)))
	err := w.stream.Send(&pb.SnapshotResponse{Blob: w.part, RemainingBytes: w.remaining, Version: version.Version})
	w.part = nil
	return err
}

func unimplemented(what string) error {
	return status.Errorf(codes.Unimplemented, "pmmc: %s is not offered yet; see docs/etcd-api.md", what)
}

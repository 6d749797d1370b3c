package gateway

import (
	"bufio"
	"fmt"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// snapshotPart is how much of a snapshot goes into one message, in bytes.
const snapshotPart = 64 << 10

// Snapshot streams the state as it is now, as kv.WriteFile writes it. A backup of a node that
// has not caught up would lack what that node had acknowledged.
func (s *maintenanceServer) Snapshot(_ *pb.SnapshotRequest, stream pb.Maintenance_SnapshotServer) error {
	if err := s.g.freshen(stream.Context(), true); err != nil {
		return err
	}
	store := s.g.options.Store
	from, err := store.Snapshot()
	if err != nil {
		return fmt.Errorf("gateway: snapshot: %w", err)
	}
	if c, ok := from.(io.Closer); ok {
		defer c.Close()
	}
	out := &snapshotStream{stream: stream, header: s.g.header(store.Revision()), remaining: uint64(store.Size())}
	parts := bufio.NewWriterSize(out, snapshotPart)
	if err := kv.WriteFile(parts, from); err != nil {
		return fmt.Errorf("gateway: snapshot: %w", err)
	}
	return parts.Flush()
}

// snapshotStream sends what is written.
type snapshotStream struct {
	stream    pb.Maintenance_SnapshotServer
	header    *pb.ResponseHeader // for the first message
	remaining uint64             // a guess: how long the stream gets is known at its end
}

// Write sends b, in parts that are not too large for a client.
func (w *snapshotStream) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		part := b[:min(len(b), snapshotPart)]
		if err = w.send(part); err == nil {
			b, n = b[len(part):], n+len(part)
		}
	}
	return n, err
}

// send sends b, which gRPC has copied when it returns.
func (w *snapshotStream) send(b []byte) error {
	w.remaining -= min(w.remaining, uint64(len(b)))
	err := w.stream.Send(&pb.SnapshotResponse{
		Header: w.header, Blob: b, RemainingBytes: w.remaining, Version: clusterVersion(),
	})
	w.header = nil
	return err
}

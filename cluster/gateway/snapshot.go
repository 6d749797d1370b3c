package gateway

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

const (
	// snapshotPart is how much of a snapshot goes into one message, in bytes.
	snapshotPart = 64 << 10
	// snapshotSector is what the length of a snapshot, less its checksum, is a
	// multiple of: that is how etcd's tools tell a whole file.
	snapshotSector = 512
)

// Snapshot streams the state as it is now: what kv.Store.Restore reads, zeros up to a
// multiple of snapshotSector, and the SHA-256 of all that. Restore ends where its own
// checksum does, so a file of the whole stream can be restored as it is.
func (s *maintenanceServer) Snapshot(_ *pb.SnapshotRequest, stream pb.Maintenance_SnapshotServer) error {
	store := s.g.options.Store
	from, err := store.Snapshot()
	if err != nil {
		return fmt.Errorf("gateway: snapshot: %w", err)
	}
	if c, ok := from.(io.Closer); ok {
		defer c.Close()
	}
	out := &snapshotStream{stream: stream, header: s.g.header(store.Revision()), remaining: uint64(store.Size()), sum: sha256.New()}
	parts := bufio.NewWriterSize(out, snapshotPart)
	if _, err := from.WriteTo(parts); err != nil {
		return fmt.Errorf("gateway: snapshot: %w", err)
	}
	if err := parts.Flush(); err != nil {
		return err
	}
	if err := out.send(make([]byte, out.missing())); err != nil {
		return err
	}
	return out.send(out.sum.Sum(nil))
}

// snapshotStream sends what is written.
type snapshotStream struct {
	stream    pb.Maintenance_SnapshotServer
	header    *pb.ResponseHeader // for the first message
	sum       hash.Hash
	written   uint64
	remaining uint64 // a guess: how long the stream gets is known at its end
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

// missing is how many bytes there are to the next multiple of snapshotSector.
func (w *snapshotStream) missing() uint64 {
	return (snapshotSector - w.written%snapshotSector) % snapshotSector
}

// send sends b, which gRPC has copied when it returns.
func (w *snapshotStream) send(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, _ = w.sum.Write(b) // a hash takes all
	w.written += uint64(len(b))
	w.remaining -= min(w.remaining, uint64(len(b)))
	err := w.stream.Send(&pb.SnapshotResponse{
		Header: w.header, Blob: b, RemainingBytes: w.remaining, Version: clusterVersion(),
	})
	w.header = nil
	return err
}

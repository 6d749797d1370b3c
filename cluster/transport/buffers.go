package transport

import (
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// buffers are what batches are encoded into and read from. gRPC's own pool has none
// between 32 KiB and 1 MiB, and clears a whole one each time: a tenth of a busy node's CPU.
var buffers = newBuffers(8, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22)

// newBuffers makes a pool of buffers with sizes of powers of 2.
func newBuffers(exponents ...uint8) mem.BufferPool {
	pool, err := mem.NewBinaryTieredBufferPool(exponents...)
	if err != nil {
		panic(err) // of exponents beyond an address's
	}
	return pool
}

// pooled is gRPC's codec for protobuf, with buffers of this package.
type pooled struct{}

// Name is that of gRPC's own: it is what goes over the wire that counts.
func (pooled) Name() string { return "proto" }

// Marshal is called by gRPC for each message to be sent.
func (pooled) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("transport: cannot encode a %T: want a message", v)
	}
	b := buffers.Get(proto.Size(m))
	if _, err := (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend((*b)[:0], m); err != nil {
		buffers.Put(b)
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(b, buffers)}, nil
}

// Unmarshal is called by gRPC for each message that came. What it decodes keeps nothing
// of the bytes.
func (pooled) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("transport: cannot decode a %T: want a message", v)
	}
	flat := data.MaterializeToBuffer(buffers)
	defer flat.Free()
	return proto.Unmarshal(flat.ReadOnlyData(), m)
}

package transport

import (
	"errors"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of protoactor's remote.proto.
const (
	batchField     protowire.Number = 1 // RemoteMessage.message_batch
	typeNamesField protowire.Number = 1 // of a MessageBatch
	targetsField   protowire.Number = 2
	envelopesField protowire.Number = 3
	headerField    protowire.Number = 6 // MessageEnvelope.message_header
)

// maxTypes is how many names of types a batch may list.
const maxTypes = 64

var (
	errCrowded   = errors.New("transport: batch of too many parts")
	errHeaders   = errors.New("transport: batch with senders, headers or unknown fields")
	errMalformed = errors.New("transport: batch is not protobuf")
)

// codec is protobuf's, but looks at the bytes before it believes them: two bytes of
// an empty envelope would become a hundred of memory.
type codec struct {
	pooled
	messages int // in a batch
	refused  func(error)
}

func newCodec(messages int, refused func(error)) codec {
	return codec{messages: messages, refused: refused}
}

// Unmarshal is called by gRPC for each message that came.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if _, ok := v.(*remote.RemoteMessage); !ok {
		return c.pooled.Unmarshal(data, v)
	}
	flat := data.MaterializeToBuffer(buffers)
	defer flat.Free()
	if err := scan(flat.ReadOnlyData(), c.messages); err != nil {
		c.refused(err)
		return err
	}
	return c.pooled.Unmarshal(mem.BufferSlice{flat}, v)
}

// scan counts the parts of the batches in an encoded RemoteMessage.
func scan(b []byte, messages int) error {
	var types, targets, envelopes int
	return fields(b, func(n protowire.Number, batch []byte) error {
		if n != batchField {
			return nil
		}
		return fields(batch, func(n protowire.Number, part []byte) error {
			switch n {
			case typeNamesField:
				types++
			case targetsField:
				targets++
			case envelopesField:
				envelopes++
				if err := fields(part, noHeader); err != nil {
					return err
				}
			default:
				return errHeaders
			}
			if types > maxTypes || targets > messages || envelopes > messages {
				return errCrowded
			}
			return nil
		})
	})
}

func noHeader(n protowire.Number, _ []byte) error {
	if n == headerField {
		return errHeaders
	}
	return nil
}

// fields calls f with each field of an encoded message, and its bytes if it has some.
func fields(b []byte, f func(protowire.Number, []byte) error) error {
	for len(b) > 0 {
		number, wire, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errMalformed
		}
		b = b[n:]
		var value []byte
		if wire == protowire.BytesType {
			value, n = protowire.ConsumeBytes(b)
		} else {
			n = protowire.ConsumeFieldValue(number, wire, b)
		}
		if n < 0 {
			return errMalformed
		}
		b = b[n:]
		if err := f(number, value); err != nil {
			return err
		}
	}
	return nil
}

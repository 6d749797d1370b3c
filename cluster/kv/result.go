package kv

import (
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// A result is one byte that says what follows: the text of an error, or the
// marshalled response.
const (
	resultError = iota
	resultPut
	resultDeleteRange
	resultTxn
	resultCompaction
	resultLeaseGrant
	resultLeaseRevoke
	resultLeaseRenewal
	resultAlarm
)

// Sessions keep results in the replicated state, so equal responses must be equal bytes.
var marshalling = proto.MarshalOptions{Deterministic: true}

func appendResult(dst []byte, kind byte, response proto.Message) ([]byte, error) {
	dst, err := marshalling.MarshalAppend(append(dst, kind), response)
	if err != nil {
		return nil, fmt.Errorf("kv: marshal %T: %w", response, err)
	}
	return dst, nil
}

func appendRefusal(dst []byte, err error) []byte {
	return append(append(dst, resultError), status.Convert(err).Message()...)
}

// DecodeResult returns what an operation came to: its response (that of a
// LeaseCheckpoint is the same with the times to live), or the error that it was refused
// with, which is one of etcd's rpctypes or of this package. Headers have their revision
// and nothing else.
func DecodeResult(result []byte) (proto.Message, error) {
	if len(result) == 0 {
		return nil, fmt.Errorf("kv: result is empty")
	}
	var response proto.Message
	switch result[0] {
	case resultError:
		return nil, refusal(string(result[1:]))
	case resultPut:
		response = new(pb.PutResponse)
	case resultDeleteRange:
		response = new(pb.DeleteRangeResponse)
	case resultTxn:
		response = new(pb.TxnResponse)
	case resultCompaction:
		response = new(pb.CompactionResponse)
	case resultLeaseGrant:
		response = new(pb.LeaseGrantResponse)
	case resultLeaseRevoke:
		response = new(pb.LeaseRevokeResponse)
	case resultLeaseRenewal:
		response = new(pb.LeaseCheckpointRequest)
	case resultAlarm:
		response = new(pb.AlarmResponse)
	default:
		return nil, fmt.Errorf("kv: result of unknown kind %d", result[0])
	}
	if err := proto.Unmarshal(result[1:], response); err != nil {
		return nil, fmt.Errorf("kv: result %T: %w", response, err)
	}
	return response, nil
}

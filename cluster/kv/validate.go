package kv

import (
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/proto"
)

// Limits bound an operation before it is proposed. They are a node's settings, so
// Apply knows nothing of them: replicas may differ in them, and must not in results.
type Limits struct {
	Ops   int // operations in one list of a transaction; 0 is no limit
	Bytes int // of the marshalled operation; 0 is no limit
}

// Check says why an operation should not be proposed, with etcd's error.
func Check(op *pb.InternalRaftRequest, limits Limits) error {
	if limits.Bytes > 0 && proto.Size(op) > limits.Bytes {
		return rpctypes.ErrGRPCRequestTooLarge
	}
	return checkOperation(op, limits.Ops)
}

// checkOperation is the part of Check that depends on the operation alone.
func checkOperation(op *pb.InternalRaftRequest, maxOps int) error {
	commands := 0
	for _, is := range []bool{
		op.Put != nil, op.DeleteRange != nil, op.Txn != nil, op.Compaction != nil, op.Alarm != nil,
		op.LeaseGrant != nil, op.LeaseRevoke != nil, op.LeaseCheckpoint != nil,
	} {
		if is {
			commands++
		}
	}
	if commands != 1 {
		return ErrMalformed
	}
	switch {
	case op.Put != nil:
		return CheckPut(op.Put)
	case op.DeleteRange != nil:
		return CheckDeleteRange(op.DeleteRange)
	case op.Txn != nil:
		return CheckTxn(op.Txn, maxOps)
	case op.LeaseGrant != nil:
		return CheckLeaseGrant(op.LeaseGrant)
	case op.Alarm != nil:
		return CheckAlarm(op.Alarm)
	default:
		return nil
	}
}

// CheckRange says what is wrong with a range request, whatever the state.
func CheckRange(r *pb.RangeRequest) error {
	if len(r.GetKey()) == 0 {
		return rpctypes.ErrGRPCEmptyKey
	}
	if _, ok := pb.RangeRequest_SortOrder_name[int32(r.SortOrder)]; !ok {
		return rpctypes.ErrGRPCInvalidSortOption
	}
	if _, ok := pb.RangeRequest_SortTarget_name[int32(r.SortTarget)]; !ok {
		return rpctypes.ErrGRPCInvalidSortOption
	}
	return nil
}

// CheckPut says what is wrong with a put, whatever the state.
func CheckPut(r *pb.PutRequest) error {
	switch {
	case len(r.GetKey()) == 0:
		return rpctypes.ErrGRPCEmptyKey
	case r.IgnoreValue && len(r.Value) != 0:
		return rpctypes.ErrGRPCValueProvided
	case r.IgnoreLease && r.Lease != 0:
		return rpctypes.ErrGRPCLeaseProvided
	default:
		return nil
	}
}

// CheckDeleteRange says what is wrong with a deletion, whatever the state.
func CheckDeleteRange(r *pb.DeleteRangeRequest) error {
	if len(r.GetKey()) == 0 {
		return rpctypes.ErrGRPCEmptyKey
	}
	return nil
}

// CheckTxn says what is wrong with a transaction, whatever the state. At most
// maxOps comparisons or operations may stand in one list; those of nested
// transactions count on top of those around them. A maxOps of 0 is no limit.
func CheckTxn(r *pb.TxnRequest, maxOps int) error {
	if maxOps == 0 {
		maxOps = math.MaxInt
	}
	if err := checkTxn(r, maxOps); err != nil {
		return err
	}
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		if _, err := checkOverlap(ops); err != nil {
			return err
		}
	}
	return nil
}

func checkTxn(r *pb.TxnRequest, maxOps int) error {
	ops := max(len(r.GetCompare()), len(r.GetSuccess()), len(r.GetFailure()))
	if ops > maxOps {
		return rpctypes.ErrGRPCTooManyOps
	}
	for _, c := range r.GetCompare() {
		if len(c.GetKey()) == 0 {
			return rpctypes.ErrGRPCEmptyKey
		}
	}
	for _, list := range [][]*pb.RequestOp{r.GetSuccess(), r.GetFailure()} {
		for _, op := range list {
			if err := checkRequestOp(op, maxOps-ops); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkRequestOp(op *pb.RequestOp, maxOps int) error {
	switch op := op.GetRequest().(type) {
	case *pb.RequestOp_RequestRange:
		return CheckRange(op.RequestRange)
	case *pb.RequestOp_RequestPut:
		return CheckPut(op.RequestPut)
	case *pb.RequestOp_RequestDeleteRange:
		return CheckDeleteRange(op.RequestDeleteRange)
	case *pb.RequestOp_RequestTxn:
		return checkTxn(op.RequestTxn, maxOps)
	default:
		return rpctypes.ErrGRPCKeyNotFound // etcd's answer to an operation that is none
	}
}

// IsReadOnly reports whether a transaction only reads, whichever way it goes, and
// so needs no slot.
func IsReadOnly(r *pb.TxnRequest) bool {
	return allOps(r, func(op *pb.RequestOp) bool { return op.GetRequestRange() != nil })
}

// IsSerializable reports whether all reads of a read-only transaction are content
// with the state of any one node.
func IsSerializable(r *pb.TxnRequest) bool {
	return allOps(r, func(op *pb.RequestOp) bool { return op.GetRequestRange().GetSerializable() })
}

func allOps(r *pb.TxnRequest, good func(*pb.RequestOp) bool) bool {
	for _, ops := range [][]*pb.RequestOp{r.GetSuccess(), r.GetFailure()} {
		for _, op := range ops {
			if nested := op.GetRequestTxn(); nested != nil {
				if !allOps(nested, good) {
					return false
				}
			} else if !good(op) {
				return false
			}
		}
	}
	return true
}

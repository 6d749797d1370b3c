package kv

import (
	"errors"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	// ErrClosed is returned by every method of a closed store.
	ErrClosed = errors.New("kv: closed")
	// ErrMalformed is the result of an operation that is not a marshalled
	// InternalRaftRequest with one command of the store.
	ErrMalformed = status.Error(codes.InvalidArgument, "kv: malformed operation")
	// ErrWrites is returned for a transaction that writes and came as a query.
	ErrWrites = status.Error(codes.InvalidArgument, "kv: a query cannot write")
	// ErrLeaseRenewed is the result of the revocation of a lease that had expired, by
	// the clock of who proposed it, and was renewed before that.
	ErrLeaseRenewed = status.Error(codes.FailedPrecondition, "kv: the lease was renewed")
)

// refusals are the errors that an operation may have as its result. A result
// carries the text, as etcd's protocol does, and never the index: the list may grow.
var refusals = []error{
	ErrMalformed,
	rpctypes.ErrGRPCEmptyKey,
	rpctypes.ErrGRPCKeyNotFound,
	rpctypes.ErrGRPCValueProvided,
	rpctypes.ErrGRPCLeaseProvided,
	rpctypes.ErrGRPCLeaseNotFound,
	rpctypes.ErrGRPCLeaseExist,
	rpctypes.ErrGRPCLeaseTTLTooLarge,
	ErrLeaseRenewed,
	rpctypes.ErrGRPCNoSpace,
	rpctypes.ErrGRPCTooManyOps,
	rpctypes.ErrGRPCDuplicateKey,
	rpctypes.ErrGRPCInvalidSortOption,
	rpctypes.ErrGRPCCompacted,
	rpctypes.ErrGRPCFutureRev,
	rpctypes.ErrGRPCRequestTooLarge,
}

// isRefusal tells what an operation did wrong from what the disk did wrong. The
// latter must not become a result: other replicas would not agree with it.
func isRefusal(err error) bool {
	for _, r := range refusals {
		if err == r {
			return true
		}
	}
	return false
}

// refusal returns the error with that text.
func refusal(text string) error {
	for _, r := range refusals {
		if status.Convert(r).Message() == text {
			return r
		}
	}
	return status.Error(codes.Unknown, text)
}

package gateway

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

// errTimeout tells the node's own time limit from the client's.
var errTimeout = errors.New("gateway: the cluster took too long")

// patiently does what needs the cluster, within the node's own time limit. What only
// needs this node, such as a hash of all keys, takes the time that the client gives it.
func (g *Gateway) patiently(ctx context.Context, do func(context.Context) error) error {
	return g.within(ctx, g.limits.Load().Timeout, do)
}

// within does what needs the cluster, and ends it with errTimeout as the cause after a time.
func (g *Gateway) within(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	if p := placeOf(ctx); p != nil && p.of == g.requests { // the request ends with it
		p.limit(limit)
		defer p.unlimit()
		return do(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTimeout)
	defer cancel()
	return do(ctx)
}

// translate gives errors the words that etcd's clients know.
func (g *Gateway) translate(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	switch {
	case errors.Is(err, cluster.ErrBusy):
		return rpctypes.ErrGRPCRequestTooManyRequests
	case errors.Is(err, cluster.ErrTooLong):
		return rpctypes.ErrGRPCRequestTooLarge
	case errors.Is(err, cluster.ErrStopped), errors.Is(err, cluster.ErrSessionEnded), errors.Is(err, kv.ErrClosed):
		return rpctypes.ErrGRPCStopped
	case errors.Is(err, cluster.ErrNotMember), errors.Is(err, cluster.ErrRemoved), errors.Is(err, cluster.ErrNoReplica):
		return status.Errorf(codes.Unavailable, "pmmc: %v", err) // clients turn to others
	case errors.Is(err, cluster.ErrNoMajority):
		return rpctypes.ErrGRPCUnhealthy
	case errors.Is(err, cluster.ErrRefused):
		return status.Errorf(codes.FailedPrecondition, "pmmc: %v", err)
	case errors.Is(err, errTimeout), errors.Is(context.Cause(ctx), errTimeout):
		return rpctypes.ErrGRPCTimeout
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	}
	g.log.Warn("a request failed", "error", err)
	return status.Errorf(codes.Unknown, "pmmc: %v", err)
}

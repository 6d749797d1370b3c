package gateway

import (
	"context"
	"errors"
	"runtime/debug"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/cluster"
)

// isFree tells which methods need no place among the requests under way: an operator
// must be able to look at a node that is flooded.
func isFree(method string) bool {
	return strings.HasPrefix(method, "/grpc.health.") || strings.HasPrefix(method, "/pmmc.")
}

// unary admits, times, measures and guards each call.
func (g *Gateway) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	begin := time.Now()
	defer func() { g.metrics.done(info.FullMethod, err, begin) }()
	if !isFree(info.FullMethod) {
		if err := g.admit(ctx); err != nil {
			return nil, err
		}
		defer g.leave()
	}
	defer g.recovered(info.FullMethod, &err)
	ctx, cancel := context.WithTimeoutCause(ctx, g.options.Limits.Timeout, errTimeout)
	defer cancel()
	resp, err = handle(ctx, req)
	return resp, g.translate(ctx, err)
}

// stream does the same for streams, which have no time limit of their own.
func (g *Gateway) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	begin := time.Now()
	defer func() { g.metrics.done(info.FullMethod, err, begin) }()
	if !isFree(info.FullMethod) {
		if err := g.admit(ss.Context()); err != nil {
			return err
		}
		defer g.leave()
	}
	defer g.recovered(info.FullMethod, &err)
	return g.translate(ss.Context(), handle(srv, ss))
}

// admit finds a place for a request or refuses it at once, before it costs memory.
func (g *Gateway) admit(ctx context.Context) error {
	select {
	case <-g.stopped:
		return rpctypes.ErrGRPCStopped
	default:
	}
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if v := md.Get(rpctypes.MetadataRequireLeaderKey); len(v) > 0 && v[0] == rpctypes.MetadataHasLeader && !g.hasLeader() {
			return rpctypes.ErrGRPCNoLeader
		}
	}
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
		g.metrics.refused.Inc()
		return rpctypes.ErrGRPCRequestTooManyRequests
	}
}

func (g *Gateway) leave() { <-g.slots }

// recovered turns a panic of a handler into an error: it must not end the node.
func (g *Gateway) recovered(method string, err *error) {
	if r := recover(); r != nil {
		g.log.Error("panic while serving a request", "method", method, "reason", r, "stack", string(debug.Stack()))
		*err = status.Errorf(codes.Internal, "pmmc: %s failed; the node's log has the reason", method)
	}
}

// errTimeout tells the node's own time limit from the client's.
var errTimeout = errors.New("gateway: the request took too long")

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
	case errors.Is(err, cluster.ErrStopped):
		return rpctypes.ErrGRPCStopped
	case errors.Is(context.Cause(ctx), errTimeout):
		if !g.hasLeader() {
			return rpctypes.ErrGRPCTimeoutDueToLeaderFail
		}
		return rpctypes.ErrGRPCTimeout
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	}
	return status.Errorf(codes.Unknown, "pmmc: %v", err)
}

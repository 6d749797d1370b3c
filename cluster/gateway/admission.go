package gateway

import (
	"context"
	"runtime/debug"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// looksOnly tells which methods only look at this node. They have places of their
// own: an operator must be able to look at a node that is flooded.
func looksOnly(method string) bool {
	return strings.HasPrefix(method, "/grpc.health.") || strings.HasPrefix(method, "/pmmc.")
}

// lasts tells which streams go on for as long as their clients want, and do little at a
// time. They would take the places of requests for good, so they have their own.
func lasts(method string) bool {
	return method == pb.Watch_Watch_FullMethodName || method == pb.Lease_LeaseKeepAlive_FullMethodName
}

// admit finds a place for a request or refuses it at once, before anything but its
// headers is read.
func (g *Gateway) admit(ctx context.Context, call *tap.Info) (context.Context, error) {
	pool := g.requests
	switch {
	case looksOnly(call.FullMethodName):
		pool = g.looks
	case lasts(call.FullMethodName):
		pool = g.streams[call.FullMethodName]
	}
	if err := g.refusal(call); err != nil {
		return ctx, g.refuse(call, err)
	}
	p := pool.enterStream(ctx, g.limits.Load().Timeout)
	if p == nil {
		return ctx, g.refuse(call, rpctypes.ErrGRPCRequestTooManyRequests)
	}
	return p, nil
}

// refuse counts a refusal.
func (g *Gateway) refuse(call *tap.Info, err error) error {
	g.metrics.refused[codeOf(err)].Add(1)
	if c := g.metrics.rpcs[call.FullMethodName]; c != nil { // others are names that a client made up
		c.outcome(err)
	}
	return err
}

// refusal says why a request has no chance. A gateway that stops, or whose node is leaving,
// serves what comes on the connections that it has until their clients have heard its
// goodbye: not to fail a write that is on its way then, but for what would go on for ever.
func (g *Gateway) refusal(call *tap.Info) error {
	if lasts(call.FullMethodName) && g.open.Err() != nil {
		return rpctypes.ErrGRPCStopped
	}
	if requiresLeader(call.Header) && !g.hasLeader() {
		return g.leader.missing(time.Now())
	}
	return nil
}

// begin makes the place of a request its handler's.
func begin(ctx context.Context) (*place, error) {
	p := placeOf(ctx)
	if !p.begin() {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return p, nil
}

// unary measures and guards a call that was admitted.
func (g *Gateway) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	c := g.metrics.rpcs[info.FullMethod]
	defer c.end(c.begin(), &err)
	p, err := begin(ctx)
	if err != nil {
		return nil, err
	}
	defer p.leave()
	defer g.recovered(info.FullMethod, &err)
	if err := notOffered(info.FullMethod); err != nil {
		return nil, err
	}
	resp, err = handle(ctx, req)
	return resp, g.translate(ctx, err)
}

// stream does the same for streams. Those that would go on for ever end with the
// gateway, and what others can serve as well ends when the node is leaving.
func (g *Gateway) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	c := g.metrics.rpcs[info.FullMethod]
	defer c.end(c.begin(), &err)
	p, err := begin(ss.Context())
	if err != nil {
		return err
	}
	defer p.leave()
	defer g.recovered(info.FullMethod, &err)
	if !looksOnly(info.FullMethod) && !lasts(info.FullMethod) {
		return g.translate(ss.Context(), handle(srv, ss))
	}
	open := g.life
	if lasts(info.FullMethod) {
		open = g.open
	}
	ctx, cancel := g.lasting(ss.Context(), open)
	defer cancel()
	err = handle(srv, &endingStream{ss, ctx})
	if ctx.Err() != nil && ss.Context().Err() == nil {
		return context.Cause(ctx)
	}
	return g.translate(ctx, err)
}

// endingStream is a stream that ends before its client wants it.
type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context ends before the client wants it, too.
func (s *endingStream) Context() context.Context { return s.ctx }

// recovered turns a panic of a handler into an error: it must not end the node.
func (g *Gateway) recovered(method string, err *error) {
	if r := recover(); r != nil {
		g.log.Error("panic while serving a request", "method", method, "reason", r, "stack", string(debug.Stack()))
		*err = status.Errorf(codes.Internal, "pmmc: %s failed; the node's log has the reason", method)
	}
}

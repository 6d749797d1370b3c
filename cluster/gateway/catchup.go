package gateway

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// catchUpPatience is how long a request that needs nothing but this node's state waits until
// the node has caught up. Another node can serve it, so it is not held for longer.
const catchUpPatience = time.Second

// errBehind is Unavailable, on which etcd's clients retry a read and open a stream again, at
// another endpoint if they have one. "no leader" would end their watches for good.
var errBehind = status.Error(codes.Unavailable, "pmmc: this node has started and has not caught up yet; another node may serve this")

// catchUp holds a request until this node's state is as fresh as anything that was
// acknowledged before the node started, which takes a majority. A node that was killed starts
// from the state of its last flush: without this, it would serve what it had long replaced.
// Afterwards catchUp costs one atomic load. The requests that wait keep their places, so
// their number is bounded.
func (g *Gateway) catchUp(ctx context.Context, patience time.Duration) error {
	if g.options.Node.CaughtUp() {
		return nil
	}
	limit := min(patience, g.limits.Load().Timeout)
	var why error // what ended the wait, as the context of within knows it
	err := g.within(ctx, limit, func(ctx context.Context) error {
		err := g.options.Node.Barrier(ctx)
		why = context.Cause(ctx)
		return err
	})
	if err != nil && errors.Is(why, errTimeout) {
		return errBehind
	}
	return err
}

// keepCatchingUp has the node catch up though no client asks for anything. It goes on,
// because a member can lose its replica and be given one again.
func (g *Gateway) keepCatchingUp() {
	again := time.NewTicker(lookPause)
	defer again.Stop()
	for {
		if !g.options.Node.CaughtUp() {
			if err := g.options.Node.Barrier(g.life); err != nil {
				g.log.Debug("the node has not caught up", "error", err)
			}
		}
		select {
		case <-again.C:
		case <-g.options.Node.Done():
			return
		case <-g.life.Done():
			return
		}
	}
}

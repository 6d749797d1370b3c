package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

const (
	// expiryPause is between two looks at what has expired.
	expiryPause = 250 * time.Millisecond
	// maxExpired is how many leases are looked at together.
	maxExpired = 1024
	// maxRevocations is how many revocations are under way at a time: many leases that
	// expire at once must not keep clients waiting.
	maxRevocations = 16
	// OwnCalls is how many calls of the node a gateway makes at a time besides those that
	// its Limits let through, with some to spare: a renewal, revocations and a barrier.
	OwnCalls = 2 * maxRevocations
	// renewalGrace is how long nothing is revoked after a time in which it may not have
	// been possible to renew: long enough for clients to find the node that serves them.
	renewalGrace = 2 * time.Second
)

// expirer has leases revoked that have expired, by the clock of the node whose leader is
// in office. Two nodes may both take themselves for it, and their clocks may differ: a
// revocation says which term of the lease has expired, and is refused in a later one.
type expirer struct {
	ours    func() (round uint64, yes bool) // whether it is for this node to do, and in which office
	lessor  *kv.Lessor
	barrier func(context.Context) error
	revoke  func(context.Context, kv.Expired) error
	log     hclog.Logger

	round uint64        // of the last office in which it was for this node to do
	from  time.Duration // on the lessor's clock: nothing is revoked before
}

func newExpirer(g *Gateway) *expirer {
	return &expirer{
		ours:    g.expires,
		lessor:  g.options.Store.Lessor(),
		barrier: func(ctx context.Context) error { return g.freshen(ctx, false) },
		revoke: func(ctx context.Context, l kv.Expired) error {
			_, err := proposeOwn[*pb.LeaseRevokeResponse](ctx, g, &pb.InternalRaftRequest{
				Header: &pb.RequestHeader{ID: l.Term}, LeaseRevoke: &pb.LeaseRevokeRequest{ID: l.ID},
			})
			return err
		},
		log: g.log,
	}
}

// expires tells whether it is for this node to have leases revoked. If the leader in
// office has no replica beside it, it knows no deadlines: then all nodes do it, which
// costs more and does no harm. Each office has a round of its own.
func (g *Gateway) expires() (round uint64, yes bool) {
	seen := g.seen.Load()
	leader, ok := seen.Configuration.Named(seen.InOffice)
	return seen.Replica.Office.Round, ok && (leader.Name == g.options.Member || !leader.Replica)
}

func (e *expirer) run(ctx context.Context) {
	again := time.NewTicker(expiryPause)
	defer again.Stop()
	for ctx.Err() == nil {
		for e.step(ctx) {
		}
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
}

// step has some leases revoked, and reports whether there may be more.
func (e *expirer) step(ctx context.Context) (more bool) {
	round, ours := e.ours()
	if ours && round != e.round {
		e.round = round
		e.wait()
	}
	if !ours || e.lessor.Now() < e.from || len(e.lessor.Expired(1)) == 0 {
		return false
	}
	// It shows that there is a majority, which may not have been so for long, and that
	// what this node knows of renewals is fresh.
	began := e.lessor.Now()
	if err := e.barrier(ctx); err != nil || e.lessor.Now()-began > renewalGrace {
		e.wait()
		return false
	}
	expired := e.lessor.Expired(maxExpired)
	if err := e.revokeAll(ctx, expired); err != nil {
		e.log.Debug("leases that have expired were not revoked", "error", err)
		return false
	}
	return len(expired) == maxExpired
}

// wait begins a time of grace.
func (e *expirer) wait() { e.from = e.lessor.Now() + renewalGrace }

// revokeAll returns the first error. What is revoked or renewed by now is none.
func (e *expirer) revokeAll(ctx context.Context, expired []kv.Expired) error {
	leases := make(chan kv.Expired, len(expired))
	for _, l := range expired {
		leases <- l
	}
	close(leases)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var workers sync.WaitGroup
	for range min(maxRevocations, len(expired)) {
		workers.Go(func() {
			for l := range leases {
				if ctx.Err() != nil {
					return
				}
				err := e.revoke(ctx, l)
				if err != nil && !errors.Is(err, rpctypes.ErrGRPCLeaseNotFound) && !errors.Is(err, kv.ErrLeaseRenewed) {
					stop(err)
					return
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

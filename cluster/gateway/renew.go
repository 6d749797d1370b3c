package gateway

import (
	"context"
	"fmt"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// maxRenewals is how many leases one operation renews.
const maxRenewals = 1024

// renewer has leases renewed, by decrees, so that it can be done at any node and is in
// force at all of them. One operation is under way at a time, and what comes meanwhile
// goes into the next: the more there are, the less each costs.
type renewer struct {
	propose func(context.Context, *pb.InternalRaftRequest) (*pb.LeaseCheckpointRequest, error)
	woken   chan struct{}

	mu      sync.Mutex
	waiting []*renewal // in the order in which they are proposed
}

// renewal is one operation.
type renewal struct {
	ids  []int64
	ttls []int64 // the answer, once done is closed
	err  error
	done chan struct{}
}

func newRenewer(g *Gateway) *renewer {
	return &renewer{
		woken: make(chan struct{}, 1),
		propose: func(ctx context.Context, op *pb.InternalRaftRequest) (*pb.LeaseCheckpointRequest, error) {
			return proposeOwn[*pb.LeaseCheckpointRequest](ctx, g, op)
		},
	}
}

// renew returns the times to live of leases, in seconds, once they are renewed; 0 is
// that of a lease that there is not. Who waits is a stream, so there is a bound on them.
func (r *renewer) renew(ctx context.Context, ids []int64) (ttls []int64, err error) {
	b, from := r.join(ids)
	select {
	case <-b.done:
		if b.err != nil {
			return nil, b.err
		}
		return b.ttls[from : from+len(ids)], nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join puts leases into an operation that is not under way yet, from a place on.
func (r *renewer) join(ids []int64) (b *renewal, from int) {
	r.mu.Lock()
	if n := len(r.waiting); n > 0 && len(r.waiting[n-1].ids)+len(ids) <= maxRenewals {
		b = r.waiting[n-1]
	} else {
		b = &renewal{done: make(chan struct{})}
		r.waiting = append(r.waiting, b)
	}
	from = len(b.ids)
	b.ids = append(b.ids, ids...)
	r.mu.Unlock()
	select {
	case r.woken <- struct{}{}:
	default:
	}
	return b, from
}

// run proposes until ctx ends. Those who wait then end by themselves.
func (r *renewer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.woken:
		}
		for b := r.take(); b != nil && ctx.Err() == nil; b = r.take() {
			b.ttls, b.err = r.ask(ctx, b.ids)
			close(b.done)
		}
	}
}

// take takes the operation that is proposed next, if there is one.
func (r *renewer) take() *renewal {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		return nil
	}
	b := r.waiting[0]
	r.waiting[0] = nil
	r.waiting = r.waiting[1:]
	return b
}

func (r *renewer) ask(ctx context.Context, ids []int64) (ttls []int64, err error) {
	op := &pb.LeaseCheckpointRequest{Checkpoints: make([]*pb.LeaseCheckpoint, len(ids))}
	for i, id := range ids {
		op.Checkpoints[i] = &pb.LeaseCheckpoint{ID: id}
	}
	answer, err := r.propose(ctx, &pb.InternalRaftRequest{LeaseCheckpoint: op})
	if err != nil {
		return nil, err
	}
	if len(answer.Checkpoints) != len(ids) {
		return nil, fmt.Errorf("gateway: %d leases were renewed and %d answered", len(ids), len(answer.Checkpoints))
	}
	ttls = make([]int64, len(ids))
	for i, c := range answer.Checkpoints {
		ttls[i] = c.Remaining_TTL
	}
	return ttls, nil
}

package gateway

import (
	"context"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// leaderPatience is how long streams that require a leader live without one.
const leaderPatience = 3 * time.Second

// leaderWatch ends the streams that require a leader when there was none for long.
type leaderWatch struct {
	mu    sync.Mutex
	since time.Time // there is no leader; zero while there is one
	ever  bool      // there was one, since the node began
	term  context.Context
	end   context.CancelCauseFunc
}

// note is told whether there is a leader, again and again.
func (l *leaderWatch) note(leader bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case leader:
		l.since, l.ever = time.Time{}, true
	case l.since.IsZero():
		l.since = now
	case l.end != nil && now.Sub(l.since) >= leaderPatience:
		l.end(rpctypes.ErrGRPCNoLeader)
		l.term, l.end = nil, nil
	}
}

// errBegins is for those who come while a node begins: etcd's clients try again, and
// end a watch when they hear of no leader. (etcd itself does not listen yet.)
var errBegins = status.Error(codes.Unavailable, "pmmc: this node has begun, and has yet to hear who is in office")

// missing says, where no leader is known, why.
func (l *leaderWatch) missing(now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ever && (l.since.IsZero() || now.Sub(l.since) < leaderPatience) {
		return errBegins
	}
	return rpctypes.ErrGRPCNoLeader
}

// led returns a context that ends when there was no leader for long.
func (l *leaderWatch) led() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.term == nil {
		l.term, l.end = context.WithCancelCause(context.Background())
	}
	return l.term
}

// lasting returns a context for a stream that goes on for as long as its client wants
// it: it ends, with the reason as its cause, when open does, as the node is leaving, or
// when the leader is gone that the client requires.
func (g *Gateway) lasting(ctx, open context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stops := []func() bool{context.AfterFunc(open, func() { cancel(rpctypes.ErrGRPCStopped) })}
	md, _ := metadata.FromIncomingContext(ctx)
	if requiresLeader(md) {
		led := g.leader.led()
		stops = append(stops, context.AfterFunc(led, func() { cancel(context.Cause(led)) }))
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel(context.Canceled)
	}
}

// requiresLeader tells whether a client wants no answer where no leader is known.
func requiresLeader(md metadata.MD) bool {
	want := md.Get(rpctypes.MetadataRequireLeaderKey)
	return len(want) > 0 && want[0] == rpctypes.MetadataHasLeader
}

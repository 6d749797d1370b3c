// Package gateway serves etcd's v3 API in front of a node: any node serves any
// request. Where it differs from etcd, docs/etcd-api.md says so.
//
//  1. A write is answered when it is decided and executed here, a linearizable read
//     when this node's state is at least as fresh as all that was answered, by any
//     node, before the read came (S8). Neither waits longer than Limits.Timeout.
//     A serializable read, a watch and a snapshot are answered from a state that is as
//     fresh as anything that was answered, by any node, before this node started.
//  2. A request is admitted, or refused with ResourceExhausted at once, before its
//     body is read. Limits bound the requests under way, the bytes of the writes
//     among them, and the connections.
//  3. An error has the code and the text that etcd's clients know (rpctypes), where
//     etcd has one for it.
//  4. A panic while a request is served is an Internal error of that request.
//
// Less formally: a tap handler finds a place for each request, interceptors measure
// and guard it, and the services translate between etcd's messages and the node's.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // which clients may use, as with etcd; what comes out is bounded, too
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/certs"
	"github.com/pmmc-go/pmmc/messages/admin"
)

const (
	// receiveOverhead is what gRPC may receive beyond a request of the limit, so that
	// most of those that are too long get etcd's error, as in etcd.
	receiveOverhead = 512 << 10
	// maxStreams is how many streams one connection may have; others wait at the client.
	maxStreams = 65536
	// streamWorkers are goroutines that serve request after request: each new one has to
	// grow its stack first.
	streamWorkers = 1024
	// window is how much a client may send that is not read yet, in bytes. gRPC would
	// find a size with a ping for every few messages.
	window = 4 << 20
	// maxLooks is how many may look at the node's health or ask for its view at a time.
	maxLooks = 1024
	// maxKeepAlives is how many streams of keep-alives there are, of all clients: each has
	// one, or a few.
	maxKeepAlives = 16384
	// defaultWatchProgress is etcd's.
	defaultWatchProgress = 10 * time.Minute
	// handshakeTime is how long a client may take to make itself known.
	handshakeTime = 10 * time.Second
)

// Gateway is a running gateway.
type Gateway struct {
	options   Options                // Limits among them are those of the start
	limits    atomic.Pointer[Limits] // those of now
	log       hclog.Logger
	clusterID uint64
	grpc      *grpc.Server
	http      *http.Server // nil if nobody asked for it
	json      *jsonGateway // beside it
	page      *page        // and beside that
	began     time.Time
	health    *health.Server
	metrics   *metrics

	requests *places            // of requests under way …
	looks    *places            // … of those that only look at the node …
	streams  map[string]*places // … and of streams that last, by their method
	drained  chan struct{}      // closed when nobody takes a place any more
	watches  atomic.Int64       // of all streams
	bytes    atomic.Int64       // of the writes under way
	renewer  *renewer
	quota    *quota

	seen     atomic.Pointer[cluster.Status] // the node, at most lookPause ago
	expiries atomic.Pointer[expiries]       // of its certificates
	term     atomic.Uint64                  // the highest round that was in office

	answered atomic.Pointer[map[string]time.Time] // when each role last showed itself
	earlier  atomic.Pointer[cluster.Status]       // the node, some seconds ago
	recent   recent

	leader leaderWatch

	clients  *listener
	web      net.Listener
	life     context.Context // ends when Stop begins
	end      context.CancelFunc
	open     context.Context // ends when clients are to turn to other members
	close    context.CancelFunc
	stopOnce sync.Once
	running  sync.WaitGroup
}

// Start serves until Stop.
func Start(o Options) (*Gateway, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.Limits = o.Limits.orDefault()
	o.WatchProgress = cmp.Or(o.WatchProgress, defaultWatchProgress)
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.Clock == nil {
		o.Clock = steady{time.Now()}
	}
	g := &Gateway{
		options: o, log: o.Logger, clusterID: clusterID(o.Cluster), health: health.NewServer(), began: time.Now(),
		requests: newPlaces(o.Limits.InFlight), looks: newPlaces(maxLooks),
		streams: map[string]*places{
			pb.Watch_Watch_FullMethodName:          newPlaces(o.Limits.WatchStreams),
			pb.Lease_LeaseKeepAlive_FullMethodName: newPlaces(maxKeepAlives),
		},
		drained: make(chan struct{}),
	}
	g.limits.Store(&o.Limits)
	g.life, g.end = context.WithCancel(context.Background())
	g.open, g.close = context.WithCancel(g.life)
	g.seen.Store(&cluster.Status{}) // until the first look: a node that begins may take long to show itself
	g.earlier.Store(&cluster.Status{})
	g.expiries.Store(&expiries{})
	g.answered.Store(&map[string]time.Time{})
	g.metrics = newMetrics(g)
	g.renewer = newRenewer(g)
	g.quota = newQuota(g)
	var err error
	if g.json, err = newJSON(g); err != nil {
		g.end()
		return nil, err
	}
	if err := g.listen(); err != nil {
		g.json.close()
		g.end()
		return nil, err
	}
	g.serveGRPC()
	o.Node.Present(g.present)
	g.page = newPage(g)
	if g.web != nil {
		g.serveHTTP()
	}
	g.running.Go(g.keepLooking)
	g.running.Go(g.keepCatchingUp)
	g.running.Go(g.sweep)
	g.running.Go(func() { g.renewer.run(g.life) })
	g.running.Go(func() { newExpirer(g).run(g.life) })
	g.running.Go(func() { g.quota.run(g.life) })
	g.running.Go(g.watchDivergence)
	g.running.Go(g.watchCertificates)
	g.running.Go(func() { newAutoCompactor(g).run(g.life) })
	return g, nil
}

func (g *Gateway) listen() error {
	clients, err := net.Listen("tcp", g.options.Client)
	if err != nil {
		return &ListenError{g.options.Client, err}
	}
	g.clients = newListener(clients, g.connections, &g.metrics.refusedConnections)
	g.clients.received, g.clients.sent = &g.metrics.received, &g.metrics.sent
	if g.options.HTTP == "" {
		return nil
	}
	web, err := net.Listen("tcp", g.options.HTTP)
	if err != nil {
		return errors.Join(&ListenError{g.options.HTTP, err}, clients.Close())
	}
	g.web = newListener(web, g.connections, &g.metrics.refusedConnections)
	return nil
}

func (g *Gateway) serveGRPC() {
	o := g.options
	opts := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(o.Limits.RequestBytes + receiveOverhead),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(handshakeTime),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 2 * time.Hour, Timeout: 20 * time.Second}),
		grpc.InTapHandle(g.admit),
		grpc.ChainUnaryInterceptor(g.unary),
		grpc.ChainStreamInterceptor(g.stream),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.StaticStreamWindowSize(window), grpc.StaticConnWindowSize(window),
		grpc.WaitForHandlers(true), // they use the store, which is closed after this
	}
	if o.TLS != nil {
		opts = append(opts, grpc.Creds(handshakes{certs.Credentials(g.clientTLS), g.handshakeFailed}))
	}
	g.grpc = grpc.NewServer(opts...)
	pb.RegisterKVServer(g.grpc, &kvServer{g: g})
	pb.RegisterMaintenanceServer(g.grpc, &maintenanceServer{g: g})
	pb.RegisterClusterServer(g.grpc, &clusterServer{g: g})
	pb.RegisterWatchServer(g.grpc, &watchServer{g: g})
	pb.RegisterLeaseServer(g.grpc, &leaseServer{g: g})
	pb.RegisterAuthServer(g.grpc, &authServer{g: g})
	healthpb.RegisterHealthServer(g.grpc, g.health)
	admin.RegisterAdminServer(g.grpc, &adminServer{g: g})
	g.metrics.rpcs = rpcsOf(g.grpc)
	g.running.Go(func() {
		if err := g.grpc.Serve(g.clients); err != nil {
			g.log.Error("clients are not served any more", "error", err)
		}
	})
}

// ClientAddr is where clients are served, as host:port.
func (g *Gateway) ClientAddr() string { return g.clients.Addr().String() }

// HTTPAddr is where health, metrics and JSON are served, or "".
func (g *Gateway) HTTPAddr() string {
	if g.web == nil {
		return ""
	}
	return g.web.Addr().String()
}

// turnAway sends clients to other members, and lets the requests under way end.
func (g *Gateway) turnAway() {
	g.close()
	g.health.Shutdown()
	g.clients.closeSilent()
	g.grpc.GracefulStop()
}

// Stop lets the requests under way end, and ends them when ctx does.
func (g *Gateway) Stop(ctx context.Context) error {
	var err error
	g.stopOnce.Do(func() {
		g.end()
		ended := make(chan struct{})
		go func() {
			g.turnAway()
			close(ended)
		}()
		select {
		case <-ended:
		case <-ctx.Done():
			if n := g.requests.count(); n > 0 {
				err = fmt.Errorf("gateway: stop: %w: %d requests under way were cut off", context.Cause(ctx), n)
			}
			g.clients.closeAll()
			g.grpc.Stop()
			<-ended
		}
		close(g.drained)
		g.stopHTTP()
		g.running.Wait()
	})
	return err
}

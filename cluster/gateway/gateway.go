// Package gateway serves etcd's v3 API in front of a node: any node serves any
// request. Where it differs from etcd, docs/etcd-api.md says so.
package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/kv"
	"github.com/pmmc-go/pmmc/messages/admin"
)

// Node is what a gateway needs of a *cluster.Node.
type Node interface {
	Propose(ctx context.Context, operation []byte) (cluster.Result, error)
	Barrier(ctx context.Context) error
	Status() cluster.Status
	Done() <-chan struct{}
}

// Member is a member as clients see it.
type Member struct {
	ID     uint32
	Name   string
	Peer   string // host:port
	Client string // host:port
}

// Options are a gateway's. Client, Node and Store are required.
type Options struct {
	Client  string      // address for clients, host:port
	HTTP    string      // address for health and metrics; none if empty
	TLS     *tls.Config // of both; nil is plaintext
	PeerTLS bool        // members reach each other over TLS; it shows in their URLs
	Node    Node
	Store   *kv.Store
	Cluster string // its name
	Member  uint32 // this member's ID
	Members []Member
	Limits  Limits
	Logger  hclog.Logger
}

// Limits bound what clients can ask for. Zero fields get their defaults.
type Limits struct {
	RequestBytes int           // of a request; 1.5 MiB
	TxnOps       int           // operations of a transaction; 128
	InFlight     int           // requests under way, of all clients; 4096
	Timeout      time.Duration // of a request whose client sets no shorter one; 7 s
}

func (l Limits) orDefault() Limits {
	return Limits{
		RequestBytes: cmp.Or(l.RequestBytes, 3<<19),
		TxnOps:       cmp.Or(l.TxnOps, 128),
		InFlight:     cmp.Or(l.InFlight, 4096),
		Timeout:      cmp.Or(l.Timeout, 7*time.Second),
	}
}

// What gRPC may receive beyond a request of the limit, so that most of those that are
// too long get etcd's error; and streams on one connection.
const (
	receiveOverhead = 512 << 10
	maxStreams      = 65536
)

// Gateway is a running gateway.
type Gateway struct {
	options  Options
	log      hclog.Logger
	grpc     *grpc.Server
	http     *http.Server
	health   *health.Server
	metrics  *metrics
	slots    chan struct{}                  // one for each request under way
	seen     atomic.Pointer[cluster.Status] // the node, at most lookPause ago
	client   net.Listener
	web      net.Listener
	stopped  chan struct{}
	stopOnce sync.Once
	running  sync.WaitGroup
}

// A ListenError says why clients cannot reach a gateway.
type ListenError struct {
	Address string
	Err     error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("gateway: cannot listen on %s: %v", e.Address, e.Err)
}

// Unwrap returns the cause.
func (e *ListenError) Unwrap() error { return e.Err }

// Hint tells the operator what to do about it.
func (e *ListenError) Hint() string {
	return "Is another node, or an etcd, running on it already? If not, give the node another listen address."
}

// Start serves until Stop.
func Start(o Options) (*Gateway, error) {
	o.Limits = o.Limits.orDefault()
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	g := &Gateway{
		options: o, log: o.Logger, health: health.NewServer(), stopped: make(chan struct{}),
		slots: make(chan struct{}, o.Limits.InFlight),
	}
	g.seen.Store(&cluster.Status{}) // until the first look
	g.metrics = newMetrics(g)
	if err := g.listen(); err != nil {
		return nil, err
	}
	g.serveGRPC()
	if g.web != nil {
		g.serveHTTP()
	}
	g.running.Add(1)
	go g.keepLooking()
	return g, nil
}

func (g *Gateway) listen() (err error) {
	if g.client, err = net.Listen("tcp", g.options.Client); err != nil {
		return &ListenError{g.options.Client, err}
	}
	if g.options.HTTP == "" {
		return nil
	}
	if g.web, err = net.Listen("tcp", g.options.HTTP); err != nil {
		return errors.Join(&ListenError{g.options.HTTP, err}, g.client.Close())
	}
	return nil
}

func (g *Gateway) serveGRPC() {
	o := g.options
	opts := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(o.Limits.RequestBytes + receiveOverhead),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 2 * time.Hour, Timeout: 20 * time.Second}),
		grpc.ChainUnaryInterceptor(g.unary),
		grpc.ChainStreamInterceptor(g.stream),
	}
	if o.TLS != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(o.TLS)))
	}
	g.grpc = grpc.NewServer(opts...)
	etcdserverpb.RegisterKVServer(g.grpc, &kvServer{g: g})
	etcdserverpb.RegisterMaintenanceServer(g.grpc, &maintenanceServer{g: g})
	etcdserverpb.RegisterClusterServer(g.grpc, &clusterServer{g: g})
	etcdserverpb.RegisterWatchServer(g.grpc, watchServer{})
	etcdserverpb.RegisterLeaseServer(g.grpc, leaseServer{})
	etcdserverpb.RegisterAuthServer(g.grpc, authServer{})
	healthpb.RegisterHealthServer(g.grpc, g.health)
	admin.RegisterAdminServer(g.grpc, &adminServer{cluster: o.Cluster, status: o.Node.Status, database: o.Store.Size})
	g.running.Go(func() {
		if err := g.grpc.Serve(g.client); err != nil {
			g.log.Error("clients are not served any more", "error", err)
		}
	})
}

// ClientAddr is where clients are served, as host:port.
func (g *Gateway) ClientAddr() string { return g.client.Addr().String() }

// HTTPAddr is where health and metrics are served, or "".
func (g *Gateway) HTTPAddr() string {
	if g.web == nil {
		return ""
	}
	return g.web.Addr().String()
}

// keepLooking keeps what is seen of the node, and the health service, up to date.
func (g *Gateway) keepLooking() {
	defer g.running.Done()
	again := time.NewTicker(lookPause)
	defer again.Stop()
	for {
		g.look()
		serving := healthpb.HealthCheckResponse_NOT_SERVING
		if g.hasLeader() {
			serving = healthpb.HealthCheckResponse_SERVING
		}
		g.health.SetServingStatus("", serving)
		for name := range g.grpc.GetServiceInfo() {
			g.health.SetServingStatus(name, serving)
		}
		select {
		case <-again.C:
		case <-g.options.Node.Done():
			g.health.Shutdown()
			return
		case <-g.stopped:
			return
		}
	}
}

func (g *Gateway) look() {
	s := g.options.Node.Status()
	g.seen.Store(&s)
}

func (g *Gateway) hasLeader() bool { return g.seen.Load().InOffice != "" }

// lookPause is how old the term in a header and the health service's answer may be.
const lookPause = 200 * time.Millisecond

// Stop lets the requests under way end, and ends them when ctx does.
func (g *Gateway) Stop(ctx context.Context) error {
	var err error
	g.stopOnce.Do(func() {
		close(g.stopped)
		g.health.Shutdown()
		ended := make(chan struct{})
		go func() {
			g.grpc.GracefulStop()
			close(ended)
		}()
		select {
		case <-ended:
		case <-ctx.Done():
			err = fmt.Errorf("gateway: stop: %w: requests under way were cut off", context.Cause(ctx))
			g.grpc.Stop()
			<-ended
		}
		if g.http != nil {
			err = errors.Join(err, g.http.Close())
		}
		g.running.Wait()
	})
	return err
}

// clusterID is the cluster's number, from its name.
func (g *Gateway) clusterID() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(g.options.Cluster)) // a hash takes all
	return h.Sum64()
}

// header is what each response begins with.
func (g *Gateway) header(revision int64) *etcdserverpb.ResponseHeader {
	return &etcdserverpb.ResponseHeader{
		ClusterId: g.clusterID(), MemberId: uint64(g.options.Member), Revision: revision,
		RaftTerm: g.seen.Load().Replica.Office.Round, // what etcd calls the term
	}
}

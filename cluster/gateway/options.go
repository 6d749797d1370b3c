package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/certs"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

// Node is what a gateway needs of a *cluster.Node. Where a context ends a call, its
// cause is in the chain of the error.
type Node interface {
	Propose(ctx context.Context, operation []byte) (cluster.Result, error)
	Barrier(ctx context.Context) error
	CaughtUp() bool
	Status() cluster.Status
	Configuration() actors.Configuration
	LatestConfiguration(ctx context.Context) (actors.Configuration, error)
	Reconfigure(ctx context.Context, change cluster.Change) (actors.Configuration, error)
	MoveLeader(ctx context.Context, to uint32) error
	Present(show func() []byte)
	Ask(ctx context.Context, member string) ([]byte, error)
	Leaving() <-chan struct{}
	Ending() <-chan struct{}
	Done() <-chan struct{}
}

// Options are a gateway's. Client, Node and Store are required.
type Options struct {
	Client  string       // address for clients, host:port
	HTTP    string       // address for health, metrics, JSON and the page; none if empty
	TLS     certs.Source // of both, asked at each handshake; nil is plaintext
	PeerTLS certs.Source // with which members reach each other: it shows in their URLs; nil is plaintext
	Node    Node
	Store   *kv.Store
	Cluster string // its name
	Member  string // this member's name
	Limits  Limits
	Logger  hclog.Logger

	// WatchProgress is how often watches that ask for it hear that there was nothing; 0
	// is 10 minutes. Up to a tenth is added.
	WatchProgress time.Duration

	AutoCompaction AutoCompaction
	Clock          Pacer // of AutoCompaction; nil is the process's
}

func (o Options) check() error {
	switch {
	case o.Client == "":
		return errors.New("gateway: options: Client is missing")
	case o.Node == nil:
		return errors.New("gateway: options: Node is missing")
	case o.Store == nil:
		return errors.New("gateway: options: Store is missing")
	}
	return o.AutoCompaction.check()
}

// Limits bound what clients can ask for. Zero fields get their defaults.
type Limits struct {
	RequestBytes  int           // of a request
	TxnOps        int           // operations of a transaction
	InFlight      int           // requests under way, of all clients; the node needs OwnCalls more
	InFlightBytes int           // of the writes under way
	Connections   int           // of clients
	WatchStreams  int           // of all clients
	Watches       int           // in them
	Timeout       time.Duration // of the cluster's part in a request
	Quota         int64         // of the database, in bytes: what Store.SizeInUse may be
}

// DefaultLimits returns what zero fields of Limits stand for.
func DefaultLimits() Limits {
	return Limits{
		RequestBytes: 3 << 19, TxnOps: 128, InFlight: 4096, InFlightBytes: 256 << 20, Connections: 8192,
		WatchStreams: 16384, Watches: 1 << 20, Timeout: 7 * time.Second, Quota: 2 << 30,
	}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	return Limits{
		RequestBytes:  cmp.Or(l.RequestBytes, d.RequestBytes),
		TxnOps:        cmp.Or(l.TxnOps, d.TxnOps),
		InFlight:      cmp.Or(l.InFlight, d.InFlight),
		InFlightBytes: cmp.Or(l.InFlightBytes, d.InFlightBytes),
		Connections:   cmp.Or(l.Connections, d.Connections),
		WatchStreams:  cmp.Or(l.WatchStreams, d.WatchStreams),
		Watches:       cmp.Or(l.Watches, d.Watches),
		Timeout:       cmp.Or(l.Timeout, d.Timeout),
		Quota:         cmp.Or(l.Quota, d.Quota),
	}
}

// SetLimits changes the limits while the gateway runs, but for those by which it was
// built: RequestBytes, InFlight, WatchStreams and Watches stay. What is under way is not
// cut off.
func (g *Gateway) SetLimits(l Limits) {
	l = l.orDefault()
	built := g.options.Limits
	l.RequestBytes, l.InFlight, l.WatchStreams, l.Watches = built.RequestBytes, built.InFlight, built.WatchStreams, built.Watches
	g.limits.Store(&l)
	wake(g.quota.woken)
}

// connections is how many each listener may have open.
func (g *Gateway) connections() int { return g.limits.Load().Connections }

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
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return "Is another node, or an etcd, running on it already? If not, give the node another listen address."
	case errors.Is(e.Err, syscall.EACCES):
		return "Ports below 1024 need a privilege; give the node a higher one."
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return "This machine has no such address; give the node one that it has."
	}
	return "Listen addresses have the form host:port."
}

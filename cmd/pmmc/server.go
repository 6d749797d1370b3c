package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/diskfull"
	"github.com/pmmc-go/pmmc/cluster/gateway"
	"github.com/pmmc-go/pmmc/cluster/kv"
	"github.com/pmmc-go/pmmc/config"
)

// server is one member at work: its store, its node, and the gateway in front.
type server struct {
	node  *cluster.Node
	serve func() error // starts the gateway

	mu      sync.Mutex // a reload may come while the member joins
	config  *config.Config
	store   *kv.Store
	gateway *gateway.Gateway // nil while the member joins, or its state is fetched anew
}

// newLogger logs to w as the configuration wants it.
func newLogger(c *config.Config, w io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: "pmmc", Level: hclog.LevelFromString(c.Node.LogLevel), Output: w, JSONFormat: c.Node.LogFormat == "json",
	}).With("node", c.Node.Name)
}

// startServer starts a member. It serves once it is ready. Observe, if not nil, is told
// what its roles do.
func startServer(c *config.Config, secure serverTLS, observe func(actors.Event), log hclog.Logger) (*server, error) {
	if addresses := exposed(c); len(addresses) > 0 {
		log.Warn("plaintext leaves this machine: whoever is on the way can read and change it", "addresses", addresses)
	}
	if err := checkFree(c.Listen); err != nil {
		return nil, advise(err)
	}
	if err := cluster.Claim(c.Node.DataDir, log); err != nil {
		return nil, advise(err)
	}
	store, err := openStore(cluster.StateDir(c.Node.DataDir), hasOthers(c), log)
	if err != nil {
		return nil, advise(err)
	}
	o := clusterOptions(c, log)
	o.Machine, o.TLS, o.Observe = store, secure.peer, observe
	s := &server{config: c, store: store}
	if s.node, err = cluster.Start(o); err != nil {
		return nil, advise(err) // it has closed the store
	}
	s.serve = func() (err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.gateway, err = gateway.Start(gatewayOptions(c, secure, s.node, store, log)); err != nil {
			return advise(err)
		}
		log.Info("listening", "client", c.Listen.Client, "http", c.Listen.HTTP, "peer", c.Listen.Peer)
		return nil
	}
	if s.servesLater() {
		return s, nil // clients would wait for long, or read what is not there yet
	}
	if err := s.serve(); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// joins tells whether the node's member is not in the cluster yet, as far as it knows.
func (s *server) joins() bool { return s.node.Configuration().Epoch == 0 }

// servesLater tells whether clients have to wait until the node has caught up: its member
// is not in the cluster yet, or its state was damaged and is fetched anew.
func (s *server) servesLater() bool { return s.joins() || s.store.IsRebuilt() }

// hasOthers tells whether other members may have what this one's state is made of.
func hasOthers(c *config.Config) bool { return len(c.Members) > 1 || len(c.Join) > 0 }

// openStore opens a member's key-value store; one that is damaged is begun anew where
// others have what it held. What this process writes from here on is nobody else's to
// read, wherever it is.
func openStore(dir string, rebuild bool, log hclog.Logger) (*kv.Store, error) {
	syscall.Umask(0o077)
	return kv.Open(kv.Options{Dir: dir, Logger: log.Named("kv"), Rebuild: rebuild})
}

// checkFree tries addresses before anything is opened, so that a port that is taken
// costs no start of the node. Who listens there says so, too, when one is taken just then.
func checkFree(on config.Listen) error {
	for _, a := range []struct{ name, address string }{{"peer", on.Peer}, {"client", on.Client}, {"http", on.HTTP}} {
		if a.address == "" {
			continue
		}
		l, err := net.Listen("tcp", a.address)
		if err != nil {
			return fmt.Errorf("listen.%s: %w", a.name, err)
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// advise adds what to do to errors of the system that do not say so themselves.
func advise(err error) error {
	var unusable *cluster.UnusableError
	var h interface{ Hint() string }
	switch {
	case errors.As(err, &unusable) && (errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENOENT)): // others may pass: a volume that is mounted late
		return &usageError{err: err}
	case errors.As(err, &h):
		return err
	case errors.Is(err, syscall.EADDRINUSE):
		return &hinted{err, "Is another node, or this one, running on it already? If not, give the node another address, in the block listen of its " +
			"configuration: without it, http is 127.0.0.1:2380, and peer and client are those of its member."}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return &hinted{err, "This machine has no such address: give the node one that it has, in the block listen of its configuration."}
	case errors.Is(err, syscall.EAGAIN):
		return &hinted{err, "Another process has this data directory open. Stop it, or give this node a directory of its own."}
	case diskfull.Is(err):
		return &hinted{err, "The disk of the data directory is full, or has no inode or no quota left. Make room, then start the node again: what was acknowledged is there."}
	case errors.Is(err, syscall.EACCES):
		return &hinted{err, "Run the node as the user who owns its data directory; ports below 1024 need a privilege."}
	}
	return err
}

// readyPause is between two looks at whether the server is ready.
const readyPause = 50 * time.Millisecond

// waitReady returns once the server has been able to answer a request, or, where the
// member has no replica to ask, once its roles run.
func (s *server) waitReady(ctx context.Context) error {
	again := time.NewTicker(readyPause)
	defer again.Stop()
	for {
		err := s.node.Barrier(ctx)
		if err == nil || ctx.Err() != nil || errors.Is(err, cluster.ErrStopped) {
			return err
		}
		if errors.Is(err, cluster.ErrNoReplica) && s.node.Status().Ready {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
}

// joinPatience is how long a node that was told to join waits before it says what for:
// it may have been added before it was started.
const joinPatience = time.Second

// join serves clients once the member is in the cluster and has caught up.
func (s *server) join(ctx context.Context, err io.Writer) error {
	s.waitAdded(ctx, err)
	if s.waitReady(ctx) != nil {
		return nil // it ends
	}
	return s.serve()
}

// waitAdded returns once the cluster has added the member, and says how it is done when
// that takes long.
func (s *server) waitAdded(ctx context.Context, err io.Writer) {
	again := time.NewTicker(readyPause)
	defer again.Stop()
	ask := time.NewTimer(joinPatience)
	defer ask.Stop()
	for s.joins() {
		select {
		case <-again.C:
		case <-ask.C:
			me := s.config.Self()
			fmt.Fprintf(err, "waiting: node %s is no member of cluster %q yet; to add it, with the --endpoints of members: pmmc member add %s --peer %s --client %s\n",
				me.Name, s.config.Cluster, me.Name, me.Peer, me.Client)
		case <-ctx.Done():
			return
		}
	}
}

// stop ends the server cleanly: the office is handed over, and then who asks ends first,
// who answers last. Requests under way have half of the time, so that the node has the
// other.
func (s *server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.Limits.ShutdownTimeout)
	defer cancel()
	requests, cut := context.WithTimeout(ctx, s.config.Limits.ShutdownTimeout/2)
	defer cut()
	s.node.HandOver(requests)
	var err error
	if s.gateway != nil {
		err = s.gateway.Stop(requests)
	}
	return errors.Join(err, s.node.Stop(ctx))
}

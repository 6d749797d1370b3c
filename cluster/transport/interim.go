// Interim stand-in so that package cluster compiles: the author of this package
// deletes this file as soon as the real Start, Options, Transport, Stats and
// NewSystem are here. Peers is a map from member name to address.
package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

type Options struct {
	Listen, Member string
	Peers          map[string]string
	TLS            *tls.Config
	Link           func(from, to string) bool
	Logger         hclog.Logger
}
type Transport struct{ r *remote.Remote }
type Stats struct{}

func NewSystem(hclog.Logger) *actor.ActorSystem {
	return actor.NewActorSystem(actor.ConfigOption(func(c *actor.Config) {
		c.LoggerFactory = func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
	}))
}
func Start(system *actor.ActorSystem, o Options) (t *Transport, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	h, p, _ := net.SplitHostPort(o.Listen)
	port, _ := strconv.Atoi(p)
	r := remote.NewRemote(system, remote.Configure(h, port, remote.WithDialOptions(grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.2, MaxDelay: 100 * time.Millisecond}}),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))))
	r.Start()
	return &Transport{r}, nil
}
func (t *Transport) Stop(context.Context) error { t.r.Shutdown(false); return nil }
func (t *Transport) Kill()                      { t.r.Shutdown(false) }
func (t *Transport) Stats() Stats               { return Stats{} }

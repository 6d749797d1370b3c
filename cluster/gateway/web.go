package gateway

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/api/v3/version"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/cluster/certs"
)

const (
	// webGoodbye is how long those who are served over HTTP have at the end.
	webGoodbye = 500 * time.Millisecond
	// maxScrapes is how many read /metrics at a time.
	maxScrapes = 8
)

// serveHTTP serves health, metrics, the version and JSON, as etcd does, profiles, and a
// page.
func (g *Gateway) serveHTTP() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", g.serveHealth)
	g.checks(mux, "/livez", live)
	g.checks(mux, "/readyz", ready)
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		g.answer(w, http.StatusOK, version.Versions{Server: version.Version, Cluster: clusterVersion(), Storage: clusterVersion()})
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes}))
	profiles(mux)
	mux.Handle("/v3/", g.json.handler())
	g.page.handle(mux)
	g.http = &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: g.log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	web := g.web
	if g.options.TLS != nil {
		web = certs.Listen(web, g.webTLS)
	}
	g.running.Go(g.json.serve)
	g.running.Go(g.page.run)
	g.running.Go(func() {
		if err := g.http.Serve(web); !errors.Is(err, http.ErrServerClosed) {
			g.log.Error("health and metrics are not served any more", "error", err)
		}
	})
}

// clientTLS is the configuration of the next handshake with a client.
func (g *Gateway) clientTLS() *tls.Config {
	c := g.options.TLS().Clone()
	c.MinVersion = tls.VersionTLS13
	return c
}

// webTLS is clientTLS, as far as those need a certificate who come over HTTP.
func (g *Gateway) webTLS() *tls.Config {
	c := g.clientTLS()
	if needsCertificate(c) {
		c.ClientAuth = tls.VerifyClientCertIfGiven // JSON is for those who have one …
	} else {
		c.ClientAuth = tls.NoClientCert // … and health for those who have none
	}
	return c
}

// stopHTTP ends what serveHTTP began.
func (g *Gateway) stopHTTP() {
	defer g.json.close()
	if g.http == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), webGoodbye)
	defer cancel()
	if g.http.Shutdown(ctx) != nil {
		_ = g.http.Close() // those who are left are cut off, and nothing is lost
	}
}

// serveHealth answers whether this node can serve a fresh read or, with
// ?serializable=true, any read, and, but for ?exclude=NOSPACE, any write.
func (g *Gateway) serveHealth(w http.ResponseWriter, r *http.Request) {
	health := struct {
		Health string `json:"health"`
		Reason string `json:"reason"`
	}{Health: "true"}
	code := http.StatusOK
	if err := g.checkHealth(r.Context(), r.URL.Query().Get("serializable") == "true"); err != nil {
		health.Health, health.Reason = "false", status.Convert(err).Message()
		code = http.StatusServiceUnavailable
	} else if g.options.Store.NoSpace() && !slices.Contains(r.URL.Query()["exclude"], pb.AlarmType_NOSPACE.String()) {
		health.Health, health.Reason = "false", "ALARM NOSPACE"
		code = http.StatusServiceUnavailable
	} else if g.options.Store.Corrupt() {
		health.Health, health.Reason = "false", "ALARM CORRUPT"
		code = http.StatusServiceUnavailable
	}
	g.answer(w, code, health)
}

func (g *Gateway) checkHealth(ctx context.Context, serializable bool) error {
	select {
	case <-g.life.Done():
		return rpctypes.ErrGRPCStopped
	case <-g.options.Node.Done():
		return rpctypes.ErrGRPCStopped
	default:
	}
	leave, err := g.lookAt()
	if err != nil {
		return err
	}
	defer leave()
	if serializable {
		return nil
	}
	return g.cannotReadFresh(ctx)
}

func (g *Gateway) answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		g.log.Debug("could not answer over http", "error", err)
	}
}

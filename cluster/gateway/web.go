package gateway

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.etcd.io/etcd/api/v3/version"
)

// healthPatience is how long /health waits for a fresh read.
const healthPatience = 2 * time.Second

// serveHTTP serves health, metrics and the version, as etcd does.
func (g *Gateway) serveHTTP() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", g.serveHealth)
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		g.answer(w, http.StatusOK, map[string]string{"etcdserver": version.Version, "etcdcluster": version.Cluster(version.Version)})
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.metrics.registry, promhttp.HandlerOpts{}))
	g.http = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	web := g.web
	if g.options.TLS != nil {
		config := g.options.TLS.Clone()
		config.ClientAuth = tls.NoClientCert // those who look at health have none
		web = tls.NewListener(web, config)
	}
	g.running.Go(func() {
		if err := g.http.Serve(web); !errors.Is(err, http.ErrServerClosed) {
			g.log.Error("health and metrics are not served any more", "error", err)
		}
	})
}

// serveHealth answers whether this node can serve a fresh read or, with
// ?serializable=true, any read.
func (g *Gateway) serveHealth(w http.ResponseWriter, r *http.Request) {
	health := map[string]string{"health": "true", "reason": ""}
	code := http.StatusOK
	if r.URL.Query().Get("serializable") != "true" {
		ctx, cancel := context.WithTimeout(r.Context(), healthPatience)
		defer cancel()
		if err := g.options.Node.Barrier(ctx); err != nil {
			health["health"], health["reason"] = "false", err.Error()
			code = http.StatusServiceUnavailable
		}
	}
	g.answer(w, code, health)
}

func (g *Gateway) answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		g.log.Debug("could not answer over http", "error", err)
	}
}

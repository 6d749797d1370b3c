package gateway

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"

	"github.com/pmmc-go/pmmc/actors/runtime/measure"
)

var clientMetrics = []family{
	{
		name: "pmmc_requests_total", kind: prometheus.CounterValue, labels: []string{"method", "code"},
		help: "Requests of clients, by method and outcome.",
		numbers: func(s *scrape, add func(float64, ...string)) {
			for method, c := range s.g.metrics.rpcs {
				c.outcomes(func(code string, n uint64) { add(float64(n), method, code) })
			}
		},
	},
	{
		name: "pmmc_request_seconds", labels: []string{"method"},
		help: "Time from a request's arrival to its answer, of methods that were asked for.",
		histogram: func(s *scrape, add func(measure.Distribution, ...string)) {
			for method, c := range s.g.metrics.rpcs {
				if c.begun.Load() > 0 {
					add(c.seconds.Show(), method)
				}
			}
		},
	},
	{
		name: "pmmc_requests_refused_total", kind: prometheus.CounterValue, labels: []string{"code"},
		help: "Requests refused before their bodies were read, by outcome.",
		numbers: func(s *scrape, add func(float64, ...string)) {
			for code := range codeCount {
				if n := s.g.metrics.refused[code].Load(); n > 0 || code == codes.ResourceExhausted {
					add(float64(n), code.String())
				}
			}
		},
	},
	gauge("pmmc_requests_under_way", "Requests of clients that have a place.", func(s *scrape) int { return s.g.requests.count() }),
	gauge("pmmc_write_bytes_under_way", "Size of the writes that wait for their decision.", func(s *scrape) int64 { return s.g.bytes.Load() }),
	gauge("pmmc_client_connections", "Connections of gRPC's clients.", func(s *scrape) int { return s.g.clients.count() }),
	count("pmmc_connections_refused_total", "Connections of clients closed because there were too many.", func(s *scrape) uint64 { return s.g.metrics.refusedConnections.Load() }),
	count("pmmc_client_handshakes_failed_total", "Connections of clients that ended in their TLS handshake.", func(s *scrape) uint64 { return s.g.metrics.handshakes.Load() }),
	gauge("pmmc_watch_streams", "Streams of watches that clients keep.", func(s *scrape) int { return s.g.streams[pb.Watch_Watch_FullMethodName].count() }),
	gauge("pmmc_watches", "Watches in all streams.", func(s *scrape) int64 { return s.g.watches.Load() }),
	gauge("pmmc_keep_alive_streams", "Streams of clients that renew leases.", func(s *scrape) int { return s.g.streams[pb.Lease_LeaseKeepAlive_FullMethodName].count() }),
	{
		name: "pmmc_certificate_expires_timestamp_seconds", kind: prometheus.GaugeValue, labels: []string{"for"},
		help: "When the certificate expires that the node shows to a peer or to a client, with TLS.",
		numbers: func(s *scrape, add func(float64, ...string)) {
			s.g.expiries.Load().each(func(who string, at time.Time) { add(float64(at.Unix()), who) })
		},
	},
	{
		name: "pmmc_build_info", kind: prometheus.GaugeValue, labels: []string{"version", "goversion"},
		help: "1, with the version of the program and of Go.",
		numbers: func(_ *scrape, add func(float64, ...string)) {
			add(1, programVersion(), runtime.Version())
		},
	},
}

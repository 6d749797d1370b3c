package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/cluster"
)

// metrics are a gateway's own, in a registry of their own: a process may hold many.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	refused  prometheus.Counter
}

func newMetrics(g *Gateway) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pmmc_requests_total", Help: "Requests of clients, by method and outcome.",
		}, []string{"method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pmmc_request_seconds", Help: "Time from a request's arrival to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0002, 2, 16),
		}, []string{"method"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pmmc_requests_refused_total", Help: "Requests refused because too many were under way.",
		}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.refused, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	node := func(name, help string, of func(cluster.Status) float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: "pmmc_" + name, Help: help},
			func() float64 { return of(*g.seen.Load()) }))
	}
	node("slot_in", "The next slot that the replica proposes for.", func(s cluster.Status) float64 { return float64(s.Replica.SlotIn) })
	node("slot_out", "The next slot that the replica executes.", func(s cluster.Status) float64 { return float64(s.Replica.SlotOut) })
	node("slot_durable", "Slots below this are on disk in the state.", func(s cluster.Status) float64 { return float64(s.Replica.Durable) })
	node("slot_forgotten", "Slots below this are forgotten by the acceptor.", func(s cluster.Status) float64 { return float64(s.Acceptor.Forgotten) })
	node("slots_behind", "Slots that another replica has executed and this one has not.", func(s cluster.Status) float64 { return float64(s.Lag()) })
	node("ballot_round", "The round of the ballot in office, as far as known.", func(s cluster.Status) float64 { return float64(s.Replica.Office.Round) })
	node("is_leader", "1 if this node's leader is in office.", func(s cluster.Status) float64 {
		if s.Leader.Standing == "active" {
			return 1
		}
		return 0
	})
	node("has_leader", "1 if somebody is known to be in office.", func(s cluster.Status) float64 {
		if s.InOffice != "" {
			return 1
		}
		return 0
	})
	node("requests_in_flight", "Commands and reads of this node that wait for an answer.", func(s cluster.Status) float64 { return float64(s.InFlight) })
	node("journal_bytes", "Size of the journal on disk.", func(s cluster.Status) float64 { return float64(s.Journal.DiskBytes) })
	node("journal_syncs", "Syncs of the journal since the start.", func(s cluster.Status) float64 { return float64(s.Journal.Syncs) })
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "pmmc_database_bytes", Help: "Size of the key-value store on disk."},
			func() float64 { return float64(g.options.Store.Size()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "pmmc_revision", Help: "Revision of the key-value store."},
			func() float64 { return float64(g.options.Store.Revision()) }),
		&restarts{g},
	)
	return m
}

// done counts a request.
func (m *metrics) done(method string, err error, begin time.Time) {
	m.requests.WithLabelValues(method, status.Code(err).String()).Inc()
	m.seconds.WithLabelValues(method).Observe(time.Since(begin).Seconds())
}

// restarts counts the actors that came back after a panic, and the messages that a
// peer was refused, by kind.
type restarts struct{ g *Gateway }

var (
	restartsDesc = prometheus.NewDesc("pmmc_actor_restarts_total", "Actors that came back after a panic.", []string{"actor"}, nil)
	refusedDesc  = prometheus.NewDesc("pmmc_peer_refused_total", "What peers or strangers sent and was refused.", []string{"reason"}, nil)
)

// Describe is part of prometheus.Collector.
func (r *restarts) Describe(to chan<- *prometheus.Desc) {
	to <- restartsDesc
	to <- refusedDesc
}

// Collect is part of prometheus.Collector.
func (r *restarts) Collect(to chan<- prometheus.Metric) {
	s := r.g.seen.Load()
	for actor, n := range s.Restarts {
		to <- prometheus.MustNewConstMetric(restartsDesc, prometheus.CounterValue, float64(n), actor)
	}
	for reason, n := range s.Transport.Refused {
		to <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(n), string(reason))
	}
}

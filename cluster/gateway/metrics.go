package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/cluster"
)

// metrics are a gateway's own, in a registry of their own: a process may hold many.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	refused  *prometheus.CounterVec

	refusedConnections prometheus.Counter
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
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pmmc_requests_refused_total", Help: "Requests refused before their bodies were read, by outcome.",
		}, []string{"code"}),
		refusedConnections: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pmmc_connections_refused_total", Help: "Connections of clients closed because there were too many.",
		}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.refused, m.refusedConnections, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &actorsAndPeers{g})
	m.gauge("requests_under_way", "Requests of clients that have a place.", func() float64 { return float64(len(g.requests)) })
	m.gauge("watch_streams", "Streams of watches that clients keep.", func() float64 { return float64(len(g.streams[pb.Watch_Watch_FullMethodName])) })
	m.gauge("watches", "Watches in all streams.", func() float64 { return float64(g.watches.Load()) })
	m.gauge("write_bytes_under_way", "Size of the writes that wait for their decision.", func() float64 { return float64(g.bytes.Load()) })
	m.gauge("database_bytes", "Size of the key-value store on disk.", func() float64 { return float64(g.options.Store.Size()) })
	m.gauge("leases", "Leases that are granted.", func() float64 { return float64(g.options.Store.Lessor().Len()) })
	m.gauge("lasting_streams", "Streams of clients that renew leases.", func() float64 { return float64(len(g.streams[pb.Lease_LeaseKeepAlive_FullMethodName])) })
	m.gauge("database_in_use_bytes", "Size of the present state.", func() float64 { return float64(g.options.Store.SizeInUse()) })
	m.gauge("database_quota_bytes", "What the size of the present state may be.", func() float64 { return float64(g.options.Limits.Quota) })
	m.gauge("no_space", "1 if any member has raised the alarm NOSPACE.", func() float64 { return oneIf(g.options.Store.NoSpace()) })
	m.gauge("corrupt", "1 if any member is said to have executed other decrees than others.", func() float64 { return oneIf(g.options.Store.Corrupt()) })
	m.gauge("revision", "Revision of the key-value store.", func() float64 { return float64(g.options.Store.Revision()) })
	for _, n := range nodeGauges {
		m.gauge(n.name, n.help, func() float64 { return n.of(g.seen.Load()) })
	}
	return m
}

func (m *metrics) gauge(name, help string, of func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "pmmc_" + name, Help: help}, of))
}

// nodeGauges are what a node shows of itself, as numbers.
var nodeGauges = []struct {
	name, help string
	of         func(*cluster.Status) float64
}{
	{"slot_in", "The next slot that the replica proposes for.", func(s *cluster.Status) float64 { return float64(s.Replica.SlotIn) }},
	{"slot_out", "The next slot that the replica executes.", func(s *cluster.Status) float64 { return float64(s.Replica.SlotOut) }},
	{"slot_durable", "Slots below this are on disk in the state.", func(s *cluster.Status) float64 { return float64(s.Replica.Durable) }},
	{"slot_forgotten", "Slots below this are forgotten by the acceptor.", func(s *cluster.Status) float64 { return float64(s.Acceptor.Forgotten) }},
	{"slots_behind", "Slots that another replica has executed and this one has not.", func(s *cluster.Status) float64 { return float64(s.Lag()) }},
	{"ballot_round", "The round of the ballot in office, as far as known.", func(s *cluster.Status) float64 { return float64(s.Replica.Office.Round) }},
	{"is_leader", "1 if this node's leader is in office.", func(s *cluster.Status) float64 { return oneIf(s.Leader.Standing == "active") }},
	{"has_leader", "1 if somebody is known to be in office.", func(s *cluster.Status) float64 { return oneIf(s.InOffice != "") }},
	{"requests_in_flight", "Commands and reads of this node that wait for an answer.", func(s *cluster.Status) float64 { return float64(s.InFlight) }},
	{"journal_bytes", "Size of the journal on disk.", func(s *cluster.Status) float64 { return float64(s.Journal.DiskBytes) }},
	{"disk_free_bytes", "Room on the disk of the data directory; -1 if not known.", func(s *cluster.Status) float64 { return float64(s.Disk.Free) }},
	{"disk_short", "1 if that is less than limits.disk_reserve.", func(s *cluster.Status) float64 { return oneIf(s.Disk.Short) }},
	{"disk_damaged", "1 if the last look at the files of the data directory found one that is not what was written.", func(s *cluster.Status) float64 { return oneIf(s.Disk.Damage != nil) }},
	{"disk_waits_seconds", "For how long the oldest write has been waiting for the disk.", func(s *cluster.Status) float64 { return s.Disk.Waits.Seconds() }},
	{"journal_syncs", "Syncs of the journal since the start.", func(s *cluster.Status) float64 { return float64(s.Journal.Syncs) }},
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// done counts a request.
func (m *metrics) done(method string, err error, begin time.Time) {
	m.requests.WithLabelValues(method, status.Code(err).String()).Inc()
	m.seconds.WithLabelValues(method).Observe(time.Since(begin).Seconds())
}

// actorsAndPeers counts the actors that came back after a panic, and the messages that a
// peer was refused, by kind.
type actorsAndPeers struct{ g *Gateway }

var (
	restartsDesc = prometheus.NewDesc("pmmc_actor_restarts_total", "Actors that came back after a panic.", []string{"actor"}, nil)
	refusedDesc  = prometheus.NewDesc("pmmc_peer_refused_total", "What peers or strangers sent and was refused.", []string{"reason"}, nil)
)

// Describe is part of prometheus.Collector.
func (r *actorsAndPeers) Describe(to chan<- *prometheus.Desc) {
	to <- restartsDesc
	to <- refusedDesc
}

// Collect is part of prometheus.Collector.
func (r *actorsAndPeers) Collect(to chan<- prometheus.Metric) {
	s := r.g.seen.Load()
	for actor, n := range s.Restarts {
		to <- prometheus.MustNewConstMetric(restartsDesc, prometheus.CounterValue, float64(n), actor)
	}
	for reason, n := range s.Transport.Refused {
		to <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(n), string(reason))
	}
}

package gateway

import (
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/actors/runtime/measure"
	"github.com/pmmc-go/pmmc/cluster"
)

// metrics are a gateway's own, in a registry of their own: a process may hold many. What
// they show is counted elsewhere; they only give it Prometheus' names. docs/metrics.md
// lists them, and is made of them.
type metrics struct {
	g        *Gateway
	registry *prometheus.Registry
	rpcs     map[string]*rpc                    // by method; not changed once the gateway serves
	refused  [codeCount]counter                 // requests, before their bodies were read
	replica  atomic.Pointer[actors.ReplicaView] // the last that was not too busy to show itself

	refusedConnections counter  // of clients
	handshakes         failures // of clients, with TLS
	received, sent     counter  // bytes, on connections of gRPC's clients
}

// family is a metric with its labels.
type family struct {
	name, help string
	kind       prometheus.ValueType // of numbers
	labels     []string
	numbers    func(s *scrape, add func(value float64, labels ...string))
	histogram  func(s *scrape, add func(d measure.Distribution, labels ...string)) // in place of numbers
	desc       *prometheus.Desc
}

// scrape is what one scrape sees, so that its numbers fit together.
type scrape struct {
	cluster.Status
	g *Gateway
}

func newMetrics(g *Gateway) *metrics {
	m := &metrics{g: g, registry: prometheus.NewRegistry()}
	m.replica.Store(&actors.ReplicaView{})
	m.registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// families lists all metrics but those of the process.
var families = described(officeMetrics, roleMetrics, slotMetrics, storageMetrics, peerMetrics, clientMetrics, etcdMetrics)

func described(groups ...[]family) []family {
	all := slices.Concat(groups...)
	for i, f := range all {
		all[i].desc = prometheus.NewDesc(f.name, f.help, f.labels, nil)
	}
	return all
}

// Describe is part of prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, f := range families {
		to <- f.desc
	}
}

// Collect is part of prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	s := &scrape{Status: *m.g.seen.Load(), g: m.g}
	s.Replica = *m.replica.Load() // or counters would seem to begin anew
	for _, f := range families {
		if f.histogram != nil {
			f.histogram(s, func(d measure.Distribution, labels ...string) { to <- histogram(f.desc, d, labels) })
			continue
		}
		f.numbers(s, func(value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...)
		})
	}
}

func histogram(desc *prometheus.Desc, d measure.Distribution, labels []string) prometheus.Metric {
	buckets, n := make(map[float64]uint64, len(d.Bounds)), uint64(0)
	for i, bound := range d.Bounds {
		n += d.Counts[i]
		buckets[bound] = n
	}
	return prometheus.MustNewConstHistogram(desc, d.Count(), d.Sum, buckets, labels...)
}

// gauge is a number that goes up and down.
func gauge[N number](name, help string, of func(*scrape) N) family {
	return single(name, help, prometheus.GaugeValue, of)
}

// count is a number that only grows while the process lives.
func count[N number](name, help string, of func(*scrape) N) family {
	return single(name, help, prometheus.CounterValue, of)
}

type number interface {
	~int | ~int64 | ~uint64 | ~float64
}

func single[N number](name, help string, kind prometheus.ValueType, of func(*scrape) N) family {
	return family{name: name, help: help, kind: kind, numbers: func(s *scrape, add func(float64, ...string)) { add(float64(of(s))) }}
}

// distribution is a histogram without labels.
func distribution(name, help string, of func(*scrape) measure.Distribution) family {
	return family{name: name, help: help, histogram: func(s *scrape, add func(measure.Distribution, ...string)) { add(of(s)) }}
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

package gateway

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/etcd/api/v3/version"

	"github.com/pmmc-go/pmmc/actors/runtime/measure"
	"github.com/pmmc-go/pmmc/cluster/transport"
)

// etcdMetrics are those of etcd, under its names, that mean the same here, so that
// dashboards and alerts that were made for etcd work. Slots are the indexes.
var etcdMetrics = []family{
	gauge("etcd_server_has_leader", "As pmmc_has_leader.", func(s *scrape) int { return oneIf(s.InOffice != "") }),
	gauge("etcd_server_is_leader", "As pmmc_is_leader.", func(s *scrape) int { return oneIf(s.Leader.Standing == "active") }),
	gauge("etcd_server_is_learner", "1 if this member only executes what others decide.", func(s *scrape) int {
		me, _ := s.Configuration.Named(s.Member)
		return oneIf(me.IsLearner())
	}),
	count("etcd_server_leader_changes_seen_total", "As pmmc_leader_changes_total.", func(s *scrape) uint64 { return s.Runtime.Office.Elected }),
	count("etcd_server_proposals_committed_total", "The highest slot that is known to be decided.", func(s *scrape) uint64 { return decided(s.Status) }),
	count("etcd_server_proposals_applied_total", "The highest slot that was executed.", func(s *scrape) uint64 { return executed(s.Status) }),
	gauge("etcd_server_proposals_pending", "Commands of this node that wait for their answers.", func(s *scrape) int { return s.Client.Proposals }),
	count("etcd_server_proposals_failed_total", "Commands of this node that their callers gave up, or that were too many.", func(s *scrape) uint64 { return s.Client.ProposalsFailed }),
	gauge("etcd_server_quota_backend_bytes", "As pmmc_database_quota_bytes.", func(s *scrape) int64 { return s.g.limits.Load().Quota }),
	{
		name: "etcd_server_version", kind: prometheus.GaugeValue, labels: []string{"server_version"},
		help:    "1, with the version of etcd's API.",
		numbers: func(_ *scrape, add func(float64, ...string)) { add(1, version.Version) },
	},
	distribution("etcd_disk_wal_fsync_duration_seconds", "As pmmc_journal_sync_seconds.", func(s *scrape) measure.Distribution { return s.Journal.SyncTimes }),
	distribution("etcd_disk_backend_commit_duration_seconds", "As pmmc_flush_seconds.", func(s *scrape) measure.Distribution { return s.State.Flushed }),
	gauge("etcd_mvcc_db_total_size_in_bytes", "As pmmc_database_bytes.", func(s *scrape) int64 { return s.g.options.Store.Size() }),
	gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "As pmmc_database_in_use_bytes.", func(s *scrape) int64 { return s.g.options.Store.SizeInUse() }),
	gauge("etcd_debugging_mvcc_current_revision", "As pmmc_revision.", func(s *scrape) int64 { return s.g.options.Store.Revision() }),
	gauge("etcd_debugging_mvcc_compact_revision", "As pmmc_compact_revision.", func(s *scrape) int64 { return s.g.options.Store.CompactRevision() }),
	{
		name: "etcd_network_peer_round_trip_time_seconds", labels: []string{"To"},
		help: "As pmmc_peer_round_trip_seconds, by the peer's id as etcd writes it.",
		histogram: func(s *scrape, add func(measure.Distribution, ...string)) {
			for peer, p := range s.Transport.Peers {
				add(p.RoundTrips, s.hexID(peer))
			}
		},
	},
	peerBytes("etcd_network_peer_sent_bytes_total", "As pmmc_peer_sent_bytes_total.", "To", func(p transport.PeerStats) uint64 { return p.BytesOut }),
	peerBytes("etcd_network_peer_received_bytes_total", "As pmmc_peer_received_bytes_total.", "From", func(p transport.PeerStats) uint64 { return p.BytesIn }),
	count("etcd_network_client_grpc_sent_bytes_total", "Bytes that went to gRPC's clients, on the wire.", func(s *scrape) uint64 { return s.g.metrics.sent.Load() }),
	count("etcd_network_client_grpc_received_bytes_total", "Bytes that came from gRPC's clients, on the wire.", func(s *scrape) uint64 { return s.g.metrics.received.Load() }),
	{
		name: "grpc_server_started_total", kind: prometheus.CounterValue, labels: []string{"grpc_type", "grpc_service", "grpc_method"},
		help: "Requests of clients that were begun.",
		numbers: func(s *scrape, add func(float64, ...string)) {
			for _, c := range s.g.metrics.rpcs {
				add(float64(c.begun.Load()), c.kind, c.service, c.name)
			}
		},
	},
	{
		name: "grpc_server_handled_total", kind: prometheus.CounterValue, labels: []string{"grpc_type", "grpc_service", "grpc_method", "grpc_code"},
		help: "Requests of clients that have ended, by outcome; as pmmc_requests_total.",
		numbers: func(s *scrape, add func(float64, ...string)) {
			for _, c := range s.g.metrics.rpcs {
				c.outcomes(func(code string, n uint64) { add(float64(n), c.kind, c.service, c.name, code) })
			}
		},
	},
	{
		name: "grpc_server_handling_seconds", labels: []string{"grpc_type", "grpc_service", "grpc_method"},
		help: "As pmmc_request_seconds.",
		histogram: func(s *scrape, add func(measure.Distribution, ...string)) {
			for _, c := range s.g.metrics.rpcs {
				if c.begun.Load() > 0 {
					add(c.seconds.Show(), c.kind, c.service, c.name)
				}
			}
		},
	},
}

func peerBytes(name, help, label string, of func(transport.PeerStats) uint64) family {
	f := perPeer(name, help, prometheus.CounterValue, of)
	f.labels = []string{label}
	f.numbers = func(s *scrape, add func(float64, ...string)) {
		for peer, p := range s.Transport.Peers {
			add(float64(of(p)), s.hexID(peer))
		}
	}
	return f
}

// hexID is a member's number as etcd writes it.
func (s *scrape) hexID(member string) string {
	m, _ := s.Configuration.Named(member)
	return strconv.FormatUint(uint64(m.ID), 16)
}

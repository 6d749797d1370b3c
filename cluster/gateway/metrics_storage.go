package gateway

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pmmc-go/pmmc/actors/runtime/measure"
	"github.com/pmmc-go/pmmc/cluster/transport"
)

var storageMetrics = []family{
	distribution("pmmc_journal_sync_seconds", "Time of each write and fsync of the journal.", func(s *scrape) measure.Distribution { return s.Journal.SyncTimes }),
	distribution("pmmc_journal_sync_records", "Records that each of them made durable.", func(s *scrape) measure.Distribution { return s.Journal.BatchSizes }),
	count("pmmc_journal_written_bytes_total", "Bytes that were made durable.", func(s *scrape) uint64 { return s.Journal.Bytes }),
	gauge("pmmc_journal_bytes", "Size of the journal on disk.", func(s *scrape) int64 { return s.Journal.DiskBytes }),
	gauge("pmmc_journal_segments", "Files of the journal.", func(s *scrape) int { return s.Journal.Segments }),
	gauge("pmmc_journal_waiting_records", "Records that wait to be made durable.", func(s *scrape) int { return s.Journal.Queued }),
	gauge("pmmc_journal_waiting_seconds", "For how long the oldest of them has waited.", func(s *scrape) float64 {
		if at := s.Journal.OldestWaiting; !at.IsZero() {
			return max(0, s.At.Sub(at).Seconds())
		}
		return 0
	}),
	count("pmmc_journal_cuts_total", "How often the front of the journal was cut.", func(s *scrape) uint64 { return s.Journal.Cuts }),
	gauge("pmmc_disk_free_bytes", "Room on the disk of the data directory; -1 if not known.", func(s *scrape) int64 { return s.Disk.Free }),
	gauge("pmmc_disk_free_files", "Files that can be made on that disk; -1 if not known.", func(s *scrape) int64 { return s.Disk.Files }),
	gauge("pmmc_disk_full", "1 if a write waits for space, an inode or a quota.", func(s *scrape) int { return oneIf(s.Disk.Full) }),
	gauge("pmmc_disk_short", "1 if the disk is full, or has less than limits.disk_reserve or 1,000 files left.", func(s *scrape) int { return oneIf(s.Disk.Short) }),
	gauge("pmmc_disk_damaged", "1 if the last look at the files of the data directory found one that is not what was written.", func(s *scrape) int { return oneIf(s.Disk.Damage != nil) }),
	gauge("pmmc_corrupt", "1 if any member is said to have executed other decrees than others.", func(s *scrape) int { return oneIf(s.g.options.Store.Corrupt()) }),
	distribution("pmmc_flush_seconds", "Time to make the state durable.", func(s *scrape) measure.Distribution { return s.State.Flushed }),
	gauge("pmmc_state_durable_timestamp_seconds", "When all that was executed was last seen to be on disk in the state.", func(s *scrape) float64 {
		if at := s.State.Durable; at.After(time.Unix(0, 0)) {
			return float64(at.UnixMilli()) / 1000
		}
		return 0
	}),
	gauge("pmmc_database_bytes", "Size of the key-value store on disk.", func(s *scrape) int64 { return s.g.options.Store.Size() }),
	gauge("pmmc_database_in_use_bytes", "Size of the present state.", func(s *scrape) int64 { return s.g.options.Store.SizeInUse() }),
	gauge("pmmc_database_quota_bytes", "What the size of the present state may be.", func(s *scrape) int64 { return s.g.limits.Load().Quota }),
	gauge("pmmc_no_space", "1 if any member has raised the alarm NOSPACE.", func(s *scrape) int { return oneIf(s.g.options.Store.NoSpace()) }),
	gauge("pmmc_revision", "Revision of the key-value store.", func(s *scrape) int64 { return s.g.options.Store.Revision() }),
	gauge("pmmc_compact_revision", "Revision up to which its history is compacted.", func(s *scrape) int64 { return s.g.options.Store.CompactRevision() }),
	gauge("pmmc_leases", "Leases that are granted.", func(s *scrape) int { return s.g.options.Store.Lessor().Len() }),
	{
		name: "pmmc_operations_total", kind: prometheus.CounterValue, labels: []string{"operation"},
		help: "Operations that were executed here, whoever asked for them, by what they were, or refused.",
		numbers: func(s *scrape, add func(float64, ...string)) {
			for name, n := range s.g.options.Store.Operations() {
				add(float64(n), name)
			}
		},
	},
}

// perPeer is a number of each peer.
func perPeer[N number](name, help string, kind prometheus.ValueType, of func(transport.PeerStats) N) family {
	return family{name: name, help: help, kind: kind, labels: []string{"peer"}, numbers: func(s *scrape, add func(float64, ...string)) {
		for peer, p := range s.Transport.Peers {
			add(float64(of(p)), peer)
		}
	}}
}

var peerMetrics = []family{
	perPeer("pmmc_peer_connected", "1 if this node can say something to the peer.", prometheus.GaugeValue, func(p transport.PeerStats) int { return oneIf(p.Connected) }),
	perPeer("pmmc_peer_connections_total", "How often this node connected to the peer.", prometheus.CounterValue, func(p transport.PeerStats) uint64 { return p.Connections }),
	{
		name: "pmmc_peer_round_trip_seconds", labels: []string{"peer"},
		help: "Time of a round trip to the peer, through all that messages go through but the actors; one a second.",
		histogram: func(s *scrape, add func(measure.Distribution, ...string)) {
			for _, peer := range slices.Sorted(maps.Keys(s.Transport.Peers)) {
				add(s.Transport.Peers[peer].RoundTrips, peer)
			}
		},
	},
	perPeer("pmmc_peer_sent_bytes_total", "Size of the messages that were sent to the peer.", prometheus.CounterValue, func(p transport.PeerStats) uint64 { return p.BytesOut }),
	perPeer("pmmc_peer_received_bytes_total", "Size of the messages that came from the peer.", prometheus.CounterValue, func(p transport.PeerStats) uint64 { return p.BytesIn }),
	perPeer("pmmc_peer_sent_messages_total", "Messages that were sent to the peer.", prometheus.CounterValue, func(p transport.PeerStats) uint64 { return p.MessagesOut }),
	perPeer("pmmc_peer_received_messages_total", "Messages that came from the peer.", prometheus.CounterValue, func(p transport.PeerStats) uint64 { return p.MessagesIn }),
	perPeer("pmmc_peer_dropped_messages_total", "Messages to the peer that were dropped: it was away, or too slow.", prometheus.CounterValue, func(p transport.PeerStats) uint64 { return p.Dropped }),
	perPeer("pmmc_peer_waiting_bytes", "Size of the messages that wait to be sent to the peer.", prometheus.GaugeValue, func(p transport.PeerStats) int { return p.Outstanding }),
	{
		name: "pmmc_peer_refused_total", kind: prometheus.CounterValue, labels: []string{"reason"},
		help: "What peers or strangers sent, or this node was to send to them, and was refused.",
		numbers: func(s *scrape, add func(float64, ...string)) {
			for _, reason := range transport.Reasons {
				add(float64(s.Transport.Refused[reason]), string(reason))
			}
		},
	},
	gauge("pmmc_peer_strangers", "Connections at the peers' port that have not introduced themselves.", func(s *scrape) int { return s.Transport.Strangers }),
	count("pmmc_dead_letters_total", "Messages to actors that are gone: answers to scouts and commanders that have done their work, mostly.", func(s *scrape) uint64 { return s.Transport.DeadLetters }),
}

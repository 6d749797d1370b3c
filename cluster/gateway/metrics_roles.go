package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/actors/runtime"
	"github.com/pmmc-go/pmmc/actors/runtime/measure"
)

var officeMetrics = []family{
	gauge("pmmc_has_leader", "1 if somebody is known to be in office.", func(s *scrape) int { return oneIf(s.InOffice != "") }),
	gauge("pmmc_is_leader", "1 if this node's leader is in office.", func(s *scrape) int { return oneIf(s.Leader.Standing == "active") }),
	gauge("pmmc_ballot_round", "The round of the ballot in office, as far as known.", func(s *scrape) uint64 { return s.Replica.Office.Round }),
	gauge("pmmc_office_since_timestamp_seconds", "When the present one came into office, or left it, as this node saw it; 0 if nobody ever was.", func(s *scrape) float64 {
		if since := s.Runtime.Office.Since; !since.IsZero() {
			return float64(since.UnixMilli()) / 1000
		}
		return 0
	}),
	count("pmmc_leader_changes_total", "How often somebody came into office, as this node saw it.", func(s *scrape) uint64 { return s.Runtime.Office.Elected }),
	{
		name: "pmmc_office_changes_total", kind: prometheus.CounterValue, labels: []string{"reason"},
		help: "Changes of where this node's leader stands, or of whom it takes to be in office, by why.",
		numbers: func(s *scrape, add func(float64, ...string)) {
			for _, why := range actors.Reasons {
				add(float64(s.Runtime.Office.Reasons[why]), string(why))
			}
		},
	},
	count("pmmc_ballots_started_total", "Ballots with which this node's leader ran for office.", func(s *scrape) uint64 { return s.Runtime.Kinds["scout"].Started }),
	count("pmmc_ballots_preempted_total", "Ballots of this node's leader that a higher one ended.", func(s *scrape) uint64 { return s.Runtime.Office.Reasons[actors.WhyPreempted] }),
	gauge("pmmc_epoch", "The epoch of the latest configuration that the node knows of.", func(s *scrape) uint64 { return s.Configuration.Epoch }),
	{
		name: "pmmc_members", kind: prometheus.GaugeValue, labels: []string{"role"},
		help: "Members of the latest configuration, by role.",
		numbers: func(s *scrape, add func(float64, ...string)) {
			c := s.Configuration
			add(float64(len(c.Replicas())), "replica")
			add(float64(len(c.Leaders())), "leader")
			add(float64(len(c.Acceptors())), "acceptor")
		},
	},
}

// perKind is a number of each kind of actor.
func perKind(name, help string, kind prometheus.ValueType, of func(runtime.KindStats) float64) family {
	return family{name: name, help: help, kind: kind, labels: []string{"role"}, numbers: func(s *scrape, add func(float64, ...string)) {
		for _, role := range runtime.Kinds {
			add(of(s.Runtime.Kinds[role]), role)
		}
	}}
}

var roleMetrics = []family{
	perKind("pmmc_roles_started_total", "Lives that began of roles, and of the actors beside them.", prometheus.CounterValue,
		func(k runtime.KindStats) float64 { return float64(k.Started) }),
	perKind("pmmc_roles_alive", "Roles, and actors beside them, that live.", prometheus.GaugeValue,
		func(k runtime.KindStats) float64 { return float64(k.Alive) }),
	{
		name: "pmmc_role_life_seconds", labels: []string{"role", "outcome"},
		help: "How long scouts and commanders lived, by how they ended.",
		histogram: func(s *scrape, add func(measure.Distribution, ...string)) {
			for _, role := range []string{"scout", "commander"} {
				for outcome, d := range s.Runtime.Kinds[role].Lives {
					add(d, role, string(outcome))
				}
			}
		},
	},
	{
		name: "pmmc_actor_restarts_total", kind: prometheus.CounterValue, labels: []string{"actor"},
		help: "Actors that came back after a panic.",
		numbers: func(s *scrape, add func(float64, ...string)) {
			for _, rule := range runtime.Tree {
				add(float64(s.Restarts[rule.Name]), rule.Name)
			}
		},
	},
	perKind("pmmc_messages_handled_total", "Messages that actors handled.", prometheus.CounterValue,
		func(k runtime.KindStats) float64 { return float64(k.Handled) }),
	{
		name: "pmmc_messages_refused_total", kind: prometheus.CounterValue, labels: []string{"role"},
		help: "Messages that roles had no use for.",
		numbers: func(s *scrape, add func(float64, ...string)) {
			refused := make(map[string]uint64)
			for what, n := range s.Runtime.Refused {
				refused[what.Role] += n
			}
			for _, role := range runtime.Kinds {
				add(float64(refused[role]), role)
			}
		},
	},
	{
		name: "pmmc_messages_resent_total", kind: prometheus.CounterValue, labels: []string{"message"},
		help: "Questions that scouts (p1a) and commanders (p2a) sent again to acceptors that had not answered.",
		numbers: func(s *scrape, add func(float64, ...string)) {
			add(float64(s.Runtime.P1AsAgain), "p1a")
			add(float64(s.Runtime.P2AsAgain), "p2a")
		},
	},
	perKind("pmmc_mailbox_messages", "Messages that wait in mailboxes.", prometheus.GaugeValue,
		func(k runtime.KindStats) float64 { return float64(k.Waiting) }),
	{
		name: "pmmc_mailbox_wait_seconds", labels: []string{"role"},
		help: "How long messages waited in mailboxes, of a sample: one at a time of each mailbox.",
		histogram: func(s *scrape, add func(measure.Distribution, ...string)) {
			for _, role := range runtime.Kinds {
				add(s.Runtime.Kinds[role].Waits, role)
			}
		},
	},
}

var slotMetrics = []family{
	gauge("pmmc_slot_in", "The next slot that the replica proposes for.", func(s *scrape) uint64 { return s.Replica.SlotIn }),
	gauge("pmmc_slot_out", "The next slot that the replica executes.", func(s *scrape) uint64 { return s.Replica.SlotOut }),
	gauge("pmmc_slot_decided", "The highest slot that is known to be decided.", func(s *scrape) uint64 { return decided(s.Status) }),
	gauge("pmmc_slot_durable", "Slots below this are on disk in the state.", func(s *scrape) uint64 { return s.Replica.Durable }),
	gauge("pmmc_slot_forgotten", "Slots below this are forgotten by the acceptor.", func(s *scrape) uint64 { return s.Acceptor.Forgotten }),
	gauge("pmmc_slots_behind", "Slots that another replica has executed and this one has not.", func(s *scrape) uint64 { return s.Lag() }),
	gauge("pmmc_slots_in_flight", "Slots that the replica has proposed for, and that are not decided.", func(s *scrape) int { return s.Replica.Proposals }),
	gauge("pmmc_commands_waiting", "Commands that wait for a slot.", func(s *scrape) int { return s.Replica.Requests }),
	gauge("pmmc_restoring", "1 while another replica's snapshot is coming.", func(s *scrape) int { return oneIf(s.Replica.Restoring) }),
	gauge("pmmc_pvalues", "Pvalues that the acceptor holds.", func(s *scrape) int { return s.Acceptor.Accepted }),
	gauge("pmmc_pvalue_bytes", "Size of their decrees, those that are in the journal only included.", func(s *scrape) int { return s.Acceptor.Bytes }),
	gauge("pmmc_pvalue_memory_bytes", "Size of those of them that are in memory.", func(s *scrape) int { return s.Acceptor.InMemory }),
	count("pmmc_noops_total", "Commanders of decrees that change nothing: they fill holes and windows.", func(s *scrape) uint64 { return s.Runtime.Noops }),
	distribution("pmmc_decree_commands", "Commands in a decree that was executed; a no-op or a reconfiguration has none.", func(s *scrape) measure.Distribution { return s.State.Commands }),
	distribution("pmmc_decree_bytes", "Size of the operations in a decree that was executed and has any.", func(s *scrape) measure.Distribution { return s.State.Bytes }),
	distribution("pmmc_apply_seconds", "Time to execute a slot, and to make that part of the state.", func(s *scrape) measure.Distribution { return s.State.Applied }),
	{
		name: "pmmc_calls_total", kind: prometheus.CounterValue, labels: []string{"kind"},
		help: "Commands and barriers of reads that callers of this node began.",
		numbers: func(s *scrape, add func(float64, ...string)) {
			add(float64(s.Client.Proposed), "command")
			add(float64(s.Client.Read), "read")
		},
	},
	{
		name: "pmmc_calls_failed_total", kind: prometheus.CounterValue, labels: []string{"kind"},
		help: "Of those, the ones that their callers gave up, or that were too many.",
		numbers: func(s *scrape, add func(float64, ...string)) {
			add(float64(s.Client.ProposalsFailed), "command")
			add(float64(s.Client.ReadsFailed), "read")
		},
	},
	{
		name: "pmmc_calls_waiting", kind: prometheus.GaugeValue, labels: []string{"kind"},
		help: "Of those, the ones that wait for their answers.",
		numbers: func(s *scrape, add func(float64, ...string)) {
			add(float64(s.Client.Proposals), "command")
			add(float64(s.Client.Reads), "read")
		},
	},
}

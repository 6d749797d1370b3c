package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/pmmc-go/pmmc/test/bench/load"
)

// goal is one of the project's targets, and how near a run came to it.
type goal struct {
	what    string
	bound   float64
	atLeast bool // otherwise at most
	got     *float64
}

func (g goal) met() bool {
	if g.atLeast {
		return *g.got >= g.bound
	}
	return *g.got <= g.bound
}

// against is pmmc's median of a figure over another's, of the same load; nil if one of
// them was not measured.
func (r *results) against(pmmc key, name string, figure func(load.Line) float64) *float64 {
	other := pmmc
	other.name = name
	ours, _, _ := r.of(pmmc, figure)
	theirs, _, _ := r.of(other, figure)
	if ours == 0 || theirs == 0 {
		return nil
	}
	ratio := ours / theirs
	return &ratio
}

// goals lists the targets.
func (r *results) goals() (all []goal) {
	least := func(what string, bound float64, got *float64) { all = append(all, goal{what, bound, true, got}) }
	most := func(what string, bound float64, got *float64) { all = append(all, goal{what, bound, false, got}) }
	for _, n := range []int{64, 256, 1024} {
		k := key{"library", "pmmc", "", n}
		for _, other := range []struct {
			name  string
			bound float64
		}{{"hashicorp/raft", 1.5}, {"etcd-io/raft", 1.1}} {
			least(fmt.Sprintf("library, %d proposers: rate over %s's", n, other.name), other.bound, r.against(k, other.name, rate))
			most(fmt.Sprintf("library, %d proposers: p99 over %s's", n, other.name), 1, r.against(k, other.name, p99))
		}
	}
	one := key{"library", "pmmc", "", 1}
	for _, name := range []string{"hashicorp/raft", "etcd-io/raft"} {
		least("library, 1 proposer: rate over "+name+"'s", 1, r.against(one, name, rate))
	}
	most("library, 1 proposer: p50 over the floor", 1.6, r.ratios().Floor)
	for _, n := range []int{64, 256, 1000} {
		k := key{"server", "pmmc", "put", n}
		least(fmt.Sprintf("puts, %d clients at the leader: rate over etcd's", n), 2.5, r.against(k, "etcd", rate))
		most(fmt.Sprintf("puts, %d clients at the leader: p99 over etcd's", n), 0.5, r.against(k, "etcd", p99))
	}
	least("puts, 256 clients at all nodes: rate over etcd's", 2.5, r.against(key{"server", "pmmc", "put, spread over all nodes", 256}, "etcd", rate))
	least("puts, 1 client: rate over etcd's", 1.5, r.against(key{"server", "pmmc", "put", 1}, "etcd", rate))
	least("linearizable gets, 256 clients: rate over etcd's", 1.5, r.against(key{"server", "pmmc", "get", 256}, "etcd", rate))
	least("serializable gets, 256 clients: rate over etcd's", 1.2, r.against(key{"server", "pmmc", "get, serializable", 256}, "etcd", rate))
	most("CPU for a put, all nodes, 256 clients: over etcd's", 0.5, r.against(key{"server", "pmmc", "put", 256}, "etcd", cpu))
	return append(all, r.goalsOfTrouble()...)
}

// goalsOfTrouble lists the targets for large states, kills and floods.
func (r *results) goalsOfTrouble() (all []goal) {
	value := func(v float64) *float64 { return &v }
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	if len(r.large) == 2 {
		ours, theirs := r.large[0], r.large[1]
		all = append(all,
			goal{"memory, 1,000 clients and a large state: over etcd's", 1, false, value(float64(ours.memory) / float64(theirs.memory))},
			goal{"ready after a restart with a large state: ms", 2000, false, value(ms(ours.ready))},
			goal{"ready after a restart with a large state: over etcd's", 1, false, value(ms(ours.ready) / ms(theirs.ready))})
	}
	if gap := r.ratios().Gap; gap != nil {
		all = append(all, goal{"no write after a kill of the leader, median: ms", 600, false, gap})
	}
	for _, f := range r.floods[:min(1, len(r.floods))] {
		all = append(all,
			goal{"flooded: rate over the peak", 0.8, true, value(f.during.Rate / f.peak)},
			goal{"flooded: changes of leader", 0, false, value(float64(f.changes))})
	}
	return all
}

// targets is the table of goals.
func (r *results) targets() string {
	var b strings.Builder
	b.WriteString("\n## Targets\n\n| what | target | is | met |\n|---|---|---|---|\n")
	for _, g := range r.goals() {
		if g.got == nil {
			continue
		}
		bound, met := "at most", "no"
		if g.atLeast {
			bound = "at least"
		}
		if g.met() {
			met = "yes"
		}
		fmt.Fprintf(&b, "| %s | %s %v | %.2f | %s |\n", g.what, bound, g.bound, *g.got, met)
	}
	return b.String()
}

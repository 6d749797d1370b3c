package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pmmc-go/pmmc/test/bench/cost"
	"github.com/pmmc-go/pmmc/test/bench/load"
)

// key is what was measured.
type key struct {
	table   string // library or server
	name    string
	what    string // of servers
	workers int
}

// results are all that was measured, each as often as there were rounds.
type results struct {
	etcdVersion string
	plan        plan
	lines       map[key][]load.Line
	floors      []floor
	gaps        []time.Duration
	large       []large
	growth      []grown
	costs       []cost.Cost
	plots       []string // of whom

	floods   []flooded
	standing []standing
	lasting  []lasting
}

// grown is what pmmc's library did with so many nodes, and operations of so many bytes.
type grown struct {
	nodes, size string
	line        load.Line
}

func newResults(p plan) *results { return &results{plan: p, lines: make(map[key][]load.Line)} }

func (r *results) add(k key, l load.Line) { r.lines[k] = append(r.lines[k], l) }

// of is the median of a figure, and the least and most; zeroes if it was not measured.
func (r *results) of(k key, figure func(load.Line) float64) (middle, least, most float64) {
	var all []float64
	for _, l := range r.lines[k] {
		all = append(all, figure(l))
	}
	if len(all) == 0 {
		return 0, 0, 0
	}
	return median(all), slices.Min(all), slices.Max(all)
}

func rate(l load.Line) float64   { return l.Rate }
func p50(l load.Line) float64    { return l.P50 }
func p99(l load.Line) float64    { return l.P99 }
func cpu(l load.Line) float64    { return l.CPU }
func memory(l load.Line) float64 { return float64(l.Memory) }

// ratios are what a short pass ends with.
type ratios struct {
	Hashiraft *float64 `json:"lib256_vs_hraft"`
	Etcdraft  *float64 `json:"lib256_vs_etcdraft"`
	Floor     *float64 `json:"lib1_p50_vs_floor"`
	Etcd      *float64 `json:"server256_vs_etcd"`
	Gap       *float64 `json:"gap_ms"`
}

func (r *results) ratios() ratios {
	library := key{"library", "pmmc", "", 256}
	all := ratios{
		Hashiraft: r.against(library, "hashicorp/raft", rate),
		Etcdraft:  r.against(library, "etcd-io/raft", rate),
		Etcd:      r.against(key{"server", "pmmc", "put", 256}, "etcd", rate),
	}
	if one, _, _ := r.of(key{"library", "pmmc", "", 1}, p50); one > 0 && len(r.floors) > 0 {
		ratio := one / float64(r.floor().Microseconds())
		all.Floor = &ratio
	}
	if len(r.gaps) > 0 {
		ms := float64(median(r.gaps).Microseconds()) / 1000
		all.Gap = &ms
	}
	return all
}

func (r *results) floor() time.Duration {
	var all []time.Duration
	for _, f := range r.floors {
		all = append(all, f.sum())
	}
	return median(all)
}

// document is docs/benchmarks.md.
func (r *results) document() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Benchmarks

Written by %s on %s, Go %s, %d processors (%s), %d rounds in which all took turns, %v each
after %v that were not counted. Medians; in brackets the least and the most. Every promise is on disk, by fsync, before it is given.

`, "`make bench`", time.Now().UTC().Format(time.DateOnly), strings.TrimPrefix(runtime.Version(), "go"), runtime.NumCPU(), processor(),
		r.plan.rounds, r.plan.long, r.plan.warm)
	fmt.Fprintf(&b, "## The floor\n\nThree writers that fsync %d bytes at a time, each into a file of its own that has its size already: %v. "+
		"A round trip on a gRPC stream over loopback: %v. No operation can take less than their sum, %v.\n\n",
		written, r.medianOf(func(f floor) time.Duration { return f.fsync }), r.medianOf(func(f floor) time.Duration { return f.trip }), r.floor())
	b.WriteString("## The library\n\nThree nodes in one process over loopback, operations of 256 bytes, proposed at the leader's node. " +
		"hashicorp/raft with its TCP transport, raft-wal and batches; etcd-io/raft in a tight loop of ours with etcd's WAL over TCP " +
		"([`test/bench`](../test/bench)).\n\n")
	r.table(&b, "library")
	b.WriteString("\n## The server\n\nThree processes on this machine, driven by `pmmc bench` on the same processors: values of 256 bytes, 10,000 keys, " +
		"at the leader unless it says otherwise. etcd is " + r.etcdVersion + ".\n\n")
	r.table(&b, "server")
	if len(r.gaps) > 0 {
		fmt.Fprintf(&b, "\n## A killed leader\n\nThe longest time without a successful write after `kill -9` of the node in office, default settings, %d kills: "+
			"median %v, at most %v.\n", len(r.gaps), median(r.gaps).Round(time.Millisecond), slices.Max(r.gaps).Round(time.Millisecond))
	}
	b.WriteString(r.targets())
	b.WriteString(binds)
	r.growthTables(&b)
	r.pressureTables(&b)
	if len(r.plots) > 0 {
		b.WriteString("\n## Latency against load\n\nPuts at the leader in open loop, at ten rates up to the highest.\n")
		for _, name := range r.plots {
			fmt.Fprintf(&b, "\n![%s](latency-%s.svg)\n", name, name)
		}
	}
	return b.String()
}

// growthTables writes what becomes of more: keys, nodes, bytes; and what it costs.
func (r *results) growthTables(b *strings.Builder) {
	if len(r.large) > 0 {
		fmt.Fprintf(b, "\n## A large state\n\n%d keys with values of 256 bytes, then 1,000 clients that put into them; then a follower is killed and started "+
			"again, and is ready when it answers a fresh read.\n\n", r.plan.big)
		b.WriteString("| | memory of the three | puts a second | p99 | follower ready again after |\n|---|---|---|---|---|\n")
		for _, l := range r.large {
			fmt.Fprintf(b, "| %s | %d MiB | %.0f | %.0f ms | %v |\n", l.name, l.memory>>20, l.line.Rate, l.line.P99/1000, l.ready.Round(10*time.Millisecond))
		}
	}
	if len(r.growth) > 0 {
		b.WriteString("\n## More nodes, longer operations\n\nThe library, 64 proposers, one run each.\n\n" +
			"| nodes | bytes of an operation | a second | MiB a second | p50 | p99 |\n|---|---|---|---|---|---|\n")
		for _, g := range r.growth {
			size, _ := strconv.Atoi(g.size)
			fmt.Fprintf(b, "| %s | %s | %.0f | %.1f | %.1f ms | %.1f ms |\n", g.nodes, g.size, g.line.Rate, g.line.Rate*float64(size)/(1<<20), g.line.P50/1000, g.line.P99/1000)
		}
	}
	if len(r.costs) > 0 {
		b.WriteString("\n## What a decree costs\n\nCounted, and held against the model by `go test ./test/bench/cost`: a decree is a p2a, a p2b and a decision " +
			"to or from each other node, 3(n−1) messages; its commands travel in the first only, (n−1) times their bytes and some 30 more each; each acceptor " +
			"has at most one fsync for it, and one fsync for all decrees that wait. Who proposes at a time shares a request to the replica. Allocations are of all nodes and the proposers together. The other messages come with time, not with load.\n\n")
		_ = cost.Table(b, r.costs) // a Builder takes all
	}
}

func (r *results) medianOf(of func(floor) time.Duration) time.Duration {
	var all []time.Duration
	for _, f := range r.floors {
		all = append(all, of(f))
	}
	return median(all)
}

func (r *results) table(b *strings.Builder, table string) {
	keys := slices.SortedFunc(maps.Keys(r.lines), func(x, y key) int {
		return cmp.Or(cmp.Compare(x.what, y.what), cmp.Compare(x.workers, y.workers), -cmp.Compare(x.name, y.name))
	})
	b.WriteString("| | at a time | | a second | p50 | p99 | CPU for one | memory |\n|---|---|---|---|---|---|---|---|\n")
	for _, k := range keys {
		if k.table != table {
			continue
		}
		middle, least, most := r.of(k, rate)
		half, _, _ := r.of(k, p50)
		nearly, _, _ := r.of(k, p99)
		spent, _, _ := r.of(k, cpu)
		resident, _, _ := r.of(k, memory)
		shown := "—"
		if resident > 0 {
			shown = fmt.Sprintf("%.0f MiB", resident/(1<<20))
		}
		fmt.Fprintf(b, "| %s | %d | %s | %.0f (%.0f–%.0f) | %.2f ms | %.2f ms | %.0f µs | %s |\n",
			k.what, k.workers, k.name, middle, least, most, half/1000, nearly/1000, spent, shown)
	}
}

func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// versionOf asks etcd for its version.
func versionOf(etcd string) string {
	out, err := exec.Command(etcd, "--version").Output()
	if err != nil {
		return "not here"
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimPrefix(first, "etcd Version: ")
}

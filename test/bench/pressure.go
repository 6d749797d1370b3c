package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/pmmc-go/pmmc/test/bench/load"
)

// flooded is what a server did while it was asked for twice as much as it can do.
type flooded struct {
	name          string
	peak          float64 // puts a second that it can do
	during, after load.Line
	errors        map[string]uint64
	changes       uint64 // of leader
	before, most  int64  // memory of the three processes
}

// floodClients are how many ask at a time, at the most.
const floodClients = 20_000

// measureFlood floods pmmc and etcd.
func (r *results) measureFlood(ctx context.Context, p plan, dir string, programs *programs) error {
	return r.eachServer(ctx, p.flood > 0, dir, programs, func(s *server) error {
		f, err := s.flood(ctx, p, programs.pmmc)
		if err == nil {
			say("  %-5s flooded: %.0f/s of %.0f/s, %d changes of leader", f.name, f.during.Rate, f.peak, f.changes)
			r.floods = append(r.floods, f)
		}
		return err
	})
}

func (s *server) flood(ctx context.Context, p plan, pmmc string) (f flooded, err error) {
	f.name = s.name
	leader, term, err := s.office(ctx)
	if err != nil {
		return f, err
	}
	one := s.endpoints[leader]
	peak, err := runBench(ctx, p, pmmc, "put", "--clients", "1000", "--conns", "12", "--endpoints", one)
	if err != nil {
		return f, err
	}
	f.peak = peak.Rate
	_, f.before = s.usage()
	watching, stop := context.WithCancel(ctx)
	seen := make(chan int64, 1)
	go func() { seen <- s.mostMemory(watching) }()
	f.during, f.errors, err = floodWith(ctx, pmmc, one, 2*f.peak, p.flood)
	stop()
	f.most = <-seen
	if err != nil {
		return f, err
	}
	calm := plan{warm: 5 * time.Second, long: p.long} // as the issue is whether all is well after so long
	if f.after, err = runBench(ctx, calm, pmmc, "put", "--clients", "16", "--conns", "4", "--endpoints", one); err != nil {
		return f, err
	}
	_, later, err := s.office(ctx)
	f.changes = later - term
	return f, err
}

// floodWith asks for puts at a rate, in an open loop.
func floodWith(ctx context.Context, pmmc, endpoint string, rate float64, long time.Duration) (load.Line, map[string]uint64, error) {
	args := []string{
		"bench", "put", "--json", "--warm", "2s", "--for", long.String(), "--rate", strconv.FormatFloat(rate, 'f', 0, 64),
		"--clients", strconv.Itoa(floodClients), "--conns", "40", "--endpoints", endpoint,
	}
	out, err := exec.CommandContext(ctx, pmmc, args...).Output()
	if err != nil {
		return load.Line{}, nil, fmt.Errorf("pmmc %s: %w", strings.Join(args, " "), err)
	}
	var said struct {
		load.Line
		Errors map[string]uint64 `json:"errors"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		return load.Line{}, nil, fmt.Errorf("pmmc bench printed %q: %w", out, err)
	}
	return said.Line, said.Errors, nil
}

// mostMemory looks at the memory of the processes until ctx ends.
func (s *server) mostMemory(ctx context.Context) (most int64) {
	again := time.NewTicker(500 * time.Millisecond)
	defer again.Stop()
	for {
		_, now := s.usage()
		most = max(most, now)
		select {
		case <-again.C:
		case <-ctx.Done():
			return most
		}
	}
}

// lasting is what a server did in a part of a long run.
type lasting struct {
	from              time.Duration
	line              load.Line
	memory            int64 // of the three processes
	journal, database int64 // on their disks
}

// measureEndurance loads pmmc with 256 clients for long, and looks at it every minute.
func (r *results) measureEndurance(ctx context.Context, p plan, dir string, programs *programs) error {
	if p.endurance == 0 {
		return nil
	}
	s, err := startServer(ctx, programs, false, dir)
	if err != nil {
		return err
	}
	return errors.Join(r.endure(ctx, p, s, programs.pmmc), s.stop())
}

func (r *results) endure(ctx context.Context, p plan, s *server, pmmc string) error {
	leader, err := s.leader(ctx)
	if err != nil {
		return err
	}
	minute := plan{long: min(time.Minute, p.endurance)}
	for from := time.Duration(0); from < p.endurance; from += minute.long {
		line, err := runBench(ctx, minute, pmmc, "put", "--clients", "256", "--conns", "12", "--endpoints", s.endpoints[leader])
		if err != nil {
			return err
		}
		l, err := s.lookAfter(ctx, from, line)
		if err != nil {
			return err
		}
		say("  after %v: %.0f/s, p99 %.1f ms, %d MiB of memory, %d of journals, %d of databases",
			from+minute.long, line.Rate, line.P99/1000, l.memory>>20, l.journal>>20, l.database>>20)
		r.lasting = append(r.lasting, l)
	}
	return nil
}

// keptRevisions are how many are kept when a minute is over.
const keptRevisions = 100_000

// lookAfter looks at the server after a part of a long run, and compacts its history.
func (s *server) lookAfter(ctx context.Context, from time.Duration, line load.Line) (l lasting, err error) {
	l = lasting{from: from, line: line}
	_, l.memory = s.usage()
	for folder, size := range map[string]*int64{"journal": &l.journal, "state": &l.database} {
		for _, name := range names {
			used, err := diskUsage(filepath.Join(s.dir, name, folder))
			if err != nil {
				return l, err
			}
			*size += used
		}
	}
	now, err := s.client.Get(ctx, "bench")
	if err == nil && now.Header.Revision > keptRevisions {
		_, err = s.client.Compact(ctx, now.Header.Revision-keptRevisions)
	}
	return l, err
}

// pressureTables writes what the server does under more than it can, and with much that stands.
func (r *results) pressureTables(b *strings.Builder) {
	if len(r.floods) > 0 {
		fmt.Fprintf(b, "\n## Too much load\n\nPuts at the leader in open loop, at twice the rate that 1,000 clients reach, by up to %d at a time, for %v; "+
			"then, 5 s later, 16 clients.\n\n", floodClients, r.plan.flood)
		b.WriteString("| | can do | does when flooded | not done | memory before, most | changes of leader | p99 of 16 clients, 5 s later |\n|---|---|---|---|---|---|---|\n")
		for _, f := range r.floods {
			fmt.Fprintf(b, "| %s | %.0f | %.0f | %s | %d, %d MiB | %d | %.1f ms |\n", f.name, f.peak, f.during.Rate, countErrors(f.errors),
				f.before>>20, f.most>>20, f.changes, f.after.P99/1000)
		}
	}
	r.standingTable(b)
}

// enduranceDocument is docs/endurance.md.
func (r *results) enduranceDocument() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %v of full load\n\nWritten by `make endurance` on %s, %d processors (%s): three nodes, 256 clients at the leader that put 256 bytes under 10,000 keys "+
		"as fast as they can. When a minute is over, history is compacted but for %d revisions.\n\n", r.plan.endurance, time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), processor(), keptRevisions)
	if n := len(r.lasting); n >= 10 {
		fmt.Fprintf(&b, "p99 of the last five minutes over that of the first five: %.2f. Of the last five over the second five: memory %.2f, journals %.2f.\n\n",
			r.over(n-5, 0, func(l lasting) float64 { return l.line.P99 }), r.over(n-5, 5, func(l lasting) float64 { return float64(l.memory) }),
			r.over(n-5, 5, func(l lasting) float64 { return float64(l.journal) }))
	}
	b.WriteString("| after | a second | p50 | p99 | memory | journals | databases |\n|---|---|---|---|---|---|---|\n")
	for _, l := range r.lasting {
		fmt.Fprintf(&b, "| %v | %.0f | %.1f ms | %.1f ms | %d MiB | %d MiB | %d MiB |\n", l.from, l.line.Rate, l.line.P50/1000, l.line.P99/1000, l.memory>>20, l.journal>>20, l.database>>20)
	}
	return b.String()
}

// over is the ratio of the medians of five minutes to five others.
func (r *results) over(late, early int, figure func(lasting) float64) float64 {
	five := func(from int) float64 {
		var all []float64
		for _, l := range r.lasting[from : from+5] {
			all = append(all, figure(l))
		}
		return median(all)
	}
	return five(late) / five(early)
}

// Command bench measures pmmc beside what people would use instead, in one run: its
// library beside hashicorp/raft and etcd-io/raft, its server beside etcd's, and all beside
// what the disk and the loopback allow. Configurations take turns, so that a machine that
// becomes slow is slow for all.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

// plan is what a run measures, and for how long.
type plan struct {
	rounds     int
	proposers  []int
	clients    []int
	reads      bool   // of servers, too
	big        int    // keys of a large state; 0 for none
	growth     bool   // more nodes, and longer operations
	plots      string // a folder for plots; none if empty
	kills      int
	flood      time.Duration // how long servers are asked for too much
	watches    int           // and leases, that stand
	leases     int
	endurance  time.Duration // of full load; nothing else is measured then
	warm, long time.Duration
}

var (
	whole = plan{
		rounds: 5, proposers: []int{1, 16, 64, 256, 1024}, clients: []int{1, 64, 256, 1000}, reads: true, kills: 20,
		big: 1_000_000, growth: true, flood: 2 * time.Minute, watches: 10_000, leases: 100_000,
		warm: 500 * time.Millisecond, long: 2 * time.Second,
	}
	quick = plan{
		rounds: 1, proposers: []int{1, 256}, clients: []int{256}, kills: 2,
		warm: 500 * time.Millisecond, long: 1500 * time.Millisecond,
	}
)

func main() {
	isQuick := flag.Bool("quick", false, "one short pass, and a line of ratios")
	rounds := flag.Int("rounds", whole.rounds, "how often each is measured")
	out := flag.String("out", "docs/benchmarks.md", "where the tables go, but with -quick; plots go beside them")
	endurance := flag.Duration("endurance", 0, "measure nothing but pmmc under full load for so long, into docs/endurance.md")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p := whole
	p.plots = filepath.Dir(*out)
	p.rounds = *rounds
	if *isQuick {
		p = quick
	}
	if *endurance > 0 {
		p = plan{endurance: *endurance}
		*out = filepath.Join(filepath.Dir(*out), "endurance.md")
	}
	r, err := run(ctx, p)
	switch {
	case err != nil:
	case *endurance > 0:
		err = os.WriteFile(*out, []byte(r.enduranceDocument()), 0o644)
	case !*isQuick:
		err = os.WriteFile(*out, []byte(r.document()), 0o644)
	}
	if err == nil && *endurance == 0 {
		err = json.NewEncoder(os.Stdout).Encode(r.ratios())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures all of a plan.
func run(ctx context.Context, p plan) (*results, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	built, err := build(ctx, p, filepath.Join(dir, "bin"))
	if err != nil {
		return nil, err
	}
	r := newResults(p)
	r.etcdVersion = versionOf(built.etcd)
	for round := range p.rounds {
		say("round %d of %d", round+1, p.rounds)
		f, err := measureFloor(ctx, dir, p.long)
		if err != nil {
			return nil, err
		}
		r.floors = append(r.floors, f)
		for i := range built.libraries {
			if err := r.measureLibrary(ctx, p, dir, built.libraries[(round+i)%len(built.libraries)]); err != nil {
				return nil, err
			}
		}
		if err := r.measureServers(ctx, p, dir, built, round); err != nil {
			return nil, err
		}
	}
	for _, measure := range []func(context.Context, plan, string, *programs) error{
		r.measureGaps, r.measureBig, r.measureGrowth, r.measureCosts, r.measureFlood, r.measureStanding, r.measureEndurance, r.plot,
	} {
		if err := measure(ctx, p, dir, built); err != nil {
			return nil, err
		}
	}
	return r, ctx.Err()
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

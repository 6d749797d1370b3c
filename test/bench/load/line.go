package load

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"
)

// Line is a result as one program tells another.
type Line struct {
	Name    string  `json:"name"`
	Workers int     `json:"workers"`
	Rate    float64 `json:"rate"` // a second
	P50     float64 `json:"p50_us"`
	P90     float64 `json:"p90_us"`
	P99     float64 `json:"p99_us"`
	P999    float64 `json:"p999_us"`
	Max     float64 `json:"max_us"`
	Failed  uint64  `json:"failed"`
	CPU     float64 `json:"cpu_us"`           // for one operation
	Memory  int64   `json:"memory,omitempty"` // of servers, in bytes
}

// LineOf tells a result.
func LineOf(name string, workers int, r Result) Line {
	us := func(percent float64) float64 { return float64(r.At(percent).Microseconds()) }
	return Line{
		Name: name, Workers: workers, Rate: r.Rate(), P50: us(50), P90: us(90), P99: us(99), P999: us(99.9), Max: us(100), Failed: r.Failed(),
	}
}

// Proposer replicates an operation and returns when it is executed.
type Proposer interface {
	Propose(ctx context.Context, operation []byte) error
}

// Library measures a replicated state machine of three nodes in this process, as the
// command line wants it: it starts in a folder, and each number of proposers is a line
// of JSON. All such programs are measured by this function.
func Library(name string, start func(dir string) (Proposer, func(), error)) {
	dir := flag.String("dir", "", "a folder for the nodes' data; a temporary one if empty")
	proposers := flag.String("proposers", "1,16,64,256,1024", "how many there are, one run each")
	size := flag.Int("size", 256, "bytes of an operation")
	warm := flag.Duration("warm", time.Second, "time that is not counted")
	long := flag.Duration("for", 3*time.Second, "time that is")
	profile := flag.String("cpuprofile", "", "write a profile of the processors into this file")
	flag.Parse()
	if *profile != "" {
		out, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(out)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			os.Exit(1)
		}
		defer pprof.StopCPUProfile()
	}
	if err := library(name, start, *dir, *proposers, *size, *warm, *long); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

func library(name string, start func(string) (Proposer, func(), error), dir, proposers string, size int, warm, long time.Duration) error {
	dir, err := os.MkdirTemp(dir, "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, stop, err := start(dir)
	if err != nil {
		return err
	}
	defer stop()
	operation := []byte(strings.Repeat("x", size))
	for _, text := range strings.Split(proposers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("--proposers: %w", err)
		}
		var spent time.Duration
		r := Run(context.Background(), Options{
			Workers: n, Warm: warm, For: long,
			Do: func(ctx context.Context, _ int, i uint64) error {
				if i == 0 {
					spent = processTime()
				}
				return p.Propose(ctx, operation)
			},
			Kind: func(err error) string {
				if errors.Is(err, context.Canceled) {
					return "canceled"
				}
				return err.Error()
			},
		})
		line := LineOf(name, n, r)
		line.CPU = float64((processTime() - spent).Microseconds()) / float64(r.Latency.TotalCount()) * float64(long) / float64(long+warm)
		if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
			return err
		}
	}
	return nil
}

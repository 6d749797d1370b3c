package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/test/bench/load"
	"github.com/pmmc-go/pmmc/test/bench/unary"
)

const benchHelp = `Load a cluster, of pmmc or of etcd, and measure it. Each client does one thing at a
time, as fast as answers come (closed loop), or all together --rate in a second (open
loop), in which case a latency counts from the moment at which the request was to
start. Nothing is counted before --warm is over.

  put    put a value under a key
  get    a linearizable read of one key; with --serializable, one of the node asked
  mix    both, --writes per cent of them puts
  txn    if a key has the version that was read, put it; in one transaction

Without any of these it is put, and without --endpoints it loads the sample cluster of this
machine. All but get write: what is there under the same keys is overwritten, and the keys
stay there. They are the numbers below --keys in 16 hexadecimal digits, with k's in front if
--key-size is more. Those of the usual flags go with: pmmc del 000000000000 --prefix

Keys are uniform, sequential, or zipf (few of them most of the time).`

// benchFlags are those of pmmc bench.
type benchFlags struct {
	clientFlags
	what                 string
	clients, conns       int
	rate                 float64
	keys                 uint64
	keySize, valueSize   int
	distribution         string
	writes               int
	serializable, asJSON bool
	warm, long           time.Duration
	plot                 string
}

// workloads are what can be measured.
var workloads = []string{"put", "get", "mix", "txn"}

// distributions are how keys are drawn.
var distributions = []string{"uniform", "sequential", "zipf"}

func newBench() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:       "bench [put|get|mix|txn]",
		Short:     "Load a cluster and measure it",
		Long:      benchHelp,
		Example:   "  pmmc bench put --clients 256 --for 10s\n  pmmc bench get --rate 5000 --plot latency.svg",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: workloads,
		RunE: func(c *cobra.Command, args []string) error {
			f.what = append(args, "put")[0]
			if err := f.checkLoad(); err != nil {
				return &usageError{c, err}
			}
			return f.run(c)
		},
	}
	flags := c.Flags()
	flags.IntVar(&f.clients, "clients", 64, "how many ask at a time")
	flags.IntVar(&f.conns, "conns", 8, "how many connections they share, spread over the endpoints")
	flags.Float64Var(&f.rate, "rate", 0, "requests a second, of all clients; 0 is as fast as answers come")
	flags.Uint64Var(&f.keys, "keys", 10_000, "how many keys there are")
	flags.IntVar(&f.keySize, "key-size", 16, "bytes of a key, 16 at the least")
	flags.IntVar(&f.valueSize, "value-size", 256, "bytes of a value")
	flags.StringVar(&f.distribution, "distribution", "uniform", "how keys are drawn: "+strings.Join(distributions, ", "))
	flags.IntVar(&f.writes, "writes", 50, "of a mix, how many per cent are puts")
	flags.BoolVar(&f.serializable, "serializable", false, "reads may be of a state that is old")
	flags.DurationVar(&f.warm, "warm", time.Second, "time that is not counted")
	flags.DurationVar(&f.long, "for", 10*time.Second, "time that is")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	flags.StringVar(&f.plot, "plot", "", "measure at ten rates up to the highest, and draw latency against load into this file (SVG)")
	f.addTo(c, askTimeout)
	return c
}

// checkLoad refuses what cannot be measured.
func (f *benchFlags) checkLoad() error {
	switch {
	case f.clients < 1 || f.conns < 1:
		return fmt.Errorf("--clients is %d and --conns %d: want 1 at the least", f.clients, f.conns)
	case f.rate < 0:
		return fmt.Errorf("--rate is %g: want 0 or more", f.rate)
	case f.keys < 1:
		return errors.New("--keys is 0: want 1 at the least")
	case f.keySize < keyDigits:
		return fmt.Errorf("--key-size is %d: want %d at the least", f.keySize, keyDigits)
	case f.valueSize < 0:
		return fmt.Errorf("--value-size is %d: want 0 or more", f.valueSize)
	case f.writes < 0 || f.writes > 100:
		return fmt.Errorf("--writes is %d: want 0 to 100", f.writes)
	case f.long <= 0 || f.warm < 0:
		return fmt.Errorf("--for is %s and --warm %s: want more than nothing", f.long, f.warm)
	case !slices.Contains(distributions, f.distribution):
		return fmt.Errorf("--distribution is %q: want one of %s", f.distribution, strings.Join(distributions, ", "))
	}
	return nil
}

// run measures once, or for a plot at several rates.
func (f *benchFlags) run(c *cobra.Command) error {
	if err := f.do(c, func(ctx context.Context, client *clientv3.Client) error {
		_, err := client.Get(ctx, "bench") // a cluster that cannot answer is not measured
		return err
	}); err != nil {
		return err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(benchGC))
	clients, closeAll, err := f.dialAll()
	if err != nil {
		return err
	}
	defer closeAll()
	if f.plot != "" {
		return f.runPlot(c, clients)
	}
	r := f.measure(c, clients, f.rate)
	if f.asJSON {
		return printJSON(c.OutOrStdout(), benchLine{load.LineOf(f.what, f.clients, r), r.Errors})
	}
	return printBench(c.OutOrStdout(), r)
}

// benchLine is what --json prints.
type benchLine struct {
	load.Line
	Errors map[string]uint64 `json:"errors,omitempty"`
}

// dialAll makes the connections, each to one endpoint, in turn. A request is a bare call:
// what grpc-go's client and etcd's take would be taken from the processors that the
// cluster is measured on, and etcd's would hide errors.
func (f *benchFlags) dialAll() (clients []pb.KVClient, closeAll func(), err error) {
	secure, err := f.tls.load()
	if err != nil {
		return nil, nil, err
	}
	var conns []*unary.Client
	closeAll = func() {
		for _, conn := range conns {
			_ = conn.Close() // all is measured
		}
	}
	for i := range f.conns {
		address, secure := target(f.endpoints[i%len(f.endpoints)], secure)
		conns = append(conns, unary.New(address, secure, f.timeout))
		clients = append(clients, pb.NewKVClient(conns[i]))
	}
	return clients, closeAll, nil
}

// benchGC is by how much the heap grows before garbage is collected, in per cent: it is
// small, and what is measured shares the processors with it.
const benchGC = 800

func (f *benchFlags) measure(c *cobra.Command, clients []pb.KVClient, rate float64) load.Result {
	keys := make([]func() string, f.clients)
	for i := range keys {
		keys[i] = f.drawKeys(uint64(i))
	}
	value := strings.Repeat("x", f.valueSize)
	o := load.Options{
		Workers: f.clients, Rate: rate, Warm: f.warm, For: f.long,
		Do: func(ctx context.Context, worker int, n uint64) error {
			return f.request(ctx, clients[worker%len(clients)], keys[worker](), value, n)
		},
		Kind: codeOf,
	}
	if isTerminal(c.ErrOrStderr()) {
		o.Report = func(r load.Result) { fmt.Fprintf(c.ErrOrStderr(), "\r\033[K%s", r) }
		defer fmt.Fprint(c.ErrOrStderr(), "\r\033[K")
	}
	return load.Run(c.Context(), o)
}

// codeOf is an error's code, and what etcd's client knows by a text of its own has that.
func codeOf(err error) string {
	if e := (rpctypes.EtcdError{}); errors.As(rpctypes.Error(err), &e) {
		return fmt.Sprintf("%s (%s)", e.Code(), e.Error())
	}
	return status.Convert(err).Code().String()
}

// request is one of the workload.
func (f *benchFlags) request(ctx context.Context, client pb.KVClient, key, value string, n uint64) error {
	what := f.what
	if what == "mix" {
		what = "get"
		if int(n*61%100) < f.writes { // 61 and 100 have no common divisor: evenly mixed
			what = "put"
		}
	}
	var err error
	switch what {
	case "put":
		_, err = client.Put(ctx, &pb.PutRequest{Key: []byte(key), Value: []byte(value)})
	case "get":
		_, err = client.Range(ctx, &pb.RangeRequest{Key: []byte(key), Serializable: f.serializable})
	case "txn":
		_, err = client.Txn(ctx, txnOf(key, value))
	}
	return err
}

// txnOf puts a key, and reads it if it was there.
func txnOf(key, value string) *pb.TxnRequest {
	put := &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte(key), Value: []byte(value)}}}
	get := &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte(key)}}}
	exists := &pb.Compare{
		Key: []byte(key), Target: pb.Compare_VERSION, Result: pb.Compare_GREATER, TargetUnion: &pb.Compare_Version{Version: 0},
	}
	return &pb.TxnRequest{Compare: []*pb.Compare{exists}, Success: []*pb.RequestOp{put, get}, Failure: []*pb.RequestOp{put}}
}

// keyDigits is how long a key's number is, in hexadecimal digits.
const keyDigits = 16

// drawKeys draws keys for one client, the same ones for the same client.
func (f *benchFlags) drawKeys(client uint64) func() string {
	rng := rand.New(rand.NewPCG(client, 1))
	pad := strings.Repeat("k", f.keySize-keyDigits)
	draw := func() uint64 { return rng.Uint64N(f.keys) }
	switch f.distribution {
	case "sequential":
		next := client
		draw = func() uint64 { next += uint64(f.clients); return next % f.keys }
	case "zipf":
		draw = rand.NewZipf(rng, 1.1, 1, f.keys-1).Uint64
	}
	return func() string {
		return fmt.Sprintf("%s%0*x", pad, keyDigits, draw())
	}
}

func printBench(w io.Writer, r load.Result) error {
	_, err := fmt.Fprintf(w, "%.0f requests/s in %.1f s\nlatency  p50 %v  p90 %v  p99 %v  p99.9 %v  max %v\n",
		r.Rate(), r.Took.Seconds(), r.At(50), r.At(90), r.At(99), r.At(99.9), r.At(100))
	kinds := make([]string, 0, len(r.Errors))
	for kind := range r.Errors {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		_, failed := fmt.Fprintf(w, "failed   %d: %s\n", r.Errors[kind], kind)
		err = errors.Join(err, failed)
	}
	return err
}

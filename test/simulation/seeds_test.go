package simulation

import (
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/trace"
)

var (
	seedFlag    = flag.Uint64("seed", 0, "run this seed only")
	seedsFlag   = flag.Int("seeds", 60, "how many seeds to run")
	fromFlag    = flag.Uint64("from", 1, "the first of them; seeds that nobody has seen if 0")
	keepFlag    = flag.Bool("keep", false, "go on after a seed that fails, and only say of each what it broke")
	withoutFlag = flag.String("without", "", "kinds of faults to leave out, with commas between")
	forFlag     = flag.Duration("for", 0, "run seeds for so long")
)

// TestMain trades memory for speed: a seed leaves much behind, and lives for a moment.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// exercised is what must happen in a batch of seeds: otherwise they show nothing.
var exercised = []string{
	"acked", "read", "crash", "start", "power cut", "broken links", "panic", "bad sync", "recall", "Preempted", "Adopted", "commander",
	"restored", "CaughtUp", "Canvassed", "reconfiguration", "epoch", "removed", "jump", "hang", "agreed", "deaf", "promise", "disk lost", "refused",
}

// TestSeeds runs clusters over a network and disks that fail, then lets faults end:
// every client must get its answers, every replica the same log, and nothing that
// was acknowledged may be missing or doubled.
func TestSeeds(t *testing.T) {
	if *seedFlag != 0 {
		report(t, *seedFlag, Run(*seedFlag, options()))
		return
	}
	from := *fromFlag
	if from == 0 {
		from = uint64(time.Now().UnixMilli()) * 1000
	}
	total := make(map[string]int)
	begin, virtual, ran := time.Now(), time.Duration(0), 0
	for seed := from; ran < *seedsFlag || time.Since(begin) < *forFlag; seed++ {
		w := Run(seed, options())
		ran++
		virtual += w.Now
		for k, n := range w.Counts {
			total[k] += n
		}
		if *keepFlag {
			if len(w.Broken) > 0 {
				t.Errorf("seed %d: %.160s", seed, w.Broken[0])
			}
			continue
		}
		if report(t, seed, w); t.Failed() {
			return
		}
	}
	fmt.Printf("simulation: %d seeds from %d on, all content, %v of virtual time, %.0f times as fast as real time, %d events judged\n", ran, from, virtual.Round(time.Second), float64(virtual)/float64(time.Since(begin)), total["judged"])
	t.Log(total)
	for _, must := range exercised {
		if total[must] == 0 && ran >= 60 {
			t.Errorf("nothing of the kind %q happened in all seeds: they show nothing", must)
		}
	}
}

func options() Options { return Options{Without: strings.Split(*withoutFlag, ",")} }

func report(t *testing.T, seed uint64, w *World) {
	t.Helper()
	for _, b := range w.Broken {
		t.Errorf("seed %d: %s (run again with -seed=%d)", seed, b, seed)
	}
	if len(w.Broken) > 0 {
		t.Log(Shrink(seed))
	}
}

// once failed: seeds that found something, each with what it was.
var onceFailed = map[uint64]string{
	6:   "a replica stayed with the sender of a snapshot that was dead",
	88:  "a node that was down when it was added was never told",
	220: "a replica that began again in its last epoch had lost its name",
	552: "replicas without a saved state took themselves for new ones, all at once",
	28:  "a replica waited for ever for the acceptor of an epoch that was over",

	1795875072376045: "a replica lost slot after slot to the one beside the leader, and kept what it had lost",
}

// TestOnceFailed runs the seeds that once found something.
func TestOnceFailed(t *testing.T) {
	for seed, what := range onceFailed {
		if report(t, seed, Run(seed, Options{})); t.Failed() {
			t.Fatalf("seed %d, which showed that %s, fails again", seed, what)
		}
	}
}

// TestASeedIsARun shows that a seed gives the same trace each time, byte for byte.
func TestASeedIsARun(t *testing.T) {
	digest := func(seed uint64) (uint64, int) {
		h, events := fnv.New64a(), 0
		Run(seed, Options{Rounds: 8, Observe: func(at time.Duration, e actors.Event) {
			line, err := trace.Encode(e)
			if err != nil {
				t.Fatal(err)
			}
			events++
			_, _ = h.Write(append(line, byte(at)))
		}})
		return h.Sum64(), events
	}
	for seed := uint64(1); seed <= 10; seed++ {
		first, events := digest(seed)
		if second, again := digest(seed); first != second {
			t.Errorf("seed %d gives a trace of %d events, then another, of %d", seed, events, again)
		}
	}
}

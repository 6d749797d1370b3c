package crash

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	killsFlag = flag.Int("kills", 4, "how many times a node is killed at a system call")
	cutsFlag  = flag.Int("cuts", 2, "how many times the power is cut")
	seedFlag  = flag.Uint64("seed", uint64(time.Now().UnixNano()%1e9), "of the first cluster; each further one has the next")
	pmmcFlag  = flag.String("pmmc", "", "the program to test, instead of one that is built from this working tree")
	plantFlag = flag.Bool("plants", false, "see that planted faults are found, which takes minutes")
)

// often and seldom are the system calls at which a node is killed. A node reads and writes
// connections with some of them, files with all. It makes the seldom ones when it starts, and
// when it flushes its state and exchanges files.
var (
	often  = []string{"write", "pwrite64", "fdatasync", "read", "pread64", "close"}
	seldom = []string{
		"fsync", "fallocate", "ftruncate", "rename,renameat,renameat2", "unlink,unlinkat", "open,openat", "mkdir,mkdirat", "sync_file_range",
	}
)

// blow is when and where a node is to be killed.
type blow struct {
	call string
	when int // counted by thread, from 1
}

func draw(rnd *rand.Rand) blow {
	if rnd.IntN(2) == 0 {
		return blow{often[rnd.IntN(len(often))], 1 + rnd.IntN(1+rnd.IntN(40))}
	}
	return blow{seldom[rnd.IntN(len(seldom))], 1 + rnd.IntN(1+rnd.IntN(5))}
}

// strace returns a command line of strace that kills what it traces, before the system call
// is executed.
func (b blow) strace(more ...string) []string {
	args := []string{
		"strace", "-f", "-q", "-o", "/dev/null",
		"-e", "trace=" + b.call, "-e", "signal=none", "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", b.call, b.when),
	}
	return append(args, more...)
}

// TestKillAtSystemCalls kills nodes at system calls that are drawn from a seed: in their first
// start, in later ones, under load and at shutdown; one, or all three at once. Then they start
// again, and have all that they acknowledged.
func TestKillAtSystemCalls(t *testing.T) {
	want(t, false, "strace")
	r := newReport(t)
	k := &killer{pmmc: build(t), report: r}
	k.run(t, *killsFlag)
	t.Logf("crash: %d kills at system calls and %d others, %d writes, %d acknowledged: %v", k.hits, k.others, k.writes, k.known, r)
}

// killer kills nodes of one cluster after another.
type killer struct {
	pmmc          string
	report        *report
	hits          int // nodes that were killed at the system call
	others        int // nodes that were killed later, because they did not come to the system call
	writes, known int
}

// rounds is the number of blows, each to one node or to all, that one cluster goes through.
const rounds = 12

func (k *killer) run(t *testing.T, kills int) {
	for seed := *seedFlag; k.hits < kills && !k.report.enough(); seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			k.report.t = t
			rnd := rand.New(rand.NewPCG(seed, 1))
			c := newCluster(t, k.pmmc, len(names), k.report, []string{"", busy}[rnd.IntN(2)])
			k.report.now("seed %d, first start", seed)
			k.atStart(c, rnd, k.victims(c, rnd))
			up := c.restart()
			for round := 0; up && round < rounds && k.hits < kills && !k.report.enough(); round++ {
				up = k.round(c, rnd, fmt.Sprintf("seed %d, round %d", seed, round))
			}
			if up {
				c.verify()
				c.stop()
			}
			t.Logf("%d kills so far", k.hits)
			writes, known := c.ledger.size()
			k.writes, k.known = k.writes+writes, k.known+known
		})
	}
}

// victims draws who is killed: one node, or all.
func (k *killer) victims(c *cluster, rnd *rand.Rand) []*node {
	if rnd.IntN(3) == 0 {
		return c.nodes
	}
	at := rnd.IntN(len(c.nodes))
	return c.nodes[at : at+1]
}

// round kills nodes under load, restarts them, and verifies the cluster. It reports
// whether all came back.
func (k *killer) round(c *cluster, rnd *rand.Rand, name string) bool {
	victims := k.victims(c, rnd)
	stop := c.load()
	c.ledger.await(1+rnd.IntN(300), time.Duration(rnd.IntN(1000))*time.Millisecond)
	switch phase := rnd.IntN(4); phase {
	case 0:
		k.report.now("%s, %d at start", name, len(victims))
		for _, n := range victims {
			n.kill()
		}
		k.atStart(c, rnd, victims)
	case 1:
		k.report.now("%s, %d at shutdown", name, len(victims))
		k.attached(rnd, victims, true)
	default:
		k.report.now("%s, %d under load", name, len(victims))
		k.attached(rnd, victims, false)
	}
	if rnd.IntN(2) == 0 {
		for _, n := range victims {
			c.check(n)
		}
	}
	came := c.restart()
	stop()
	if came {
		c.verify()
		c.compact(rnd)
	}
	return came
}

// atStart starts nodes that are down, each to be killed at a system call.
func (k *killer) atStart(c *cluster, rnd *rand.Rand, victims []*node) {
	for _, n := range c.nodes {
		if n.cmd == nil && len(victims) < len(c.nodes) && n != victims[0] {
			c.start(n)
		}
	}
	for _, n := range victims {
		c.start(n, draw(rnd).strace("-D")...)
	}
	each(victims, func(n *node) { n.within(time.Duration(1500) * time.Millisecond) })
	k.finish(victims)
}

// attached has strace kill running nodes at a system call. Once one is dead all others are
// killed: they are to die together.
func (k *killer) attached(rnd *rand.Rand, victims []*node, shutdown bool) {
	var tracers []*exec.Cmd
	first := make(chan struct{}, len(victims))
	for _, n := range victims {
		line := draw(rnd).strace("-p", n.pid())
		tracer := exec.Command(line[0], line[1:]...)
		tracer.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if tracer.Start() == nil {
			tracers = append(tracers, tracer)
		}
		go func(ended chan struct{}) {
			<-ended
			first <- struct{}{}
		}(n.ended)
	}
	if shutdown {
		for _, n := range victims {
			n.awaitTracer()
			_ = n.cmd.Process.Signal(syscall.SIGTERM) // it may have been killed
		}
	}
	select {
	case <-first:
	case <-time.After(2 * time.Second):
	}
	k.finish(victims)
	for _, tracer := range tracers {
		_ = tracer.Wait() // it ends with what it traces
	}
}

// awaitTracer waits until a process is traced, or has ended.
func (n *node) awaitTracer() {
	for deadline := time.Now().Add(patience); !n.down() && time.Now().Before(deadline); pause(context.Background()) {
		status, err := os.ReadFile(filepath.Join("/proc", n.pid(), "status"))
		if err == nil && !strings.Contains(string(status), "TracerPid:\t0\n") {
			return
		}
	}
}

// finish kills the nodes that still run, and counts.
func (k *killer) finish(victims []*node) {
	killed := false
	for _, n := range victims {
		if n.down() {
			killed = killed || n.cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
		}
	}
	for _, n := range victims {
		n.kill()
	}
	if killed {
		k.hits++
	} else {
		k.others++
	}
}

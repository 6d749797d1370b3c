package crash

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/pmmc-go/pmmc/cluster/clustertest/freeport"
)

// patience is the time after which a step is judged to hang.
const patience = 60 * time.Second

var names = []string{"alpha", "beta", "gamma"}

// node is one process of pmmc, which is killed and restarted.
type node struct {
	name     string
	data     string // the data directory
	endpoint string
	config   string
	log      string
	client   *clientv3.Client
	answered atomic.Int64 // the highest revision of a write that this node acknowledged
	cmd      *exec.Cmd
	ended    chan struct{} // closed when cmd has ended
	code     int           // the exit code of cmd, valid when ended is closed
}

// cluster is three nodes, and the ledger of what they acknowledged.
type cluster struct {
	t      *testing.T
	pmmc   string // the program
	dir    string
	nodes  []*node
	ledger *ledger
	report *report
}

// busy makes a node flush, rotate and cut files all the time, which a short test would
// otherwise never see.
const busy = `protocol {
  flush = "200ms"
  retain_slots = 64
  retain_bytes = "1MiB"
}
journal {
  segment_bytes = "256KiB"
}
`

// newCluster writes the configuration of size nodes. No node is started. More is added to each
// configuration.
func newCluster(t *testing.T, pmmc string, size int, r *report, more string) *cluster {
	t.Helper()
	c := &cluster{t: t, pmmc: pmmc, dir: t.TempDir(), ledger: newLedger(), report: r}
	ports := freeport.Addresses(t, 3*size)
	var members strings.Builder
	for i := range size {
		fmt.Fprintf(&members, "member %q {\n  id = %d\n  peer = %q\n  client = %q\n}\n", names[i], i+1, ports[3*i], ports[3*i+1])
	}
	for i := range size {
		at := filepath.Join(c.dir, names[i])
		n := &node{name: names[i], data: filepath.Join(at, "data"), endpoint: ports[3*i+1], config: at + ".hcl", log: at + ".log"}
		c.must(os.Mkdir(at, 0o700))
		text := fmt.Sprintf("cluster = \"crash\"\nnode %q {\n  data_dir = %q\n}\nlisten {\n  http = %q\n}\nlimits {\n  disk_reserve = \"1MiB\"\n}\n%s%s", n.name, n.data, ports[3*i+2], members.String(), more)
		c.must(os.WriteFile(n.config, []byte(text), 0o600))
		client, err := clientv3.New(clientv3.Config{
			Endpoints: []string{n.endpoint}, Logger: zap.NewNop(), BackoffWaitBetween: 20 * time.Millisecond,
			// By default a client waits longer and longer before it connects again, up to two minutes.
			DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, MaxDelay: 200 * time.Millisecond},
				MinConnectTimeout: 5 * time.Second,
			})},
		})
		c.must(err)
		n.client = client
		c.nodes = append(c.nodes, n)
	}
	t.Cleanup(c.end)
	return c
}

func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// end kills all processes, and shows what they logged if the test failed.
func (c *cluster) end() {
	for _, n := range c.nodes {
		n.kill()
		_ = n.client.Close()
		if text, err := os.ReadFile(n.log); c.t.Failed() && err == nil {
			lines := strings.Split(string(text), "\n")
			c.t.Logf("the last lines of %s:\n%s", n.name, strings.Join(lines[max(0, len(lines)-25):], "\n"))
		}
	}
}

// start starts a process. Before names the program and arguments that run it, if any.
func (c *cluster) start(n *node, before ...string) {
	c.t.Helper()
	c.run(n, append(before, c.pmmc, "node", "--config", n.config, "--log-level", "info"))
}

// run runs a command in the place of a node's process. It dies with this test.
func (c *cluster) run(n *node, command []string) {
	c.t.Helper()
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	c.must(err)
	defer log.Close()
	fmt.Fprintf(log, "---- %s\n", strings.Join(command, " "))
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.must(cmd.Start())
	ended := make(chan struct{})
	n.cmd, n.ended = cmd, ended
	go func() {
		_ = cmd.Wait() // its exit code is looked at
		n.code = cmd.ProcessState.ExitCode()
		close(ended)
	}()
}

// down reports whether the node's process has ended or was never started.
func (n *node) down() bool {
	if n.cmd == nil {
		return true
	}
	select {
	case <-n.ended:
		return true
	default:
		return false
	}
}

// kill ends a node's process with SIGKILL, and waits until it is gone.
func (n *node) kill() {
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Kill() // it may have ended
	<-n.ended
}

// within waits until the node's process has ended, and reports whether it did in time.
func (n *node) within(d time.Duration) bool {
	select {
	case <-n.ended:
		return true
	case <-time.After(d):
		return false
	}
}

// each calls f for several nodes at the same time, and waits for all.
func each(nodes []*node, f func(*node)) {
	var all sync.WaitGroup
	for _, n := range nodes {
		all.Go(func() { f(n) })
	}
	all.Wait()
}

// restart starts the nodes that are down, and returns when all nodes of the cluster answer a
// linearizable read. Meanwhile it sees that no restarted node answers a serializable read from
// a state that is older than one from which it has acknowledged a write. It reports whether
// all came back.
func (c *cluster) restart() bool {
	c.t.Helper()
	var failed atomic.Bool
	for _, n := range c.nodes {
		if n.down() {
			c.start(n)
		}
	}
	each(c.nodes, func(n *node) {
		watching, done := context.WithCancel(context.Background())
		var watch sync.WaitGroup
		watch.Go(func() { c.watchStale(watching, n, n.answered.Load()) })
		if err := c.ready(n); err != nil {
			failed.Store(true)
			c.report.fault(restarts, "%s does not come back: %v", n.name, err)
		}
		done()
		watch.Wait()
	})
	return !failed.Load()
}

// ready waits until a node answers a linearizable read.
func (c *cluster) ready(n *node) error {
	deadline := time.Now().Add(patience)
	for {
		err := n.ask(10*time.Second, func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			var watch sync.WaitGroup
			defer watch.Wait() // after cancel
			defer cancel()
			watch.Go(func() {
				select {
				case <-n.ended: // the client would go on trying
					cancel()
				case <-ctx.Done():
				}
			})
			_, err := n.client.Get(ctx, counter)
			return err
		})
		if err == nil {
			return nil
		}
		if n.down() {
			return fmt.Errorf("exit code %d: %s", n.code, lastLine(n.log))
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no answer in %v: %w\n%s", patience, err, c.status())
		}
		pause(context.Background())
	}
}

// status is what `pmmc status` prints of all nodes, twice, so that a stalled node can be told
// from one that is slow.
func (c *cluster) status() (text string) {
	var all []string
	for _, n := range c.nodes {
		all = append(all, n.endpoint)
	}
	for range 2 {
		out, err := exec.Command(c.pmmc, "status", "--endpoints", strings.Join(all, ",")).CombinedOutput()
		text += fmt.Sprintf("%s%v\n", out, err)
		for range 100 {
			pause(context.Background())
		}
	}
	return text
}

// pause waits a little before something is tried again, or until ctx ends.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Millisecond):
	}
}

func (n *node) ask(d time.Duration, f func(context.Context) error) error {
	ctx, done := context.WithTimeout(context.Background(), d)
	defer done()
	return f(ctx)
}

// watchStale reads serializably from a restarted node until ctx ends.
func (c *cluster) watchStale(ctx context.Context, n *node, floor int64) {
	for ctx.Err() == nil {
		once, done := context.WithTimeout(ctx, time.Second)
		answer, err := n.client.Get(once, counter, clientv3.WithSerializable())
		done()
		if err != nil {
			pause(ctx)
			continue
		}
		revision := int64(0)
		if len(answer.Kvs) > 0 {
			revision = answer.Kvs[0].ModRevision
		}
		if revision < floor {
			c.report.fault(stale, "%s acknowledged revision %d and read serializably at %d after its restart", n.name, floor, revision)
			return
		}
	}
}

// stop ends all nodes with SIGTERM, and checks their data directories.
func (c *cluster) stop() {
	each(c.nodes, func(n *node) {
		_ = n.cmd.Process.Signal(syscall.SIGTERM)
		if !n.within(patience) {
			c.report.fault(restarts, "%s does not end at SIGTERM in %v", n.name, patience)
			n.kill()
		} else if n.code != 0 {
			c.report.fault(restarts, "%s ended at SIGTERM with exit code %d: %s", n.name, n.code, lastLine(n.log))
		}
		c.check(n)
	})
}

// check has `pmmc check` read the data directory of a node that is down, unless the node died
// before it made one.
func (c *cluster) check(n *node) {
	if _, err := os.Stat(filepath.Join(n.data, "journal")); errors.Is(err, fs.ErrNotExist) {
		return
	}
	if out, err := exec.Command(c.pmmc, "check", n.data).CombinedOutput(); err != nil {
		c.report.fault(damaged, "pmmc check of %s: %v: %s", n.name, err, out)
	}
}

func lastLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " / ")
}

// build builds pmmc from this working tree, unless -pmmc names a program that is to be tested.
// Plants replace texts of source files, named from the root; each text must be there exactly
// once.
func build(t *testing.T, plants ...plant) string {
	t.Helper()
	if *pmmcFlag != "" && len(plants) == 0 {
		return *pmmcFlag
	}
	dir := t.TempDir()
	args := []string{"build", "-o", filepath.Join(dir, "pmmc")}
	if len(plants) > 0 {
		overlay := filepath.Join(dir, "overlay.json")
		if err := os.WriteFile(overlay, plantAll(t, dir, plants), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-overlay", overlay)
	}
	if out, err := exec.Command("go", append(args, "../../cmd/pmmc")...).CombinedOutput(); err != nil {
		t.Fatalf("build pmmc: %v: %s", err, out)
	}
	return filepath.Join(dir, "pmmc")
}

func (n *node) pid() string { return strconv.Itoa(n.cmd.Process.Pid) }

// want skips a test that needs programs which are not there, or root.
func want(t *testing.T, root bool, programs ...string) {
	t.Helper()
	var missing []error
	for _, p := range programs {
		_, err := exec.LookPath(p)
		missing = append(missing, err)
	}
	if err := errors.Join(missing...); err != nil {
		t.Skip(err)
	}
	if root && os.Geteuid() != 0 {
		t.Skip("loop devices and mounts take root")
	}
}

package crash

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestKilledRestore kills `pmmc snapshot restore` at system calls. The node then starts with
// everything that is in the snapshot, or refuses to start and says what to do; it never starts
// without the keys, unless the restore died before its first rename: then the directory is empty,
// or holds a file of the identity that has no name yet, as after a first start that was killed.
func TestKilledRestore(t *testing.T) {
	want(t, false, "strace")
	program, r := build(t), newReport(t)
	from := newCluster(t, program, 1, r, "")
	r.now("seed %d, snapshot", *seedFlag)
	from.restart()
	stop := from.load()
	from.ledger.await(100, patience)
	stop()
	from.verify()
	file := filepath.Join(from.dir, "backup.snap")
	from.must(do(program, "snapshot", "save", file, "--endpoints", from.nodes[0].endpoint))
	from.stop()

	c := newCluster(t, program, 1, r, "")
	c.ledger = from.ledger
	h := &halves{cluster: c, node: c.nodes[0], command: []string{program, "snapshot", "restore", file, "--config", c.nodes[0].config}}
	h.run("restore")
	t.Logf("crash: %d restores killed at a system call: %d refused to start, %d had not begun, %d complete: %v", h.hits, h.refused, h.empty, h.whole, r)
}

// TestKilledFirstStart kills the first start of a single node at system calls. The next start
// works, and keeps what it acknowledges.
func TestKilledFirstStart(t *testing.T) {
	want(t, false, "strace")
	r := newReport(t)
	c := newCluster(t, build(t), 1, r, "")
	n := c.nodes[0]
	h := &halves{cluster: c, node: n, command: []string{c.pmmc, "node", "--config", n.config, "--log-level", "info"}}
	h.run("first start")
	t.Logf("crash: %d first starts killed at a system call: %d refused the next start, %d serve: %v", h.hits, h.refused, h.empty+h.whole, r)
	if h.refused > 0 {
		t.Errorf("%d nodes whose first start was killed refuse to start", h.refused)
	}
}

// halves are data directories that a killed command left half made.
type halves struct {
	cluster               *cluster
	node                  *node
	command               []string // makes the directory, and is killed
	hits                  int
	refused, empty, whole int
}

// run kills the command in new directories, again and again.
func (h *halves) run(what string) {
	rnd := rand.New(rand.NewPCG(*seedFlag, 3))
	tries := min(*killsFlag/2, 40)
	for try := 0; h.hits < tries && try < 4*tries && !h.cluster.t.Failed(); try++ {
		h.cluster.must(os.RemoveAll(h.node.data))
		at := draw(rnd)
		h.cluster.report.now("seed %d, %s %d, killed at %s number %d", *seedFlag, what, try, at.call, at.when)
		h.cluster.run(h.node, at.strace(append([]string{"-D"}, h.command...)...))
		hit := h.node.within(2*time.Second) && h.node.code < 0
		h.node.kill()
		if hit {
			h.hits++
			h.next(what == "restore")
		}
	}
}

// next starts a node on what the killed command left.
func (h *halves) next(restored bool) {
	c, n := h.cluster, h.node
	_, begun := os.Stat(filepath.Join(n.data, "identity.json"))
	if begun != nil && !errors.Is(begun, fs.ErrNotExist) {
		c.t.Fatal(begun)
	}
	c.start(n)
	switch err := c.ready(n); {
	case err == nil && begun != nil:
		h.empty++
	case err == nil:
		h.whole++
		if restored {
			c.verify()
		}
	case n.down() && n.code > 0 && strings.Contains(lastLine(n.log), "Hint: "):
		h.refused++
		if restored {
			h.again()
		}
	default:
		c.report.fault(restarts, "neither starts nor says why: %v", err)
	}
	if !restored && !n.down() {
		h.keep(fmt.Sprint(h.hits))
	}
	n.kill()
}

// again restores into a new directory, as the error asks.
func (h *halves) again() {
	h.cluster.must(os.RemoveAll(h.node.data))
	if out, err := exec.Command(h.command[0], h.command[1:]...).CombinedOutput(); err != nil {
		h.cluster.report.fault(restarts, "another restore: %v: %s", err, out)
		return
	}
	if h.cluster.restart() {
		h.cluster.verify()
	}
}

// keep writes a key, kills the node, and sees that the key is there after the next start.
func (h *halves) keep(value string) {
	c, n := h.cluster, h.node
	var answer *clientv3.GetResponse
	err := n.ask(patience, func(ctx context.Context) error {
		_, err := n.client.Put(ctx, "kept", value)
		return err
	})
	n.kill()
	if err == nil && c.restart() {
		err = n.ask(patience, func(ctx context.Context) (err error) {
			answer, err = n.client.Get(ctx, "kept")
			return err
		})
	}
	switch {
	case err != nil:
		c.report.fault(restarts, "write and read after a killed first start: %v", err)
	case answer != nil && (len(answer.Kvs) == 0 || string(answer.Kvs[0].Value) != value):
		c.report.fault(missing, "the key written after a killed first start")
	}
}

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/cluster/diskfull"
	"github.com/pmmc-go/pmmc/cluster/journal"
)

func TestDiskIsShort(t *testing.T) {
	const reserve = 1000
	large := space{free: 2000, total: 1 << 30, files: 5000, totalFiles: 1 << 20}
	for name, tt := range map[string]struct {
		change    func(*space)
		was, full bool
		want      bool
	}{
		"room":                            {func(*space) {}, false, false, false},
		"few bytes":                       {func(s *space) { s.free = 999 }, false, false, true},
		"few bytes more than the reserve": {func(s *space) { s.free = 1249 }, true, false, true},
		"a quarter more than the reserve": {func(s *space) { s.free = 1250 }, true, false, false},
		"few inodes":                      {func(s *space) { s.files = 999 }, false, false, true},
		"few more inodes":                 {func(s *space) { s.files = 1249 }, true, false, true},
		"a quarter more inodes":           {func(s *space) { s.files = 1250 }, true, false, false},
		"a small disk":                    {func(s *space) { s.free, s.total = 500, 5000 }, false, false, false},
		"a disk of few inodes":            {func(s *space) { s.files, s.totalFiles = 20, 200 }, false, false, false},
		"inodes are not counted":          {func(s *space) { s.files, s.totalFiles = -1, 0 }, true, false, false},
		"nothing is known":                {func(s *space) { *s = space{free: -1, files: -1} }, true, false, false},
		"over a quota":                    {func(*space) {}, false, true, true},
		"still over a quota":              {func(*space) {}, true, true, true},
	} {
		left := large
		tt.change(&left)
		if got := left.isShort(tt.was, tt.full, reserve); got != tt.want {
			t.Errorf("%s: short: %t, want %t", name, got, tt.want)
		}
	}
}

// unwritten is a journal of which nothing is known.
type unwritten struct{ journal.Journal }

func (unwritten) Stats() (s journal.Stats) { return s }

// A state that is not made durable is said once, in the log, in the status while it lasts, and
// once when it is over.
func TestUnflushedStateIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		n := &Node{counts: newStateCounts(), room: diskfull.New(nil), journal: unwritten{}}
		n.options.Logger, n.options.Protocol.Flush = hclog.New(&hclog.LoggerOptions{Output: &said}), 2*time.Second
		look := func(lines int, unflushed bool) {
			t.Helper()
			n.seeWhetherItIsFlushed()
			if got := strings.Count(said.String(), "\n"); got != lines || (n.unflushed() > 0) != unflushed {
				t.Errorf("%d lines, want %d; not durable for %s:\n%s", got, lines, n.unflushed(), said.String())
			}
		}
		look(0, false)
		<-time.After(leastUnflushed - 1)
		look(0, false)
		<-time.After(1)
		look(0, true) // the process may only have been stopped
		look(1, true)
		<-time.After(time.Hour)
		look(1, true)
		n.counts.isDurable(time.Now())
		look(2, false)
	})
}

// cramped is a state whose file has no room while it is full.
type cramped struct {
	*kept
	full  atomic.Bool
	tries atomic.Int64
}

func (c *cramped) Flush() (uint64, error) {
	if c.full.Load() {
		c.tries.Add(1)
		return 0, fmt.Errorf("write it: %w", &fs.PathError{Op: "write", Path: "state", Err: syscall.EDQUOT})
	}
	return c.kept.Flush()
}

// A state whose file finds no room is no failure: it is not durable, which is all that the node
// says, and is written again until there is room.
func TestFullDiskDoesNotEndNode(t *testing.T) {
	dir := t.TempDir()
	k, err := keep(new(text), StateDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	c := &cramped{kept: k}
	c.full.Store(true)
	o := Options{Cluster: "test", Member: "alpha", DataDir: dir, Protocol: DefaultProtocol(), Listen: "127.0.0.1:0", Machine: c}
	o.Members = []Member{{ID: 1, Name: "alpha", Address: "127.0.0.1:1", Replica: true, Leader: true, Acceptor: true}}
	o.Protocol.Flush = 10 * time.Millisecond
	n, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := n.Propose(ctx, []byte("a")); err != nil {
		t.Fatal(err)
	}
	wait := func(what string, holds func() bool) {
		t.Helper()
		for !holds() {
			select {
			case <-n.Done():
				t.Fatalf("%s: the node ended: %v", what, n.Err())
			case <-ctx.Done():
				t.Fatalf("not %s", what)
			case <-time.After(time.Millisecond):
			}
		}
	}
	tried := c.tries.Load()
	wait("tried again", func() bool { return c.tries.Load() > tried+2 })
	began := n.Status().State.Durable
	c.full.Store(false)
	wait("durable", func() bool { return n.Status().State.Durable.After(began) })
	if err := n.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// A state that could not be written leaves the one before, and nothing that takes room.
func TestFailedFlushLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	k, err := keep(&text{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", k.path+".new"); err != nil {
		t.Fatal(err)
	}
	if below, err := k.Flush(); below != 0 || !diskfull.Is(err) {
		t.Errorf("flushed below %d: %v", below, err)
	}
	if _, err := os.Lstat(k.path + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it left %s: %v", filepath.Base(k.path)+".new", err)
	}
	if _, err := k.Flush(); err != nil {
		t.Errorf("with room: %v", err)
	}
}

package kv_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// failingFS fails operations that a function picks, with an errno, while it is on.
type failingFS struct {
	errno syscall.Errno
	picks func(op errorfs.Op) bool
	on    atomic.Bool
}

func (f *failingFS) over(fs vfs.FS) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if f.on.Load() && f.picks(op) {
			return &os.PathError{Op: "test", Path: op.Path, Err: f.errno}
		}
		return nil
	}))
}

func creates(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate }

func writesTo(part string) func(errorfs.Op) bool {
	return func(op errorfs.Op) bool {
		return (op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpFileWriteAt) && strings.Contains(op.Path, part)
	}
}

// A flush waits while the disk is full, and is done as soon as its operations succeed: however
// many bytes are free, whichever limit is reached, and whichever file it is that has no room.
func TestFlushWaitsForRoom(t *testing.T) {
	for _, tt := range []struct {
		name  string
		errno syscall.Errno
		picks func(errorfs.Op) bool
	}{
		{"no inode for a table", syscall.ENOSPC, creates},
		{"no quota for a file", syscall.EDQUOT, creates},
		{"no block for a table", syscall.ENOSPC, writesTo(".sst")},
		{"no quota for a table", syscall.EDQUOT, writesTo(".sst")},
		{"no block for the MANIFEST", syscall.ENOSPC, writesTo("MANIFEST")},
		{"no quota for the MANIFEST", syscall.EDQUOT, writesTo("MANIFEST")},
		{"no block for the note of what is flushed", syscall.ENOSPC, writesTo("flushed")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			full := &failingFS{errno: tt.errno, picks: tt.picks}
			n := openNode(t, full.over(vfs.NewMem()))
			n.put("a", "1")
			full.on.Store(true)
			flushed := make(chan error, 1)
			go func() {
				_, err := n.Flush()
				flushed <- err
			}()
			for n.FullSince().IsZero() {
				select {
				case err := <-flushed:
					t.Fatalf("flushed on a full disk: %v", err)
				case <-time.After(time.Millisecond):
				}
			}
			full.on.Store(false)
			if err := <-flushed; err != nil {
				t.Errorf("flushed when there was room: %v", err)
			}
			if err := n.Failure(); err != nil || !n.FullSince().IsZero() {
				t.Errorf("afterwards: failure %v, full since %v", err, n.FullSince())
			}
			n.put("b", "2")
			n.flush()
		})
	}
}

// manifestErrno has TestFailedManifestEndsProcess run as the process that is to end.
const manifestErrno = "PMMC_TEST_MANIFEST"

// Pebble does not survive a failed write or fsync of its MANIFEST. The process then ends with
// code 1 and a reason: 2 is that of a wrong configuration, after which nobody restarts it.
func TestFailedManifestEndsProcess(t *testing.T) {
	if os.Getenv(manifestErrno) != "" {
		broken := &failingFS{errno: syscall.EIO, picks: func(op errorfs.Op) bool {
			return strings.Contains(op.Path, "MANIFEST") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileWrite)
		}}
		n := openNode(t, broken.over(vfs.NewMem()))
		n.put("a", "1")
		broken.on.Store(true)
		_, err := n.Flush()
		t.Fatalf("flushed: %v", err)
	}
	c := exec.Command(os.Args[0], "-test.run=^TestFailedManifestEndsProcess$")
	c.Env = append(os.Environ(), manifestErrno+"=1")
	out, err := c.CombinedOutput()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != 1 || !strings.Contains(string(out), "Error: kv: pebble: MANIFEST") || strings.Contains(string(out), "goroutine ") {
		t.Errorf("%v, want code 1 and a reason:\n%s", err, out)
	}
}

// What waits for room ends when the store is abandoned, with the reason.
func TestAbandonEndsWaitForRoom(t *testing.T) {
	full := &failingFS{errno: syscall.ENOSPC, picks: writesTo(".sst")}
	s := must(kv.Open(kv.Options{Dir: "kv", FS: full.over(vfs.NewMem())}))
	n := &node{t: t, Store: s, slot: 1}
	n.put("a", "1")
	full.on.Store(true)
	flushed := make(chan error, 1)
	go func() {
		_, err := n.Flush()
		flushed <- err
	}()
	for n.FullSince().IsZero() {
		<-time.After(time.Millisecond)
	}
	n.Abandon()
	if err := <-flushed; !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("flushed: %v", err)
	}
	if err := n.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("closed: %v", err)
	}
}

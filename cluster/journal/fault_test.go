package journal

import (
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft-wal/types"

	"github.com/pmmc-go/pmmc/messages"
)

// faulty is a disk whose syncs can fail, and that knows what isn't synced.
type faulty struct {
	files
	mu     sync.Mutex
	broken error
	full   bool // no file is made …
	packed bool // … and nothing is written behind what is reserved
	dirty  int  // writes since the last sync
}

func (v *faulty) Create(dir, name string, size uint64) (types.WritableFile, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.full {
		return nil, syscall.ENOSPC
	}
	f, err := v.files.Create(dir, name, size)
	return &faultyFile{f, v, int64(size)}, err
}

type faultyFile struct {
	types.WritableFile
	v    *faulty
	size int64 // that is reserved
}

func (f *faultyFile) Sync() error {
	f.v.mu.Lock()
	defer f.v.mu.Unlock()
	f.v.dirty = 0
	return errors.Join(f.v.broken, f.WritableFile.Sync())
}

func (f *faultyFile) WriteAt(b []byte, at int64) (int, error) {
	f.v.mu.Lock()
	defer f.v.mu.Unlock()
	f.v.dirty++
	if f.v.packed && at+int64(len(b)) > f.size {
		n, err := f.WritableFile.WriteAt(b[:max(0, f.size-at)], at)
		return n, errors.Join(syscall.ENOSPC, err)
	}
	return f.WritableFile.WriteAt(b, at)
}

// TestDoneMeansSynced: when done is called, nothing written waits for a sync.
func TestDoneMeansSynced(t *testing.T) {
	v, o := new(faulty), must(t, t.TempDir(), minSegmentBytes)
	l, err := o.open(func() (store, error) { return openDisk(o, v) })
	l = opened(t, l, err)
	for slot := range uint64(40) {
		l.Append(pvalue(acceptor, 1, slot, 100), func() {
			v.mu.Lock()
			defer v.mu.Unlock()
			if v.dirty != 0 {
				t.Errorf("done of slot %d with %d writes not synced", slot, v.dirty)
			}
		})
	}
	write(t, l, promise(1))
}

// TestAFailedSyncOfTheDiskIsFinal also shows that what was acknowledged before
// survives it.
func TestAFailedSyncOfTheDiskIsFinal(t *testing.T) {
	dir, v := t.TempDir(), new(faulty)
	o := Options{Dir: dir, Logger: hclog.NewNullLogger()}
	failures := make(chan error, 2)
	o.Failed = func(err error) { failures <- err }
	l, err := o.open(func() (store, error) { return openDisk(o, v) })
	l = opened(t, l, err)
	write(t, l, promise(1))
	v.mu.Lock()
	v.broken = errors.New("I/O error")
	v.mu.Unlock()
	l.Append(promise(2), func() { t.Error("done of a record that was not synced") })
	if err := <-failures; !errors.Is(err, v.broken) {
		t.Fatal(err)
	}
	if err := l.Close(); !errors.Is(err, v.broken) {
		t.Fatal(err)
	}
	l, err = Open(must(t, dir, 0))
	l = opened(t, l, err)
	got := replay(t, l, acceptor)
	if len(got) != 1 || got[0].GetBallot().Round < 1 {
		t.Fatal(got)
	}
}

// TestAFullDisk: raft-wal makes the next segment in the background, and writes the last
// batch of a segment, and its index, behind the segment's end. While there is no room for one
// or the other, nothing is acknowledged and nothing fails; then all that waited is written.
func TestAFullDisk(t *testing.T) {
	t.Run("for a segment", func(t *testing.T) { fullDisk(t, (*faulty).fill) })
	t.Run("behind a segment", func(t *testing.T) { fullDisk(t, (*faulty).pack) })
}

func fullDisk(t *testing.T, fill func(v *faulty, full bool)) {
	v, o := new(faulty), must(t, t.TempDir(), minSegmentBytes)
	o.Failed = func(err error) { t.Errorf("the journal failed: %v", err) }
	l := onFaulty(t, v, o)
	fill(v, true)
	var synced atomic.Uint64
	l.Append(pvalue(acceptor, 1, 1, 2000), func() { synced.Add(1) }) // more than a segment
	await(t, "full", func() bool { return !l.Stats().FullSince.IsZero() })
	const slots = 100
	for slot := uint64(2); slot <= slots; slot++ {
		l.Append(pvalue(acceptor, 1, slot, 90), func() { synced.Add(1) })
	}
	if n, waits := synced.Load(), l.Stats().Queued; n > 1 || waits < slots-1 {
		t.Errorf("the disk is full: %d records are durable, %d wait", n, waits)
	}
	fill(v, false)
	write(t, l, promise(1))
	if n := synced.Load(); n != slots || !l.Stats().FullSince.IsZero() {
		t.Errorf("%d of %d records are durable, full since %v", n, slots, l.Stats().FullSince)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(must(t, o.Dir, minSegmentBytes))
	if got := len(replay(t, opened(t, again, err), acceptor)) - 1; got != slots {
		t.Fatalf("%d pvalues, want %d", got, slots)
	}
}

// TestAFullDiskIsNamed: who closes a journal that waits for room, or opens one where there
// is none, hears why; what was acknowledged is there afterwards.
func TestAFullDiskIsNamed(t *testing.T) {
	t.Run("for a segment", func(t *testing.T) { fullDiskIsNamed(t, (*faulty).fill) })
	t.Run("behind a segment", func(t *testing.T) { fullDiskIsNamed(t, (*faulty).pack) })
}

func fullDiskIsNamed(t *testing.T, fill func(v *faulty, full bool)) {
	v, o := new(faulty), must(t, t.TempDir(), minSegmentBytes)
	o.Failed = func(error) {}
	l := onFaulty(t, v, o)
	fill(v, true)
	var synced atomic.Uint64
	l.Append(pvalue(acceptor, 1, 1, 2000), func() { synced.Add(1) }) // more than a segment
	await(t, "full", func() bool { return !l.Stats().FullSince.IsZero() })
	l.Append(pvalue(acceptor, 1, 2, 90), func() { synced.Add(1) })
	if err := l.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("closed: %v", err)
	}
	v.fill(true) // if the first segment is whole, there has to be another one
	switch l, err := o.open(func() (store, error) { return openDisk(o, v) }); {
	case err == nil && synced.Load() == 0:
		l.Crash()
	case !errors.Is(err, syscall.ENOSPC):
		t.Errorf("opened: %v", err)
	}
	l, err := Open(must(t, o.Dir, minSegmentBytes)) // there is room again
	l = opened(t, l, err)
	found := uint64(0)
	for _, rec := range replay(t, l, acceptor) {
		if rec.GetPvalue() != nil {
			found++
		}
	}
	if found != synced.Load() {
		t.Fatalf("%d pvalues, want %d", found, synced.Load())
	}
	write(t, l, promise(9))
}

func onFaulty(t *testing.T, v *faulty, o Options) *Log {
	t.Helper()
	l, err := o.open(func() (store, error) { return openDisk(o, v) })
	return opened(t, l, err)
}

func (v *faulty) pack(full bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.packed = full
}

func (v *faulty) fill(full bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.full = full
}

// await waits until something is so, for as long as the test may take.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
			if t.Failed() {
				t.FailNow()
			}
		case <-t.Context().Done():
			t.Fatal("not ", what)
		}
	}
}

// TestReplayBesideAppendsAndCuts replays again and again while the front is cut.
func TestReplayBesideAppendsAndCuts(t *testing.T) {
	for _, w := range worlds(t) {
		t.Run(w.name, func(t *testing.T) {
			l, err := w.open(t, must(t, "", minSegmentBytes))
			l = opened(t, l, err)
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				for slot := uint64(1); ; slot++ {
					select {
					case <-stop:
						return
					default:
					}
					durable := make(chan struct{})
					l.Append(pvalue(acceptor, 1, slot, 90), nil)
					l.Append(forgotten(max(slot, 20)-19), func() { close(durable) })
					<-durable
				}
			}()
			for last := uint64(0); last < 400; {
				next, below := uint64(0), uint64(0)
				err := l.Replay(acceptor, func(rec *messages.Record) {
					switch k := rec.Kind.(type) {
					case *messages.Record_Forgotten:
						below = k.Forgotten
					case *messages.Record_Pvalue:
						if slot := k.Pvalue.Slot; slot < below || next > 0 && slot != next {
							t.Errorf("slot %d after %d, forgotten below %d", slot, next-1, below)
						}
						next = k.Pvalue.Slot + 1
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				last = next
				write(t, l, promise(1)) // a cut may come between two replays
			}
			close(stop)
			<-stopped
			if l.Stats().Cuts == 0 {
				t.Error("nothing was cut meanwhile")
			}
		})
	}
}

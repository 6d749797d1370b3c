package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/messages"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	acceptor = "epoch-1/acceptor"
	leader   = "epoch-1/leader"
)

func pvalue(owner string, round, slot uint64, size int) *messages.Record {
	return &messages.Record{Owner: owner, Kind: &messages.Record_Pvalue{Pvalue: &messages.PValue{
		Ballot: &messages.Ballot{Round: round, Leader: 1}, Slot: slot,
		Decree: bytes.Repeat([]byte{byte(slot)}, size),
	}}}
}

func promise(round uint64) *messages.Record {
	return &messages.Record{Owner: acceptor, Kind: &messages.Record_Ballot{Ballot: &messages.Ballot{Round: round, Leader: 1}}}
}

func forgotten(below uint64) *messages.Record {
	return &messages.Record{Owner: acceptor, Kind: &messages.Record_Forgotten{Forgotten: below}}
}

func decided(round, first, below uint64) *messages.Record {
	return &messages.Record{Owner: acceptor, Kind: &messages.Record_Decided{Decided: &messages.DecidedRun{
		Ballot: &messages.Ballot{Round: round, Leader: 1}, First: first, Below: below,
	}}}
}

func usedRound(n uint64) *messages.Record {
	return &messages.Record{Owner: leader, Kind: &messages.Record_Round{Round: n}}
}

// must makes options with which a failed write fails the test.
func must(t testing.TB, dir string, segmentBytes int) Options {
	return Options{Dir: dir, SegmentBytes: segmentBytes, Failed: func(err error) { t.Errorf("failed: %v", err) }}
}

// world is a place for a journal that survives a crash of it.
type world struct {
	name string
	open func(testing.TB, Options) (*Log, error)
}

// worlds are a directory and a Memory.
func worlds(t testing.TB) []world {
	dir, m := t.TempDir(), NewMemory(nil)
	return []world{
		{"disk", func(_ testing.TB, o Options) (*Log, error) { o.Dir = dir; return Open(o) }},
		{"memory", func(_ testing.TB, o Options) (*Log, error) { return m.Open(o) }},
	}
}

func opened(t testing.TB, l *Log, err error) *Log {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// write appends records and waits until they are durable.
func write(t testing.TB, l *Log, recs ...*messages.Record) {
	t.Helper()
	done := make(chan struct{})
	for i, rec := range recs {
		if i < len(recs)-1 {
			l.Append(rec, nil)
		} else {
			l.Append(rec, func() { close(done) })
		}
	}
	select {
	case <-done:
	case <-l.ended:
		t.Fatalf("the journal ended: %v", l.reason())
	}
}

func replay(t testing.TB, l *Log, owner string) (recs []*messages.Record) {
	t.Helper()
	if err := l.Replay(owner, func(rec *messages.Record) { recs = append(recs, rec) }); err != nil {
		t.Fatal(err)
	}
	return recs
}

func wantReplay(t testing.TB, l *Log, owner string, want ...*messages.Record) {
	t.Helper()
	got := replay(t, l, owner)
	if len(got) != len(want) {
		t.Fatalf("replayed %d records, want %d: from %.200v to %.200v", len(got), len(want), got[:min(1, len(got))], got[max(0, len(got)-1):])
	}
	for i := range got {
		if !proto.Equal(got[i], want[i]) {
			t.Fatalf("record %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func TestReplayGivesTheLiveRecordsOfOneOwner(t *testing.T) {
	for _, w := range worlds(t) {
		t.Run(w.name, func(t *testing.T) {
			l, err := w.open(t, must(t, "", 0))
			l = opened(t, l, err)
			wantReplay(t, l, acceptor)
			write(t, l, promise(3), promise(2), pvalue(acceptor, 3, 1, 10), usedRound(7), usedRound(5),
				pvalue(acceptor, 3, 2, 10), pvalue("epoch-2/acceptor", 9, 2, 10), pvalue(acceptor, 4, 2, 11),
				decided(3, 1, 2), decided(3, 2, 3), decided(4, 3, 4), forgotten(2), pvalue(acceptor, 4, 3, 10))
			want := []*messages.Record{
				forgotten(2), promise(4),
				pvalue(acceptor, 3, 2, 10), pvalue(acceptor, 4, 2, 11), pvalue(acceptor, 4, 3, 10),
				decided(3, 1, 3), decided(4, 3, 4),
			}
			for range 3 { // in the running journal, after a crash, after a close
				wantReplay(t, l, acceptor, want...)
				wantReplay(t, l, leader, usedRound(7))
				l.Crash()
				l, err = w.open(t, must(t, "", 0))
				l = opened(t, l, err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if err := l.Replay(acceptor, nil); !errors.Is(err, ErrClosed) {
				t.Fatalf("replay after close: %v", err)
			}
		})
	}
}

// TestDoneMeansReadable opens a copy of the directory that was made inside done.
func TestDoneMeansReadable(t *testing.T) {
	l, err := Open(must(t, t.TempDir(), minSegmentBytes))
	l = opened(t, l, err)
	dir := l.store.(*disk).dir
	var wait sync.WaitGroup
	copies := make([]string, 60)
	for slot := range copies {
		copies[slot] = filepath.Join(t.TempDir(), "copy")
		wait.Add(1)
		l.Append(pvalue(acceptor, 1, uint64(slot), 300), func() {
			copyDir(t, dir, copies[slot])
			wait.Done()
		})
		if slot%3 == 0 {
			wait.Wait()
		}
	}
	wait.Wait()
	for slot, c := range copies {
		l, err := Open(must(t, c, minSegmentBytes))
		l = opened(t, l, err)
		if got := replay(t, l, acceptor); len(got) < slot+2 {
			t.Fatalf("copy made in done of slot %d has %d records", slot, len(got))
		}
		write(t, l, promise(2)) // also where the segment had just become full
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// copyDir copies what a crash of the machine would leave if the kernel had written
// all of its cache. A segment may be added or cut meanwhile, never the tail changed.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	for {
		if err := os.RemoveAll(to); err != nil {
			t.Error(err)
		}
		err := os.CopyFS(to, os.DirFS(from))
		if err == nil {
			return
		}
		if !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
			return
		}
	}
}

func TestCrashLosesOnlyWhatWasNotDone(t *testing.T) {
	stall := make(chan struct{})
	m := NewMemory(func(ctx context.Context) error {
		select {
		case <-stall:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	l, err := m.Open(must(t, "", 0))
	l = opened(t, l, err)
	l.Append(promise(1), func() { t.Error("done of a record that was lost") })
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for l.Stats().Queued == 0 || l.Stats().OldestWaiting.IsZero() {
		<-poll.C
	}
	l.Append(promise(2), func() { t.Error("done of a record that was lost") })
	if _, err := m.Open(must(t, "", 0)); !errors.As(err, new(*LockedError)) {
		t.Fatalf("opened twice: %v", err)
	}
	l.Crash()
	l.Append(promise(3), func() { t.Error("done after a crash") })
	close(stall)

	l, err = m.Open(must(t, "", 0))
	l = opened(t, l, err)
	wantReplay(t, l, acceptor)
	write(t, l, promise(4))
	l.Crash()
	l, err = m.Open(must(t, "", 0))
	l = opened(t, l, err)
	wantReplay(t, l, acceptor, promise(4))
}

func TestAFailedSyncIsFinal(t *testing.T) {
	broken := errors.New("I/O error")
	syncs := 0
	m := NewMemory(func(context.Context) error {
		if syncs++; syncs == 2 {
			return broken
		}
		return nil
	})
	o := must(t, "", 0)
	failures := make(chan error, 2)
	o.Failed = func(err error) { failures <- err }
	l, err := m.Open(o)
	l = opened(t, l, err)
	write(t, l, promise(1))
	l.Append(promise(2), func() { t.Error("done of a record that was not written") })
	if err := <-failures; !errors.Is(err, broken) {
		t.Fatal(err)
	}
	l.Append(promise(3), func() { t.Error("done after a failure") })
	if err := l.Replay(acceptor, nil); !errors.Is(err, broken) {
		t.Fatalf("replay after a failure: %v", err)
	}
	if err := l.Close(); !errors.Is(err, broken) {
		t.Fatalf("close after a failure: %v", err)
	}
	if len(failures) > 0 || syncs != 2 {
		t.Fatalf("told %d more failures, %d syncs", len(failures), syncs)
	}
}

// TestDoneIsInOrder has many goroutines append, one owner each.
func TestDoneIsInOrder(t *testing.T) {
	for _, w := range worlds(t) {
		t.Run(w.name, func(t *testing.T) {
			l, err := w.open(t, must(t, "", 64<<10))
			l = opened(t, l, err)
			const owners, each = 8, 200
			next := make([]uint64, owners) // the writer's alone
			var wait sync.WaitGroup
			for o := range owners {
				owner := fmt.Sprintf("epoch-%d/acceptor", o)
				for slot := range uint64(each) {
					wait.Add(1)
					l.Append(pvalue(owner, 1, slot, 100), func() {
						if next[o] != slot {
							t.Errorf("done of %s, slot %d, after slot %d", owner, slot, next[o])
						}
						next[o]++
						wait.Done()
					})
				}
			}
			wait.Wait()
			for o := range owners {
				got := replay(t, l, fmt.Sprintf("epoch-%d/acceptor", o))[1:]
				for slot, rec := range got {
					if rec.GetPvalue().Slot != uint64(slot) {
						t.Fatalf("slot %d is replayed as number %d", rec.GetPvalue().Slot, slot)
					}
				}
				if len(got) != each {
					t.Fatalf("%d pvalues, want %d", len(got), each)
				}
			}
			s := l.Stats()
			if s.Records != owners*each || s.Syncs == 0 || s.Syncs > s.Records || s.Queued != 0 || !s.OldestWaiting.IsZero() {
				t.Fatalf("%+v", s)
			}
		})
	}
}

// TestDiskStaysBounded appends endlessly and forgets, and crashes now and then.
func TestDiskStaysBounded(t *testing.T) {
	for _, w := range worlds(t) {
		t.Run(w.name, func(t *testing.T) {
			const window, segment = 50, 64 << 10
			l, err := w.open(t, must(t, "", segment))
			l = opened(t, l, err)
			write(t, l, usedRound(3), promise(2))
			highest := int64(0)
			for slot := uint64(1); slot <= 6000; slot++ {
				l.Append(pvalue(acceptor, 1, slot, 1000), nil)
				if slot%10 == 0 {
					write(t, l, decided(1, slot-9, slot+1))
				}
				if slot%10 == 0 && slot > window {
					write(t, l, forgotten(slot-window))
				}
				if slot%100 == 0 {
					highest = max(highest, l.Stats().DiskBytes)
				}
				if slot%1500 == 0 {
					l.Crash()
					l, err = w.open(t, must(t, "", segment))
					l = opened(t, l, err)
				}
			}
			if highest > 6*segment {
				t.Errorf("grew to %d bytes", highest)
			}
			if s := l.Stats(); s.First < 100 {
				t.Errorf("never cut: %+v", s)
			}
			if f := l.owners[acceptor]; len(f.live) > window+10 || len(f.decided) != 1 {
				t.Errorf("keeps %d batches and %d runs in mind", len(f.live), len(f.decided))
			}
			want := []*messages.Record{forgotten(5950), promise(2)}
			for slot := uint64(5950); slot <= 6000; slot++ {
				want = append(want, pvalue(acceptor, 1, slot, 1000))
			}
			want = append(want, decided(1, 1, 6001))
			wantReplay(t, l, acceptor, want...)
			wantReplay(t, l, leader, usedRound(3))
		})
	}
}

// TestAPromiseOutlivesItsSlot: an acceptor that accepts under a ballot whose p1a it
// never saw has promised that ballot, also when the slot is long forgotten.
func TestAPromiseOutlivesItsSlot(t *testing.T) {
	m := NewMemory(nil)
	l, err := m.Open(must(t, "", minSegmentBytes))
	l = opened(t, l, err)
	write(t, l, pvalue(acceptor, 9, 1, 10))
	for slot := uint64(2); slot < 50; slot++ {
		write(t, l, pvalue(acceptor, 2, slot, 1000))
		write(t, l, forgotten(slot))
	}
	if l.Stats().First < 5 {
		t.Fatal("not cut")
	}
	l.Crash()
	l, err = m.Open(must(t, "", minSegmentBytes))
	l = opened(t, l, err)
	wantReplay(t, l, acceptor, forgotten(49), promise(9), pvalue(acceptor, 2, 49, 1000))
}

package journal

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/pmmc-go/pmmc/messages"
)

// recall is what an owner's pvalues of some slots are, at most so many, as "slot.round".
func recall(t testing.TB, l *Log, owner string, first, last uint64, most int) string {
	t.Helper()
	found := []string{}
	err := l.Recall(owner, first, last, func(v *messages.PValue) bool {
		found = append(found, fmt.Sprintf("%d.%d", v.Slot, v.Ballot.Round))
		return len(found) < most
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(found)
}

func TestRecallGivesPvaluesOfSlots(t *testing.T) {
	for _, w := range worlds(t) {
		t.Run(w.name, func(t *testing.T) {
			l, err := w.open(t, must(t, "", 0))
			l = opened(t, l, err)
			for _, rec := range []*messages.Record{ // each a batch of its own
				pvalue(acceptor, 1, 1, 10), pvalue(acceptor, 1, 2, 10), pvalue("epoch-2/acceptor", 9, 3, 10), promise(3),
				pvalue(acceptor, 1, 3, 10), pvalue(acceptor, 2, 2, 10), pvalue(acceptor, 2, 4, 10),
			} {
				write(t, l, rec)
			}
			for range 2 { // in the running journal, and in one that was opened anew
				for _, step := range []struct {
					first, last uint64
					most        int
					want        string
				}{
					{2, 9, 10, "[2.1 3.1 2.2 4.2]"}, {2, 2, 10, "[2.1 2.2]"}, {3, 3, 10, "[3.1]"}, {4, 9, 10, "[4.2]"}, {5, 9, 10, "[]"}, {1, 9, 2, "[1.1 2.1]"},
				} {
					if got := recall(t, l, acceptor, step.first, step.last, step.most); got != step.want {
						t.Errorf("at most %d of slots %d to %d: %s, want %s", step.most, step.first, step.last, got, step.want)
					}
				}
				if got := recall(t, l, leader, 1, 9, 10); got != "[]" {
					t.Errorf("of an owner without pvalues: %s", got)
				}
				l.Crash()
				l, err = w.open(t, must(t, "", 0))
				l = opened(t, l, err)
			}
			write(t, l, forgotten(3))
			if got := recall(t, l, acceptor, 1, 9, 10); got != "[3.1 4.2]" {
				t.Errorf("with slots below 3 forgotten: %s", got)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if err := l.Recall(acceptor, 1, 9, nil); !errors.Is(err, ErrClosed) {
				t.Errorf("after close: %v", err)
			}
		})
	}
}

// together appends records of which the writer makes one batch, and waits until it is written.
func together(l *Log, recs ...*messages.Record) {
	written := make(chan struct{})
	l.mu.Lock() // or it would take the first of them alone
	for _, rec := range recs {
		l.queue = append(l.queue, item{rec: rec})
	}
	l.queue = append(l.queue, item{done: func() { close(written) }})
	l.mu.Unlock()
	l.nudge()
	<-written
}

// countingStore counts what is read.
type countingStore struct {
	store
	reads int
}

func (s *countingStore) read(index uint64) ([]byte, error) {
	s.reads++
	return s.store.read(index)
}

// Slots may come in any order, and who asks for more and more of a batch has it read once.
func TestRecallOfABatch(t *testing.T) {
	o, counting := must(t, t.TempDir(), 0), new(countingStore)
	l, err := o.open(func() (store, error) {
		d, err := openDisk(o, files{})
		counting.store = d
		return counting, err
	})
	l = opened(t, l, err)
	together(l, pvalue(acceptor, 1, 9, 10), pvalue(acceptor, 1, 5, 10), pvalue(acceptor, 1, 3, 10), pvalue(acceptor, 1, 7, 10))
	together(l, pvalue(acceptor, 1, 8, 10))
	if n := l.Stats().Entries; n != 2 {
		t.Fatalf("%d batches", n)
	}
	for _, step := range []struct {
		first, last uint64
		most, reads int
		want        string
	}{
		{3, 5, 1, 1, "[9.1]"}, {3, 5, 3, 1, "[9.1 5.1 3.1]"}, {7, 7, 9, 1, "[9.1 5.1 3.1 7.1]"}, // it is read to its end
		{9, 9, 1, 2, "[9.1]"}, {8, 8, 5, 3, "[9.1 5.1 3.1 7.1 8.1]"},
	} {
		if got := recall(t, l, acceptor, step.first, step.last, step.most); got != step.want || counting.reads != step.reads {
			t.Errorf("at most %d of slots %d to %d: %s with %d reads so far, want %s with %d", step.most, step.first, step.last, got, counting.reads, step.want, step.reads)
		}
	}
}

// A cut writes, and on a full disk it waits: who asks does not.
func TestRecallWaitsForNoCut(t *testing.T) {
	l, err := NewMemory(nil).Open(must(t, "", 0))
	l = opened(t, l, err)
	write(t, l, pvalue(acceptor, 1, 1, 10))
	l.uncut.Lock() // as a cut does
	if got := recall(t, l, acceptor, 1, 9, 10); got != "[]" {
		t.Errorf("while the front is cut: %s", got)
	}
	l.uncut.Unlock()
	if got := recall(t, l, acceptor, 1, 9, 10); got != "[1.1]" {
		t.Errorf("after the cut: %s", got)
	}
}

// What is not on disk may yet be lost, so it is not told; and who asks does not wait for it.
func TestRecallWaitsForNoWrite(t *testing.T) {
	hang := make(chan struct{})
	var hanging bool
	m := NewMemory(func(ctx context.Context) error {
		if hanging {
			select {
			case <-hang:
			case <-ctx.Done():
			}
		}
		return ctx.Err()
	})
	l, err := m.Open(must(t, "", 0))
	l = opened(t, l, err)
	write(t, l, pvalue(acceptor, 1, 1, 10), pvalue(acceptor, 1, 2, 10))
	hanging = true // the writer looks at it only for what is appended from here on
	done := make(chan struct{})
	l.Append(pvalue(acceptor, 1, 3, 10), func() { close(done) })
	if got := recall(t, l, acceptor, 1, 9, 10); got != "[1.1 2.1]" {
		t.Errorf("beside a write that hangs: %s", got)
	}
	close(hang)
	<-done
	if got := recall(t, l, acceptor, 3, 9, 10); got != "[3.1]" {
		t.Errorf("after the write: %s", got)
	}
}

// TestRecallBesideAppendsAndCuts asks for the last slots that are not forgotten while the
// front is cut: all of them are there.
func TestRecallBesideAppendsAndCuts(t *testing.T) {
	for _, w := range worlds(t) {
		t.Run(w.name, func(t *testing.T) {
			l, err := w.open(t, must(t, "", minSegmentBytes))
			l = opened(t, l, err)
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				for slot := uint64(1); slot <= 400; slot++ {
					durable := make(chan struct{})
					l.Append(pvalue(acceptor, 1, slot, 90), nil)
					l.Append(forgotten(max(slot, 20)-19), func() { close(durable) })
					<-durable
				}
			}()
			for last := uint64(0); last < 400; {
				next := uint64(0)
				err := l.Recall(acceptor, last, 400, func(v *messages.PValue) bool {
					if next > 0 && v.Slot != next {
						t.Errorf("slot %d after %d", v.Slot, next-1)
					}
					next = v.Slot + 1
					return v.Slot < last+50
				})
				if err != nil {
					t.Fatal(err)
				}
				if next > 0 {
					last = next - 1
				}
				write(t, l, promise(1)) // a cut may come between two
			}
			<-stopped
			if l.Stats().Cuts == 0 {
				t.Error("nothing was cut meanwhile")
			}
		})
	}
}

package journal

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/pmmc-go/pmmc/messages"
)

// TestAnIdleJournalIsCut: acceptors retain a few slots for those that lag, and an idle cluster
// appends nothing but probes. What is retained does not hold all of the log, and is not lost.
func TestAnIdleJournalIsCut(t *testing.T) {
	for _, w := range worlds(t) {
		t.Run(w.name, func(t *testing.T) {
			const segment, live = 16 << 10, 40
			other := "epoch-2/acceptor"
			l, err := w.open(t, must(t, "", segment))
			l = opened(t, l, err)
			var want, wantOther []*messages.Record
			for slot := uint64(1); slot <= live; slot++ {
				v := pvalue(acceptor, 1, slot, 100)
				if write(t, l, v); slot > 10 {
					want = append(want, v)
				}
				if slot%4 == 0 {
					wantOther = append(wantOther, pvalue(other, 1, slot, 10))
					write(t, l, wantOther[len(wantOther)-1])
				}
			}
			write(t, l, forgotten(11), usedRound(3), decided(1, 1, 30))
			most := 0
			for i := range 4000 {
				write(t, l, promise(2))
				most = max(most, l.Stats().Segments)
				if i%1500 == 1499 {
					l.Crash()
					l, err = w.open(t, must(t, "", segment))
					l = opened(t, l, err)
				}
			}
			bound := spareSegments + 2*l.owners.bytes()/segment + 3 // the tail, and two that moves and checkpoints fill
			if s := l.Stats(); most > bound || s.First < 2000 {
				t.Errorf("up to %d segments, want at most %d; the first of %d batches is %d", most, bound, s.Last, s.First)
			}
			if got := l.Owners(); !slices.Equal(got, []string{acceptor, other}) {
				t.Errorf("the owners of live pvalues are %q", got)
			}
			want = append([]*messages.Record{forgotten(11), promise(2)}, append(want, decided(1, 1, 30))...)
			wantReplay(t, l, acceptor, want...)
			wantReplay(t, l, other, append([]*messages.Record{{Owner: other, Kind: &messages.Record_Ballot{Ballot: &messages.Ballot{Round: 1, Leader: 1}}}}, wantOther...)...)
			wantReplay(t, l, leader, usedRound(3))
			if got := recalled(t, l, acceptor, 12, 13); len(got) != 2 {
				t.Errorf("recalled slots %v of what was moved, want 12 and 13", got)
			}
		})
	}
}

func recalled(t *testing.T, l *Log, owner string, first, last uint64) (slots []uint64) {
	t.Helper()
	err := l.Recall(owner, first, last, func(v *messages.PValue) bool {
		if first <= v.Slot && v.Slot <= last {
			slots = append(slots, v.Slot)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return slots
}

// TestABusyJournalMovesNothing: as long as the front is forgotten in its turn, nothing is
// written twice, however short the decrees are.
func TestABusyJournalMovesNothing(t *testing.T) {
	for _, size := range []int{0, 10, 1000} {
		l, err := NewMemory(nil).Open(must(t, "", 16<<10))
		l = opened(t, l, err)
		appended := uint64(0)
		for slot := uint64(1); slot <= 3000; slot++ {
			write(t, l, pvalue(acceptor, 1, slot, size))
			appended++
			if slot > 500 && slot%5 == 0 {
				write(t, l, forgotten(slot-500))
				appended++
			}
		}
		if s := l.Stats(); s.Records != appended+s.Cuts || s.Cuts == 0 {
			t.Errorf("decrees of %d bytes: %d records were written, %d appended, and %d checkpoints", size, s.Records, appended, s.Cuts)
		}
	}
}

// TestMovingBesideReaders: who replays and recalls while the front is moved finds all.
func TestMovingBesideReaders(t *testing.T) {
	l, err := NewMemory(nil).Open(must(t, "", minSegmentBytes))
	l = opened(t, l, err)
	for slot := uint64(1); slot <= 10; slot++ {
		write(t, l, pvalue(acceptor, 1, slot, 10))
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			slots := make(map[uint64]bool)
			err := l.Replay(acceptor, func(rec *messages.Record) {
				if v := rec.GetPvalue(); v != nil {
					slots[v.Slot] = true
				}
			})
			if err != nil || len(slots) != 10 {
				t.Errorf("replayed %d of 10 slots, %v", len(slots), err)
				return
			}
		}
	})
	readers.Go(func() {
		for {
			got := make(map[uint64]bool)
			for _, slot := range recalled(t, l, acceptor, 1, 10) {
				got[slot] = true
			}
			if n := len(got); n != 0 && n != 10 {
				t.Errorf("recalled %d of 10 slots, want all, or none while the front is cut", n)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for range 3000 {
		write(t, l, promise(2))
	}
	close(stop)
	readers.Wait()
	for range 10 { // nobody reads any more, so each write may move and cut
		write(t, l, promise(2))
	}
	if l.Stats().First < 100 {
		t.Error("nothing was cut")
	}
}

// TestAFrontThatCannotBeReadStays, and the journal goes on: a disk that changed a byte of what
// nobody reads must not end a node that runs.
func TestAFrontThatCannotBeReadStays(t *testing.T) {
	m := NewMemory(nil)
	l, err := m.Open(must(t, "", minSegmentBytes))
	l = opened(t, l, err)
	write(t, l, pvalue(acceptor, 1, 1, 10))
	m.mu.Lock()
	b := bytes.Clone(m.parts[0].batches[0])
	b[len(b)-1]++
	m.parts[0].batches[0] = b
	m.mu.Unlock()
	for range 300 {
		write(t, l, promise(2))
	}
	if s := l.Stats(); s.First != 1 || s.Last != 301 {
		t.Errorf("batches %d to %d are there, want 1 to 301", s.First, s.Last)
	}
}

// TestTheLongestRecord is one of the longest decree that an acceptor takes, of
// 32 MiB − 4 KiB; package actors says so, and refuses what is longer.
func TestTheLongestRecord(t *testing.T) {
	for _, w := range worlds(t) {
		t.Run(w.name, func(t *testing.T) {
			l, err := w.open(t, must(t, "", 0))
			l = opened(t, l, err)
			owner := fmt.Sprintf("epoch-%d/acceptor", uint64(1<<64-1))
			longest := pvalue(owner, 1<<64-1, 1<<63, 32<<20-4<<10)
			write(t, l, longest, forgotten(3))
			l.Crash()
			l, err = w.open(t, must(t, "", 0))
			l = opened(t, l, err)
			if got := replay(t, l, owner); len(got) != 2 || len(got[1].GetPvalue().Decree) != 32<<20-4<<10 {
				t.Errorf("%d records are replayed, want a ballot and the pvalue", len(got))
			}
		})
	}
}

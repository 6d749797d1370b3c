package journal

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// snapshot holds the files of a directory.
type snapshot map[string][]byte

func snap(t testing.TB, dir string) snapshot {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := make(snapshot)
	for _, e := range entries {
		if s[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s snapshot) restore(t testing.TB, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, b := range s {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// fixture is a journal of two segments, with what it replays, and the mark as it
// was before each of the batches.
func fixture(t testing.TB) (s snapshot, want []*messages.Record, marks [][]byte) {
	t.Helper()
	dir := t.TempDir()
	l, err := Open(must(t, dir, minSegmentBytes))
	l = opened(t, l, err)
	for slot := uint64(1); slot <= 9; slot++ {
		mark, err := os.ReadFile(filepath.Join(dir, markName)) // not all: a new segment may just be on its way
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		marks = append(marks, mark)
		write(t, l, pvalue(acceptor, slot, slot, 90))
	}
	want = replay(t, l, acceptor)
	l.Crash()
	s = snap(t, dir)
	if n := len(l.store.(*disk).meta.segments()); n != 2 {
		t.Fatalf("%d segments, want 2", n)
	}
	return s, want, marks
}

// salvaged is how many pvalues Salvage finds, which must be the first ones.
func salvaged(t *testing.T, dir string, want []*messages.Record) (n int, damage error) {
	t.Helper()
	damage = Salvage(dir, func(rec *messages.Record) {
		if rec.GetPvalue() != nil {
			if n++; !proto.Equal(rec, want[n]) {
				t.Fatalf("record %d is %v", n, rec)
			}
		}
	})
	return n, damage
}

// reopen opens dir and tells how many pvalues it replays; -1 is a refusal, which
// must be a CorruptError. Salvage must find the same damage. It may find more: Open does not read
// raft-wal's own bytes of a full segment.
func reopen(t *testing.T, dir string, want []*messages.Record) int {
	t.Helper()
	readable, damage := salvaged(t, dir, want)
	n := replayed(t, dir, want)
	if n == -1 && damage == nil || damage == nil && n != readable {
		t.Fatalf("Open replays %d pvalues, Salvage finds %d, and the error %v", n, readable, damage)
	}
	return n
}

func replayed(t *testing.T, dir string, want []*messages.Record) int {
	t.Helper()
	l, err := Open(Options{Dir: dir, SegmentBytes: minSegmentBytes, Failed: func(error) {}})
	if err != nil {
		var c *CorruptError
		if !errors.As(err, &c) || c.Hint() == "" {
			t.Fatalf("not a CorruptError: %v", err)
		}
		return -1
	}
	defer l.Close()
	got := replay(t, l, acceptor)
	for i, rec := range got[1:] {
		if !proto.Equal(rec, want[i+1]) {
			t.Fatalf("record %d is %v", i, rec)
		}
	}
	return len(got) - 1
}

// TestAFlippedByteIsNeverSilent flips each byte of each file of a process that was
// killed: the journal refuses, or all is there.
func TestAFlippedByteIsNeverSilent(t *testing.T) {
	s, want, _ := fixture(t)
	dir := filepath.Join(t.TempDir(), "j")
	refused, fine := 0, 0
	for name, b := range s {
		for at := range b {
			if at%128 > 0 && len(bytes.Trim(b[max(0, at-16):min(len(b), at+16)], "\x00")) == 0 {
				continue // of many zeros a few will do
			}
			damaged := bytes.Clone(b)
			damaged[at] ^= 0x15
			s[name] = damaged
			s.restore(t, dir)
			switch n := reopen(t, dir, want); n {
			case -1:
				refused++
				if filepath.Ext(name) == ".wal" && !bytes.Equal(snap(t, dir)[name], damaged) {
					t.Fatalf("%s: byte %d flipped: refused, but the evidence was changed", name, at)
				}
			case 9:
				fine++
			default:
				t.Fatalf("%s: byte %d flipped: %d of 9 pvalues, and no error", name, at, n)
			}
		}
		s[name] = b
	}
	if refused < 1500 {
		t.Fatalf("refused %d, fine %d: the flips missed", refused, fine)
	}
}

// TestAFlippedByteAfterAPowerCut has only the oldest mark on disk, so that what lies
// behind a batch must show that it was acknowledged: nothing but the very last
// batch may be taken for a torn write.
func TestAFlippedByteAfterAPowerCut(t *testing.T) {
	s, want, marks := fixture(t)
	s[markName] = marks[0]
	dir := filepath.Join(t.TempDir(), "j")
	for name, b := range s {
		if filepath.Ext(name) != ".wal" {
			continue
		}
		for at := range bytes.TrimRight(b, "\x00") {
			damaged := bytes.Clone(b)
			damaged[at] ^= 0x80 | 1<<(at%7)
			s[name] = damaged
			s.restore(t, dir)
			if n := reopen(t, dir, want); n != -1 && n < 8 {
				t.Fatalf("%s: byte %d flipped: %d of 9 pvalues, and no error", name, at, n)
			}
		}
		s[name] = b
	}
}

// TestMissingFilesAreNoticed removes each file of a journal.
func TestMissingFilesAreNoticed(t *testing.T) {
	s, want, _ := fixture(t)
	dir := filepath.Join(t.TempDir(), "j")
	for name, b := range s {
		delete(s, name)
		s.restore(t, dir)
		if n := reopen(t, dir, want); n != -1 && name != "lock" {
			t.Errorf("without %s: %d of 9 pvalues, and no error", name, n)
		}
		s[name] = b
	}
}

// TestATornTailIsCut tears the last write, which nobody was told of, everywhere:
// what follows is missing, or garbage. Then the journal goes on.
func TestATornTailIsCut(t *testing.T) {
	s, want, marks := fixture(t)
	s[markName] = marks[8] // batch 9 was never acknowledged
	tail, cut := "", 0
	for name, b := range s {
		if filepath.Ext(name) == ".wal" && name > tail {
			tail = name
			cut = bytes.LastIndex(b, []byte("pmmj"))
		}
	}
	whole := s[tail]
	end := len(bytes.TrimRight(whole, "\x00"))
	dir := filepath.Join(t.TempDir(), "j")
	for at := cut; at < end; at++ {
		for _, garbage := range []byte{0, 0x5a} {
			torn := bytes.Clone(whole)
			for i := at; i < end; i++ {
				torn[i] = garbage
			}
			s[tail] = torn
			s.restore(t, dir)
			if n := reopen(t, dir, want); n != 8 && n != 9 {
				t.Fatalf("torn at byte %d: %d of 9 pvalues", at, n)
			}
			if at%32 > 0 {
				continue
			}
			l, err := Open(must(t, dir, minSegmentBytes))
			l = opened(t, l, err)
			write(t, l, want[1+8])
			l.Crash()
			if n := reopen(t, dir, want); n < 9 {
				t.Fatalf("torn at byte %d, then written to: %d of 9 pvalues", at, n)
			}
		}
	}
}

// TestATornWriteThatFilledASegment: raft-wal by itself takes the segment for full
// although it cuts the write that filled it, and refuses every append from then on.
func TestATornWriteThatFilledASegment(t *testing.T) {
	dir := t.TempDir()
	var before snapshot
	var recs []*messages.Record
	for slot := uint64(1); ; slot++ {
		l, err := Open(must(t, dir, minSegmentBytes))
		l = opened(t, l, err)
		if l.Stats().Segments == 2 {
			l.Crash()
			break
		}
		l.Crash()
		before = snap(t, dir)
		l, err = Open(must(t, dir, minSegmentBytes))
		l = opened(t, l, err)
		recs = append(recs, pvalue(acceptor, slot, slot, 90))
		write(t, l, recs[len(recs)-1])
		l.Crash()
	}
	after := snap(t, dir)
	for name := range before {
		if filepath.Ext(name) == ".wal" {
			before[name] = after[name] // its last write, the rest from before it
			before[name][len(bytes.TrimRight(after[name], "\x00"))-1] ^= 1
		}
	}
	before.restore(t, dir)
	for range 2 {
		l, err := Open(must(t, dir, minSegmentBytes))
		l = opened(t, l, err)
		write(t, l, recs[len(recs)-1])
		l.Crash()
	}
	l, err := Open(must(t, dir, minSegmentBytes))
	l = opened(t, l, err)
	if got := len(replay(t, l, acceptor)) - 1; got != len(recs)+1 {
		t.Fatalf("%d pvalues, want %d", got, len(recs)+1)
	}
}

// TestASegmentOfAnotherHistoryIsRefused: a segment that was whole when it was
// copied, and is put back later, doesn't fit its successor.
func TestASegmentOfAnotherHistoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(must(t, dir, minSegmentBytes))
	l = opened(t, l, err)
	l.Crash()
	start := snap(t, dir)
	var histories [2]snapshot
	for i := range histories {
		start.restore(t, dir)
		l, err := Open(must(t, dir, minSegmentBytes))
		l = opened(t, l, err)
		for slot := uint64(1); slot <= 9; slot++ {
			write(t, l, pvalue(acceptor, uint64(i)+1, slot, 90))
		}
		l.Crash()
		histories[i] = snap(t, dir)
	}
	first := "\xff"
	for name := range start {
		if filepath.Ext(name) == ".wal" {
			first = min(first, name)
		}
	}
	histories[0][first] = histories[1][first]
	histories[0].restore(t, dir)
	var c *CorruptError
	if _, err := Open(must(t, dir, minSegmentBytes)); !errors.As(err, &c) {
		t.Fatalf("opened a segment of another history: %v", err)
	}
}

func TestALockedDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := InUse(dir); err != nil {
		t.Fatal(err)
	}
	l, err := Open(must(t, dir, 0))
	l = opened(t, l, err)
	var locked *LockedError
	if _, err := Open(must(t, dir, 0)); !errors.As(err, &locked) || locked.Hint() == "" {
		t.Fatalf("opened twice: %v", err)
	}
	if err := InUse(dir); !errors.As(err, &locked) {
		t.Errorf("open, and not in use: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := InUse(dir); err != nil {
		t.Errorf("closed, and in use: %v", err)
	}
}

// TestDamageInARunningJournalIsFound flips a byte under an open journal: who replays, recalls
// or checks hears of it, with the slot that it is behind.
func TestDamageInARunningJournalIsFound(t *testing.T) {
	l, err := Open(must(t, t.TempDir(), 0))
	l = opened(t, l, err)
	write(t, l, pvalue(acceptor, 1, 41, 100))
	write(t, l, pvalue(acceptor, 1, 42, 100))
	write(t, l, pvalue(acceptor, 1, 43, 100))
	at := func(uint64) time.Duration { return 0 }
	if err := l.Check(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	d := l.store.(*disk)
	e := d.corrupt(1, "").(*CorruptError)
	b, err := os.ReadFile(e.Path)
	if err != nil {
		t.Fatal(err)
	}
	third := bytes.LastIndex(bytes.TrimRight(b, "\x00"), []byte(acceptor))
	b[third] ^= 1
	if err := os.WriteFile(e.Path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var c *CorruptError
	if err := l.Replay(acceptor, func(*messages.Record) {}); !errors.As(err, &c) || c.Index != 3 || c.Path != e.Path {
		t.Fatalf("replay of damaged bytes: %v", err)
	}
	if got := recall(t, l, acceptor, 41, 99, 2); got != "[41.1 42.1]" {
		t.Errorf("before the damaged bytes: %s", got)
	}
	if err := l.Recall(acceptor, 41, 99, func(*messages.PValue) bool { return true }); !errors.As(err, &c) || c.Index != 3 {
		t.Fatalf("recall of damaged bytes: %v", err)
	}
	if err := l.Check(t.Context(), at); !errors.As(err, &c) || c.Index != 3 || c.Path != e.Path || c.After != 42 || c.Offset <= 0 || c.Offset > int64(third) || c.Offset < int64(third)-100 {
		t.Fatalf("check of damaged bytes: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Check(t.Context(), at); !errors.Is(err, ErrClosed) {
		t.Errorf("check of a closed journal: %v", err)
	}
}

// TestSalvageReadsUpToTheDamage damages one batch after the other: the ones in front of it are found,
// and no file is changed.
func TestSalvageReadsUpToTheDamage(t *testing.T) {
	s, want, _ := fixture(t)
	dir := filepath.Join(t.TempDir(), "j")
	for n := range 9 {
		damaged := make(snapshot)
		for name, b := range s {
			damaged[name] = b
			if at := bytes.Index(b, want[n+1].GetPvalue().Decree); filepath.Ext(name) == ".wal" && at >= 0 {
				damaged[name] = bytes.Clone(b)
				damaged[name][at] ^= 1
			}
		}
		damaged.restore(t, dir)
		var c *CorruptError
		if got, err := salvaged(t, dir, want); got != n || !errors.As(err, &c) || c.Index != uint64(n+1) {
			t.Errorf("batch %d is damaged: %d pvalues in front of it, error %v", n+1, got, err)
		}
		if after := snap(t, dir); !maps.EqualFunc(damaged, after, bytes.Equal) {
			t.Error("Salvage changed a file")
		}
	}
}

// TestOwnerIsKept: it outlives restarts, new segments and cuts; a journal that must exist is not made.
func TestOwnerIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	missing := func() {
		t.Helper()
		o := must(t, dir, minSegmentBytes)
		o.Existing = true
		if _, err := Open(o); !errors.As(err, new(*MissingError)) {
			t.Errorf("it was to exist: %v", err)
		}
	}
	missing()
	if has, err := HasFiles(dir); has || err != nil {
		t.Errorf("the refusal made files: %t, %v", has, err)
	}
	for _, name := range []string{"", lockFile} { // a mount point, or one on which a start was refused
		if name == "" {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		missing()
	}
	memory := NewMemory(nil)
	for n := uint64(1); n < 4; n++ {
		whose := Owner{Salt: 7, Incarnation: n, Executed: 3 * n}
		l, err := Open(must(t, dir, minSegmentBytes))
		l = opened(t, l, err)
		m, err := memory.Open(must(t, "", minSegmentBytes))
		m = opened(t, m, err)
		for _, j := range []*Log{l, m} {
			if was := j.Owner(); was.Incarnation != n-1 {
				t.Errorf("the owner is %+v at start %d", was, n)
			}
			if err := j.Own(whose); err != nil {
				t.Fatal(err)
			}
			for slot := range uint64(20) { // some segments
				write(t, j, pvalue(acceptor, 20*n+slot, n, 90))
			}
			j.Append(forgotten(20*n+18), nil)
			write(t, j, pvalue(acceptor, 20*n+20, n, 90))
			if n == 2 {
				j.Crash()
			} else if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if got := j.Owner(); got != whose {
				t.Errorf("the owner is %+v, want %+v", got, whose)
			}
		}
		if got, err := ReadOwner(dir); got != whose || err != nil {
			t.Errorf("on disk the owner is %+v, %v, want %+v", got, err, whose)
		}
	}
}

// TestPutAside keeps what was put aside before.
func TestPutAside(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	for _, want := range []string{"", dir + ".damaged", dir + ".damaged-2"} {
		if want != "" {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := PutAside(dir); got != want || err != nil {
			t.Errorf("put aside as %q, %v, want %q", got, err, want)
		}
	}
}

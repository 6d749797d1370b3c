package journal

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// sealed is a batch with the right checksums around a body: what a fuzzer would never find.
func sealed(body []byte, count uint32) []byte {
	b := make([]byte, headBytes, headBytes+len(body))
	binary.LittleEndian.PutUint32(b, magic)
	binary.LittleEndian.PutUint64(b[8:], 1)
	binary.LittleEndian.PutUint32(b[20:], crc32.Checksum(body, castagnoli))
	binary.LittleEndian.PutUint32(b[24:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[28:], count)
	binary.LittleEndian.PutUint32(b[4:], headSum(b, salt{}))
	return append(b, body...)
}

func body(f *testing.F, all ...*messages.Record) (b []byte) {
	for _, rec := range all {
		one, err := proto.Marshal(rec)
		if err != nil {
			f.Fatal(err)
		}
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(one))), one...)
	}
	return b
}

// FuzzBatch reads batches, with heads that are right and with any.
func FuzzBatch(f *testing.F) {
	ballot := &messages.Ballot{Round: 3, Leader: 2}
	good := body(f,
		&messages.Record{Owner: "epoch-1/acceptor", Kind: &messages.Record_Ballot{Ballot: ballot}},
		&messages.Record{Owner: "epoch-1/acceptor", Kind: &messages.Record_Pvalue{Pvalue: &messages.PValue{Ballot: ballot, Slot: 7, Decree: []byte("d")}}},
		&messages.Record{Owner: "epoch-1/acceptor", Kind: &messages.Record_Forgotten{Forgotten: 5}},
		&messages.Record{Owner: "epoch-1/acceptor", Kind: &messages.Record_Decided{Decided: &messages.DecidedRun{Ballot: ballot, Below: 8}}},
		&messages.Record{Owner: "epoch-1/leader", Kind: &messages.Record_Round{Round: 3}})
	f.Add(good, uint32(5))
	f.Add(good[:20], uint32(1))
	f.Add([]byte{4, 0, 0, 0, 1, 2, 3, 4}, uint32(1))
	f.Add([]byte{}, uint32(1<<31))
	f.Fuzz(func(t *testing.T, body []byte, count uint32) {
		all := make(owners)
		note := func(rec *messages.Record) error { return all.note(rec, 1) }
		b := sealed(body, count)
		if _, why := checkBatch(b, salt{}, 1); why != "" {
			t.Fatalf("a batch with the right checksums: %s", why)
		}
		_ = records(b, count, note) // any error will do
		all.firstLive(2)
		all.checkpoint()
		for owner, facts := range all {
			facts.small(owner)
		}
		if h, why := checkBatch(body, salt{}, 1); why == "" {
			_ = records(body, h.count, note)
		}
	})
}

// FuzzMark reads marks: a right one says what was marked.
func FuzzMark(f *testing.F) {
	both := make([]byte, markApart+markBytes)
	encodeMark(both, 7, 8)
	encodeMark(both[markApart:], 9, 10)
	f.Add(both)
	f.Add(both[:markBytes])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := new(mark)
		if !m.parse(b) && m.index != 0 {
			t.Errorf("no copy is whole, and batch %d is acknowledged", m.index)
		}
	})
}

// FuzzOpen opens a journal whose list of segments, or whose tail, is whatever it is. It may
// refuse; what it takes can be written to and read again.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	l, err := Open(Options{Dir: dir, SegmentBytes: minSegmentBytes, Failed: func(err error) { f.Error(err) }})
	if err != nil {
		f.Fatal(err)
	}
	done := make(chan struct{})
	l.Append(&messages.Record{Owner: "epoch-1/acceptor", Kind: &messages.Record_Ballot{Ballot: &messages.Ballot{Round: 1, Leader: 1}}}, func() { close(done) })
	<-done
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	meta, tail, mark := read(f, dir, metaName), withoutZeros(read(f, dir, "*.wal")), read(f, dir, markName)
	name := names(f, dir, "*.wal")[0]
	f.Add(meta[9:], tail)
	f.Add(meta[9:], tail[:len(tail)-3])
	f.Add([]byte(`{"Segments":[{"ID":1}]}`), tail)
	f.Fuzz(func(t *testing.T, list, segment []byte) {
		dir := t.TempDir()
		for name, b := range map[string][]byte{metaName: append([]byte(metaSum(list)), list...), name: segment, markName: mark} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		l, err := Open(Options{Dir: dir, SegmentBytes: minSegmentBytes, Failed: func(err error) { t.Errorf("failed: %v", err) }})
		if err != nil {
			return
		}
		done := make(chan struct{})
		l.Append(&messages.Record{Owner: "epoch-1/leader", Kind: &messages.Record_Round{Round: 9}}, func() { close(done) })
		select {
		case <-done:
		case <-l.ended:
		}
		if err := l.Close(); err != nil {
			t.Errorf("it was opened, and cannot be written: %v", err)
		}
	})
}

func names(f *testing.F, dir, pattern string) []string {
	all, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(all) != 1 {
		f.Fatalf("%s: %q, %v", pattern, all, err)
	}
	return []string{filepath.Base(all[0])}
}

func read(f *testing.F, dir, pattern string) []byte {
	b, err := os.ReadFile(filepath.Join(dir, names(f, dir, pattern)[0]))
	if err != nil {
		f.Fatal(err)
	}
	return b
}

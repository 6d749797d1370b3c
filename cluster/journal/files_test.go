package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Small writes go where zeros were written before, so that few of them come first to a part
// of the file; long ones do not have their length written twice; what is read back is what
// was written; and nothing is written behind the file's size.
func TestZerosAreWrittenAheadOfSmallWrites(t *testing.T) {
	const size = 1 << 20
	dir := t.TempDir()
	w, err := files{}.Create(dir, "segment", size)
	if err != nil {
		t.Fatal(err)
	}
	f := w.(*file)
	var want []byte
	write := func(n int) (fills bool) {
		before := f.filled
		b := bytes.Repeat([]byte{byte(len(want)%255 + 1)}, n)
		if _, err := f.WriteAt(b, int64(len(want))); err != nil {
			t.Fatal(err)
		}
		want = append(want, b...)
		return f.filled != before
	}
	first := 0
	for range ahead / 1000 {
		if write(1000) {
			first++
		}
		if int64(len(want)) > f.filled {
			t.Fatalf("a write ends at %d, zeros at %d", len(want), f.filled)
		}
	}
	if first != 1 {
		t.Errorf("%d of %d small writes wrote zeros, want one", first, ahead/1000)
	}
	if write(ahead) {
		t.Error("a long write has zeros written behind it")
	}
	if !write(1000) {
		t.Error("a small write behind a long one has no zeros written behind it")
	}
	for len(want) < size-1000 {
		write(1000)
	}
	write(size - len(want))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	got, err := os.ReadFile(filepath.Join(dir, "segment"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v; want the %d that were written", len(got), err, len(want))
	}
	again, err := files{}.OpenWriter(dir, "segment")
	if err != nil {
		t.Fatal(err)
	}
	if f := again.(*file); f.size != size || f.filled != 0 {
		t.Errorf("opened again, it has %d bytes, of which %d are known to be written; want %d and none", f.size, f.filled, size)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

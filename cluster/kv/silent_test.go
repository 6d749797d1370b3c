package kv_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// kindOf is the kind of a file of a store, by its name without numbers.
func kindOf(path string) string {
	kind := strings.TrimLeft(filepath.Base(path), "0123456789")
	if rest, ok := strings.CutPrefix(kind, "marker."); ok {
		name, _, _ := strings.Cut(rest, ".")
		return "marker." + name
	}
	kind, _, _ = strings.Cut(kind, "-")
	return kind
}

// damages are what may become of a file. A file without content, such as a marker, can only be
// lost.
var damages = []struct {
	name string
	do   func(t *testing.T, path string, content []byte)
}{
	{"missing", func(t *testing.T, path string, _ []byte) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}},
	{"empty", func(t *testing.T, path string, _ []byte) { writeFile(t, path, nil) }},
	{"truncated", func(t *testing.T, path string, content []byte) { writeFile(t, path, content[:len(content)/2]) }},
	{"short of a byte", func(t *testing.T, path string, content []byte) { writeFile(t, path, content[:len(content)-1]) }},
	{"flipped first", flipAt(func(int) int { return 0 })},
	{"flipped middle", flipAt(func(n int) int { return n / 2 })},
	{"flipped last", flipAt(func(n int) int { return n - 1 })},
	{"zeroed", func(t *testing.T, path string, content []byte) { writeFile(t, path, make([]byte, len(content))) }},
}

func flipAt(at func(length int) int) func(*testing.T, string, []byte) {
	return func(t *testing.T, path string, content []byte) {
		b := bytes.Clone(content)
		b[at(len(b))] ^= 4
		writeFile(t, path, b)
	}
}

// TestNoDamageIsSilent damages each kind of file of a store in each way. Open or Check names it
// as a damaged state, and so does CheckDir, which looks at a store that is not in use.
func TestNoDamageIsSilent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	fillForDamage(t, dir)
	restoreForDamage(t, dir)
	good := readTree(t, dir)
	kinds := make(map[string]bool)
	for path, content := range good {
		kind := kindOf(path)
		if kind == "LOCK" || kind == ".log" {
			continue // nothing is read from them: the one is locked, and Pebble's log is off
		}
		kinds[kind] = true
		for _, damage := range damages {
			if len(content) == 0 && damage.name != "missing" {
				continue
			}
			name := strings.TrimPrefix(path, dir) + " " + damage.name
			var d *kv.DamagedError
			writeTree(t, dir, good)
			damage.do(t, path, content)
			if err := kv.CheckDir(dir); !errors.As(err, &d) {
				t.Errorf("%s: CheckDir: %v", name, err)
			}
			writeTree(t, dir, good)
			damage.do(t, path, content)
			if err := openAndLook(t, dir); !errors.As(err, &d) {
				t.Errorf("%s: Open and Check: %v", name, err)
			}
		}
	}
	for _, kind := range []string{".sst", "MANIFEST", "OPTIONS", "marker.database", "marker.format-version", "marker.manifest", "flushed", "sealed"} {
		if !kinds[kind] {
			t.Errorf("there was no file %s", kind)
		}
	}
}

// restoreForDamage restores a store from its own snapshot, so that a marker names its database.
func restoreForDamage(t *testing.T, dir string) {
	t.Helper()
	s := must(kv.Open(kv.Options{Dir: dir}))
	var b bytes.Buffer
	snapshot := must(s.Snapshot())
	must(snapshot.WriteTo(&b))
	if err := errors.Join(snapshot.(*kv.Snapshot).Close(), s.Restore(&b)); err != nil {
		t.Fatal(err)
	}
	must(s.Flush())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestNoCrashLooksLikeDamage cuts the power before each change of a file that a store makes when
// it is opened, filled, flushed, restored and opened again. What is on disk then is no damage, and
// the next Open and a check agree on that.
func TestNoCrashLooksLikeDamage(t *testing.T) {
	fs := vfs.NewCrashableMem()
	rng := rand.New(rand.NewPCG(1, 1))
	var cuts atomic.Int64
	cut := func() {
		// All that was not synced is lost, or nothing is. In between, Pebble itself may find a marker
		// without its MANIFEST: it relies on the fsync of a new file to keep the file's name, too.
		unsynced := int(cuts.Add(1)%2) * 100
		again := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rng})
		s, err := kv.Open(kv.Options{Dir: "node/kv", FS: again, MemTableSize: 1 << 20, CacheSize: 1 << 20})
		if err == nil {
			err = s.Close()
		}
		if err != nil {
			t.Errorf("cut %d: %v", cuts.Load(), err)
		}
	}
	var watched sync.Mutex // Pebble changes files beside us
	cutting := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			watched.Lock()
			defer watched.Unlock()
			cut()
		}
		return nil
	}))
	donor := openNode(t, vfs.NewMem())
	donor.put("a", "1")
	donor.put("b", "1")
	for range 3 {
		n := openNode(t, cutting)
		n.put("a", "1")
		n.flush()
		if err := n.Restore(bytes.NewReader(donor.snapshot())); err != nil {
			t.Fatal(err)
		}
		n.slot = n.Executed()
		n.put("c", "1")
		n.flush()
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if cuts.Load() < 100 {
		t.Errorf("%d cuts", cuts.Load())
	}
}

// A store of an earlier version, which has no seal and whose note may have been lost in a power
// cut, is opened, and has both afterwards.
func TestStoreOfEarlierVersionIsSealed(t *testing.T) {
	earlier := binary.LittleEndian.AppendUint64(nil, 5)
	earlier = binary.LittleEndian.AppendUint32(earlier, crc32.Checksum(earlier, crc32.MakeTable(crc32.Castagnoli)))
	for name, note := range map[string][]byte{"its note": earlier, "an empty note": {}, "no note": nil} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			fillForDamage(t, dir)
			seal, path := filepath.Join(dir, "db-1", "sealed"), filepath.Join(dir, "flushed")
			if err := errors.Join(os.Remove(seal), os.Remove(path)); err != nil {
				t.Fatal(err)
			}
			if note != nil {
				writeFile(t, path, note)
			}
			if err := errors.Join(kv.CheckDir(dir), openAndLook(t, dir)); err != nil {
				t.Fatal(err)
			}
			for _, made := range []string{seal, path} {
				if info, err := os.Stat(made); err != nil || info.Size() == 0 {
					t.Errorf("%s: %v", made, err)
				}
			}
		})
	}
}

package kv_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// TestABitFlipsInAFile flips a bit of each kind of file of a store, at some of its bytes.
// What is then read is right, or there is an error; what Open and Check find names the file,
// and is put aside where that is wanted. Only what no answer depends on may go unnoticed.
func TestABitFlipsInAFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	fillForDamage(t, dir)
	good := readTree(t, dir)
	found, unnoticed := make(map[string]int), make(map[string]int)
	for name, content := range good {
		if len(content) == 0 {
			continue // a marker is its name
		}
		kind := strings.TrimLeft(filepath.Base(name), "0123456789")
		kind, _, _ = strings.Cut(kind, "-")
		for i := range 12 {
			at := i * (len(content) - 1) / 11
			writeTree(t, dir, good)
			content[at] ^= 1 << (i % 8)
			writeFile(t, name, content)
			err := openAndLook(t, dir)
			content[at] ^= 1 << (i % 8)
			var d *kv.DamagedError
			switch {
			case err == nil:
				unnoticed[kind]++
			case !errors.As(err, &d):
				t.Errorf("%s, byte %d of %d: %v", filepath.Base(name), at, len(content), err)
			default:
				if found[kind]++; found[kind] == 1 {
					t.Logf("%s, byte %d: %v", filepath.Base(name), at, err)
				}
			}
		}
	}
	// The end of a MANIFEST may be torn, or so it looks; that the state is an earlier one shows.
	if unnoticed[".sst"] > 0 || found[".sst"] == 0 || found["MANIFEST"] == 0 {
		t.Error("too few were found")
	}
	t.Logf("found %v, harmless %v", found, unnoticed)
}

// keysForDamage is how many keys the store has.
const keysForDamage = 500

func fillForDamage(t *testing.T, dir string) {
	t.Helper()
	s := must(kv.Open(kv.Options{Dir: dir}))
	for slot := uint64(1); slot <= 4; slot++ {
		var ops [][]byte
		for i := range keysForDamage {
			ops = append(ops, must(proto.Marshal(put(fmt.Sprintf("k%04d", i), fmt.Sprintf("v%d-%d", slot, i)))))
		}
		s.Apply(slot, ops)
		if err := s.Commit(slot, nil); err != nil {
			t.Fatal(err)
		}
	}
	must(s.Flush()) // once: there is one table, and nothing to merge
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// openAndLook opens a store, checks it, and reads all keys. It returns what was found
// wrong, and ends the test where something else was read than was written.
func openAndLook(t *testing.T, dir string) error {
	t.Helper()
	s, err := kv.Open(kv.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := s.Range(t.Context(), &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l")})
	if err == nil && s.Executed() > 1 {
		if len(r.Kvs) != keysForDamage {
			t.Errorf("%d keys", len(r.Kvs))
		}
		for i, kv := range r.Kvs {
			if want := fmt.Sprintf("v%d-%d", s.Executed()-1, i); string(kv.Value) != want {
				t.Errorf("%s = %s, want %s", kv.Key, kv.Value, want)
			}
		}
	}
	if err != nil && s.Failure() == nil {
		t.Errorf("a read failed, and the store does not say so: %v", err)
	}
	checked := s.Check(t.Context(), func(uint64) time.Duration { return 0 })
	return errors.Join(s.Failure(), checked)
}

// TestADamagedStateIsPutAside: what a running store found is known to the next one, which
// begins anew where that is wanted, and refuses otherwise; the files are kept.
func TestADamagedStateIsPutAside(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	fillForDamage(t, dir)
	for name, content := range readTree(t, dir) {
		if at := bytes.Index(content, []byte("v4-250")); at >= 0 {
			content[at] ^= 1
			writeFile(t, name, content)
		}
	}
	var d *kv.DamagedError
	s := must(kv.Open(kv.Options{Dir: dir}))
	if _, err := s.Range(t.Context(), &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l")}); err == nil {
		t.Error("a damaged block was read")
	}
	if err := s.Failure(); !errors.As(err, &d) || !strings.HasSuffix(d.Path, ".sst") || d.Hint() == "" {
		t.Errorf("the store says: %v", err)
	}
	_ = s.Close() // the failure again
	if err := kv.CheckDir(dir); !errors.As(err, &d) {
		t.Errorf("the check says: %v", err)
	}
	if _, err := kv.Open(kv.Options{Dir: dir}); !errors.As(err, &d) {
		t.Errorf("opened: %v", err)
	}
	s = must(kv.Open(kv.Options{Dir: dir, Rebuild: true}))
	defer s.Close()
	if s.Executed() != 1 || s.Failure() != nil {
		t.Errorf("a store that was put aside: executed %d, %v", s.Executed(), s.Failure())
	}
	if aside := readTree(t, dir+".damaged"); len(aside) < 4 {
		t.Errorf("%d files were put aside", len(aside))
	}
}

// TestWhatIsNoDamageIsNotPutAside: files that a newer version wrote are whole, and so may be
// those that the system does not let be read; a file that is lost, or that the medium cannot
// read, is damage.
func TestWhatIsNoDamageIsNotPutAside(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	fillForDamage(t, dir)
	good := readTree(t, dir)
	newer := filepath.Join(dir, "db-1", "marker.format-version.999999.999")
	for _, tt := range []struct {
		name   string
		errno  syscall.Errno // of who opens a MANIFEST; 0 has a newer version write the files
		damage bool
	}{
		{"format", 0, false}, {"EACCES", syscall.EACCES, false}, {"EMFILE", syscall.EMFILE, false}, {"ENFILE", syscall.ENFILE, false},
		{"ENOMEM", syscall.ENOMEM, false}, {"ENOENT", syscall.ENOENT, true}, {"EIO", syscall.EIO, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			writeTree(t, dir, good)
			var found *kv.DamagedError
			o := kv.Options{Dir: dir, FS: errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if tt.errno != 0 && op.Kind == errorfs.OpOpen && strings.Contains(op.Path, "MANIFEST") {
					return &os.PathError{Op: "open", Path: op.Path, Err: tt.errno}
				}
				return nil
			}))}
			if tt.errno == 0 {
				writeFile(t, newer, nil)
			}
			_, err := kv.Open(o)
			if err == nil || errors.As(err, &found) != tt.damage {
				t.Errorf("opened: %v; is that damage? %t", err, tt.damage)
			}
			if newer := new(kv.NewerError); errors.As(err, &newer) != (tt.errno == 0) {
				t.Errorf("opened: %v; did a newer version write it? %t", err, tt.errno == 0)
			}
			if tt.damage {
				return
			}
			o.Rebuild = true
			if _, err := kv.Open(o); err == nil {
				t.Error("the state was begun anew")
			}
			if _, err := os.Stat(dir + ".damaged"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("what is whole was put aside: %v", err)
			}
		})
	}
}

// TestWhatWasPutAsideIsKept: of the damaged states that were put aside, none is deleted.
// When there are as many as are kept, the next one stays where it is.
func TestWhatWasPutAsideIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	fillForDamage(t, dir)
	good := readTree(t, dir)
	asides := []string{dir + ".damaged", dir + ".damaged-2", dir + ".damaged-3"}
	damage := func(why string) {
		writeTree(t, dir, good)
		writeFile(t, filepath.Join(dir, "damaged"), []byte("a file\n"+why))
	}
	kept := func(aside, why string) {
		t.Helper()
		if note := must(os.ReadFile(filepath.Join(aside, "damaged"))); !strings.Contains(string(note), why) {
			t.Errorf("%s has %q, want %s", aside, note, why)
		}
	}
	for _, aside := range asides {
		damage(aside)
		s := must(kv.Open(kv.Options{Dir: dir, Rebuild: true}))
		if !s.IsRebuilt() {
			t.Error("the store does not say that it was begun anew")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	damage("fourth")
	var full *kv.AsideError
	var d *kv.DamagedError
	if _, err := kv.Open(kv.Options{Dir: dir, Rebuild: true}); !errors.As(err, &full) || full.Hint() == "" || errors.As(err, &d) || !strings.Contains(err.Error(), "fourth") {
		t.Errorf("opened with all kept: %v", err)
	}
	kept(dir, "fourth")
	for _, aside := range asides {
		kept(aside, aside)
	}
	if err := os.RemoveAll(asides[1]); err != nil {
		t.Fatal(err)
	}
	if err := must(kv.Open(kv.Options{Dir: dir, Rebuild: true})).Close(); err != nil {
		t.Fatal(err)
	}
	kept(asides[1], "fourth")
}

func readTree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files[path], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// writeTree makes dir what readTree read.
func writeTree(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for path, content := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, content)
	}
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

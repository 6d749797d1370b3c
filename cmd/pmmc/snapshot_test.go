package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// save writes a snapshot of the cluster to a file, and returns its path.
func (s *sample) save(name string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if out := s.do("snapshot", "save", path); !strings.Contains(out, "saved from ") || !strings.Contains(out, "SHA-256, right") {
		s.t.Errorf("snapshot save:\n%s", out)
	}
	if _, err := os.Stat(path + ".part"); err == nil {
		s.t.Errorf("%s.part is left", path)
	}
	return path
}

// restore makes the data directories of members out of a file.
func (s *sample) restore(file string, members ...string) {
	s.t.Helper()
	for _, m := range members {
		if out, err, code := pmmc(s.t, "snapshot", "restore", file, "--config", s.file(m)); code != exitDone || !strings.Contains(out, "restored: member "+m) ||
			!strings.Contains(out, "restore the others from the same file, unless that is done: ") {
			s.t.Fatalf("restore %s: code %d\n%s%s", m, code, out, err)
		}
	}
}

// TestBackupAndRestore saves a cluster while it is written to, and makes a new cluster
// of the file, with other members; it serves what was there and goes on. A node that
// was not restored is refused.
func TestBackupAndRestore(t *testing.T) {
	s := newSample(t, 3, "")
	s.start(names...)
	for i := range 20 {
		s.do("put", fmt.Sprintf("key%02d", i), fmt.Sprint(i))
	}
	s.waitCaughtUp() // a snapshot is what one node has, which may be behind
	file := s.save("backup.snap")
	s.do("put", "later", "1")

	out, _, code := pmmc(t, "snapshot", "status", file, "--json")
	var status snapshotStatus
	if err := json.Unmarshal([]byte(out), &status); err != nil || code != exitDone {
		t.Fatalf("code %d, %v:\n%s", code, err, out)
	}
	if status.Revision != 21 || status.Keys != 20 || status.Cluster != "test" || status.Epoch != 1 || len(status.Members) != 3 || status.Slot < 20 {
		t.Errorf("status: %s", out)
	}

	s.stop()
	again := newSample(t, 3, "")
	again.restore(file, "alpha", "beta")
	alpha, beta := start(t, nil, "node", "--config", again.file("alpha")), start(t, nil, "node", "--config", again.file("beta"))
	gamma := start(t, nil, "node", "--config", again.file("gamma"))
	if code := gamma.code(); code != exitFailed || !strings.Contains(gamma.err.String(), "snapshot restore") {
		t.Errorf("a node that was not restored: code %d\n%s", code, gamma.err.String())
	}
	alpha.kill()
	beta.kill()
	if err := os.RemoveAll(filepath.Join(again.dir, "gamma")); err != nil {
		t.Fatal(err)
	}
	again.restore(file, "gamma")
	again.start(names...) // a new cluster begins with all its members
	if out := again.do("get", "key", "--prefix"); strings.Count(out, "\n") != 20 || !strings.Contains(out, "key19\t19\n") {
		t.Errorf("after the restore:\n%s", out)
	}
	if out := again.do("put", "more", "1"); out != "put at revision 22\n" {
		t.Errorf("the first write: %s", out)
	}
	again.waitCaughtUp()
	if out, err, code := pmmc(t, "snapshot", "restore", file, "--config", again.file("gamma")); code != exitFailed || !strings.Contains(err, "in use by another process") || !strings.Contains(err, "Hint: ") {
		t.Errorf("restore under a node that runs: code %d\n%s%s", code, out, err)
	}
	if next := again.save("next.snap"); next != "" {
		out, _, _ := pmmc(t, "snapshot", "status", next)
		if !strings.Contains(out, "revision       22\n") {
			t.Errorf("a snapshot of the restored cluster:\n%s", out)
		}
	}
	again.stop()
	if out, err, code := pmmc(t, "snapshot", "restore", file, "--config", again.file("gamma")); code != exitFailed || !strings.Contains(err, "it is not empty") || !strings.Contains(err, "Hint: ") {
		t.Errorf("restore over data: code %d\n%s%s", code, out, err)
	}
}

// TestBadSnapshots shows that a file that is damaged, cut, or something else is refused,
// before a directory is touched; and of a good one, that an only member has no others.
func TestBadSnapshots(t *testing.T) {
	s := newSample(t, 1, "")
	s.start("alpha")
	s.do("put", "a", strings.Repeat("x", 1000))
	file := s.save("good.snap")
	s.stop()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other := newSample(t, 1, "")
	for what, bad := range map[string][]byte{
		"flipped in its header": flipped(whole, 3),
		"flipped in a frame":    flipped(whole, len(whole)/2),
		"flipped at its end":    flipped(whole, len(whole)-1),
		"cut":                   whole[:len(whole)-100],
		"too long":              append(bytes.Clone(whole), 'x'),
		"empty":                 {},
		"another format":        []byte(strings.Repeat("bolt", 1000)),
	} {
		path := filepath.Join(other.dir, "bad.snap")
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, line := range [][]string{
			{"snapshot", "status", path},
			{"snapshot", "restore", path, "--config", other.file("alpha")},
		} {
			out, err, code := pmmc(t, line...)
			if code != exitFailed || out != "" || !strings.Contains(err, "at byte ") || !strings.Contains(err, "Hint: ") {
				t.Errorf("%s, %s: code %d\n%s%s", line[1], what, code, out, err)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(other.dir, "alpha")); err == nil {
		t.Error("there is a data directory")
	}
	if out, _, code := pmmc(t, "snapshot", "restore", file, "--config", other.file("alpha")); code != exitDone || strings.Contains(out, "the others") {
		t.Errorf("restore of the only member: code %d\n%s", code, out)
	}
	dead := newSample(t, 1, "")
	if _, err, code := pmmc(t, "snapshot", "save", filepath.Join(dead.dir, "x"), dead.endpoints(), "--timeout", "300ms"); code != exitFailed || !strings.Contains(err, "Hint: ") {
		t.Errorf("save from nobody: code %d\n%s", code, err)
	}
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 0x10
	return b
}

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestCheck flips a byte of a node's state and one of its journal. Each is named by `pmmc
// check`; the state is fetched from the others, and with that journal the node does not start.
func TestCheck(t *testing.T) {
	s := newSample(t, 3, "")
	s.start(names...)
	c := s.client(0, 1, 2)
	for i := range 50 {
		if _, err := c.Put(t.Context(), fmt.Sprint("key", i), fmt.Sprint("value", i)); err != nil {
			t.Fatal(err)
		}
	}
	s.waitCaughtUp()
	gamma := filepath.Join(s.dir, "gamma")
	if out, err, code := pmmc(t, "check", gamma); code != exitFailed || out != "" || !strings.Contains(err, "a node runs on it") || !strings.Contains(err, "Hint: Stop that node") {
		t.Errorf("of a node that runs: code %d\n%s%s", code, out, err)
	}
	for dir, want := range map[string]string{filepath.Join(s.dir, "nowhere"): "no such file", s.dir: "nothing in it is a node's"} {
		if out, err, code := pmmc(t, "check", dir); code != exitFailed || strings.Contains(out, "DAMAGED") || !strings.Contains(err, want) {
			t.Errorf("of %s: code %d\n%s%s", dir, code, out, err)
		}
	}
	s.end("gamma")
	if out, err, code := pmmc(t, "check", gamma); code != exitDone || strings.Count(out, "ok ") != 3 {
		t.Errorf("of a good node: code %d\n%s%s", code, out, err)
	}

	flip(t, filepath.Join(gamma, "state", "db-*", "*.sst"), "value7")
	out, err, code := pmmc(t, "check", gamma)
	if code != exitFailed || !strings.Contains(out, "DAMAGED  "+filepath.Join(gamma, "state")) || !strings.Contains(err, ".sst is damaged: ") || !strings.Contains(err, "Hint: ") {
		t.Errorf("of a damaged state: code %d\n%s%s", code, out, err)
	}
	s.start("gamma")
	eventually(t, "the state fetched", func() error {
		if log := s.nodes["gamma"].err.String(); !strings.Contains(log, "is fetched from the other members") {
			return fmt.Errorf("it says:\n%s", log)
		}
		return nil
	})
	s.waitCaughtUp()
	s.sameKeys(0, 1, 2)

	s.end("gamma")
	flip(t, filepath.Join(gamma, "journal", "*.wal"), "value7")
	out, err, code = pmmc(t, "check", gamma)
	if code != exitFailed || !strings.Contains(out, "DAMAGED  "+filepath.Join(gamma, "journal")) || !strings.Contains(err, ".wal: batch ") || !strings.Contains(err, "byte ") {
		t.Errorf("of a damaged journal: code %d\n%s%s", code, out, err)
	}
	if out, err, code := pmmc(t, "node", "--config", s.file("gamma")); code != exitFailed || !strings.Contains(err, "Hint: This node no longer knows what it promised") {
		t.Errorf("a node with a damaged journal: code %d\n%s%s", code, out, err)
	}
}

// end ends a node cleanly, so that all that it executed is in its files.
func (s *sample) end(name string) {
	s.t.Helper()
	s.nodes[name].signal(syscall.SIGTERM)
	if code := s.nodes[name].code(); code != exitDone {
		s.t.Errorf("%s ended with code %d", name, code)
	}
}

// flip changes a bit of a text in one of the files.
func flip(t *testing.T, pattern, text string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(b, []byte(text)); at >= 0 {
			b[at] ^= 4
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%q is in none of %v", text, files)
}

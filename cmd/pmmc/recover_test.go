package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestRecover loses two of three for good: the third becomes a cluster of one, with all
// that it had executed or accepted, and serves. An old member that comes back is
// refused.
func TestRecover(t *testing.T) {
	s := newSample(t, 3, "")
	s.start(names...)
	for i := range 20 {
		s.do("put", fmt.Sprintf("key%02d", i), fmt.Sprint(i))
	}
	s.waitCaughtUp()
	for _, p := range s.nodes {
		p.kill()
	}

	if out, err, code := pmmcWith(t, strings.NewReader("yes\n"), "recover", "--config", s.file("beta")); code != exitFailed ||
		!strings.Contains(err, "nothing was done") || !strings.Contains(out, "What may be lost") || !strings.Contains(out, "the data of alpha, gamma will never be used again") {
		t.Fatalf("without the name of the cluster: code %d\n%s%s", code, out, err)
	}
	out, err, code := pmmcWith(t, strings.NewReader("test\n"), "recover", "--config", s.file("beta"))
	if code != exitDone || !strings.Contains(out, "recovered: beta is the only member") {
		t.Fatalf("code %d\n%s%s", code, out, err)
	}

	s.start("beta")
	beta := []string{"--endpoints", s.address(1, 1)}
	out, err, code = pmmc(t, append([]string{"get", "key", "--prefix"}, beta...)...)
	if code != exitDone || strings.Count(out, "\n") != 20 || !strings.Contains(out, "key19\t19\n") {
		t.Errorf("after recovery: code %d\n%s%s", code, out, err)
	}
	if out, err, code = pmmc(t, append([]string{"put", "more", "1"}, beta...)...); code != exitDone || out != "put at revision 22\n" {
		t.Errorf("the first write: code %d: %s%s", code, out, err)
	}

	alpha := start(t, nil, "node", "--config", s.file("alpha"))
	alpha.waitFor("this is cluster")
	if out, err, code := pmmc(t, "put", "old", "1", "--endpoints", s.address(0, 1), "--timeout", "1s"); code != exitFailed {
		t.Errorf("an old member serves: code %d: %s%s", code, out, err)
	}
	s.nodes["beta"].kill()
	s.start("beta")
	if out, _, _ = pmmc(t, append([]string{"get", "more"}, beta...)...); out != "1\n" {
		t.Errorf("after a restart: %q", out)
	}
	alpha.signal(syscall.SIGTERM)
}

// TestRecoverWithADamagedJournal: the last directory that is left has a damaged journal. The refusal
// names the flag that goes on with the rest.
func TestRecoverWithADamagedJournal(t *testing.T) {
	s := newSample(t, 3, "")
	s.start(names...)
	for i := range 20 {
		s.do("put", fmt.Sprintf("key%02d", i), fmt.Sprint("value", i))
	}
	s.waitCaughtUp()
	s.end("beta") // which flushes its state
	s.nodes["alpha"].kill()
	s.nodes["gamma"].kill()
	beta := filepath.Join(s.dir, "beta")
	flip(t, filepath.Join(beta, "journal", "*.wal"), "value7")

	if _, err, code := pmmc(t, "recover", "--yes", "--config", s.file("beta")); code != exitFailed ||
		!strings.Contains(err, "the journal is damaged") || !strings.Contains(err, "recover --damaged-journal") {
		t.Fatalf("without the flag: code %d: %s", code, err)
	}
	out, err, code := pmmcWith(t, strings.NewReader("test\n"), "recover", "--damaged-journal", "--config", s.file("beta"))
	if code != exitDone || !strings.Contains(out, "The journal is damaged: ") || !strings.Contains(out, "recovered: beta is the only member") {
		t.Fatalf("code %d\n%s%s", code, out, err)
	}
	if _, err := os.Stat(filepath.Join(beta, "journal.damaged")); err != nil {
		t.Errorf("the journal is not put aside: %v", err)
	}
	s.start("beta")
	out, err, code = pmmc(t, "get", "key", "--prefix", "--endpoints", s.address(1, 1))
	if code != exitDone || strings.Count(out, "\n") != 20 {
		t.Errorf("after recovery: code %d\n%s%s", code, out, err)
	}
	if out, err, code := pmmc(t, "put", "more", "1", "--endpoints", s.address(1, 1)); code != exitDone {
		t.Errorf("the first write: code %d: %s%s", code, out, err)
	}
}

// TestRecoverNothing shows what cannot be recovered.
func TestRecoverNothing(t *testing.T) {
	s := newSample(t, 3, "")
	if _, err, code := pmmc(t, "recover", "--yes", "--config", s.file("alpha")); code != exitFailed || !strings.Contains(err, "no node ever ran on it") {
		t.Errorf("without data: code %d: %s", code, err)
	}
	s.start(names...)
	if _, err, code := pmmc(t, "recover", "--yes", "--config", s.file("alpha")); code != exitFailed || !strings.Contains(err, "in use by another process") {
		t.Errorf("while the node runs: code %d: %s", code, err)
	}
	s.stop()
}

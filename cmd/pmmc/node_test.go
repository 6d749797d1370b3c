package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pmmc-go/pmmc/cluster/transport/testcert"
)

// TestNodeSignals shows that a signal ends a node cleanly, also one that comes twice, as those
// of GNU timeout do. The process is stopped while the two are sent, so that they arrive together.
func TestNodeSignals(t *testing.T) {
	s := newSample(t, 1, "")
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s.start("alpha")
		s.nodes["alpha"].signal(signal)
		if code := s.nodes["alpha"].code(); code != exitDone {
			t.Errorf("code %d after %s, want %d", code, signal, exitDone)
		}
	}
	s.start("alpha")
	p := s.nodes["alpha"]
	p.signal(syscall.SIGSTOP)
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT)
	if code := p.code(); code != exitDone {
		t.Errorf("code %d after two signals at a time, want %d: %s", code, exitDone, p.err.String())
	}
}

// TestSecondSignal shows which signal ends a process at once: the first that comes when the
// echo of the one before is over.
func TestSecondSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal)
		go func() {
			signals <- syscall.SIGTERM
			<-time.After(echo - 1)
			signals <- syscall.SIGTERM
			<-time.After(1)
			signals <- syscall.SIGINT
		}()
		if got := afterEcho(signals); got != syscall.SIGINT {
			t.Errorf("%s ended the process", got)
		}
	})
}

// TestNodeCrashes shows that a crash of Go's runtime does not end a node with the code of a
// wrong configuration, after which it is not started again. SIGQUIT ends a program as a panic does.
func TestNodeCrashes(t *testing.T) {
	s := newSample(t, 1, "")
	s.start("alpha")
	p := s.nodes["alpha"]
	p.signal(syscall.SIGQUIT)
	if code := p.code(); code == exitUsage || code == exitDone {
		t.Errorf("code %d after a crash", code)
	}
	if how := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !how.Signaled() || how.Signal() != syscall.SIGABRT {
		t.Errorf("a crash ended it so: %v, want SIGABRT", p.cmd.ProcessState)
	}
}

// TestNodeAlone shows that a node without a majority is not ready, answers nobody,
// and ends cleanly all the same; while it waits for a request that is under way, a signal that
// is repeated for long enough ends it at once.
func TestNodeAlone(t *testing.T) {
	s := newSample(t, 3, "")
	p := start(t, nil, "node", "--config", s.file("alpha"))
	p.waitFor("listening")
	if _, err, code := pmmc(t, "put", "a", "1", "--endpoints", s.address(0, 1), "--timeout", "1s"); code != exitFailed {
		t.Errorf("put without a majority: code %d: %s", code, err)
	}
	if out := p.out.String(); strings.Contains(out, "ready") {
		t.Errorf("it says %q", out)
	}
	p.signal(syscall.SIGTERM)
	if code := p.code(); code != exitDone {
		t.Errorf("code %d after SIGTERM, want %d", code, exitDone)
	}

	p = start(t, nil, "node", "--config", s.file("alpha"))
	p.waitFor("listening")
	start(t, nil, "put", "a", "1", "--endpoints", s.address(0, 1), "--timeout", "1m")
	// in_flight of the status does not do: the gateway's own read of a node that starts counts, too.
	eventually(t, "a put under way", func() error {
		_, page, err := get("http://" + s.address(0, 2) + "/metrics")
		if err == nil && !strings.Contains(page, "\npmmc_requests_under_way 1\n") {
			err = errors.New("no request has a place")
		}
		return err
	})
	eventually(t, "ended by signals", func() error {
		p.signal(syscall.SIGTERM)
		select {
		case <-p.exited:
			return nil
		default:
			return errors.New("it runs")
		}
	})
	if code := p.code(); code != exitFailed || !strings.Contains(p.err.String(), "terminated again: ended at once") {
		t.Errorf("code %d after many signals, want %d: %s", code, exitFailed, p.err.String())
	}
}

// TestNodeCannotStart shows that a node that cannot run says why, and what to do.
func TestNodeCannotStart(t *testing.T) {
	s := newSample(t, 1, "")
	for which, what := range []string{"peer", "client", "http"} {
		taken, err := net.Listen("tcp", s.address(0, which))
		if err != nil {
			t.Fatal(err)
		}
		p := start(t, nil, "node", "--config", s.file("alpha"))
		if code := p.code(); code != exitFailed || !strings.Contains(p.err.String(), "Error: listen."+what+": listen tcp "+s.address(0, which)) || !strings.Contains(p.err.String(), "\nHint: ") {
			t.Errorf("%s port taken: code %d, want %d, the address and a hint:\n%s", what, code, exitFailed, p.err.String())
		}
		if err := taken.Close(); err != nil {
			t.Fatal(err)
		}
	}

	s.start("alpha")
	other := strings.NewReplacer(s.address(0, 0), "127.0.0.1:1", s.address(0, 1), "127.0.0.1:2", s.address(0, 2), "127.0.0.1:3")
	s.write("again", other.Replace(s.config(0)))
	p := start(t, nil, "node", "--config", s.file("again"))
	if code := p.code(); code != exitFailed || !strings.Contains(p.err.String(), "in use by another process\nHint: ") {
		t.Errorf("data directory in use: code %d, want %d and a hint:\n%s", code, exitFailed, p.err.String())
	}
	s.stop()

	s.write("alpha", strings.Replace(s.config(0), `cluster = "test"`, `cluster = "other"`, 1))
	p = start(t, nil, "node", "--config", s.file("alpha"))
	if code := p.code(); code != exitFailed || !strings.Contains(p.err.String(), `of cluster "test"`) || !strings.Contains(p.err.String(), "\nHint: ") {
		t.Errorf("another cluster's data: code %d, want %d and a hint:\n%s", code, exitFailed, p.err.String())
	}
}

// TestNodeBadDataDir shows that a data_dir that is none is a configuration that is wrong: to
// start again is of no use.
func TestNodeBadDataDir(t *testing.T) {
	s := newSample(t, 1, "")
	for _, dir := range []string{s.file("alpha"), "/proc/nowhere/alpha"} {
		s.write("bad", strings.Replace(s.config(0), fmt.Sprintf("data_dir = %q", filepath.Join(s.dir, "alpha")), fmt.Sprintf("data_dir = %q", dir), 1))
		_, err, code := pmmc(t, "node", "--config", s.file("bad"))
		if code != exitUsage || !strings.Contains(err, "Error: cluster: data directory "+dir+" cannot be made") || !strings.Contains(err, "\nHint: Correct data_dir") {
			t.Errorf("data_dir %s: code %d, want %d and a hint:\n%s", dir, code, exitUsage, err)
		}
	}
}

// TestDamagedSingleNode shows that a node whose state is damaged or gone, and nobody else has, opens
// no port: it ends with a hint, and with a code after which it is started again.
func TestDamagedSingleNode(t *testing.T) {
	s := newSample(t, 1, "protocol {\n  retain_slots = 0\n  flush = \"10ms\"\n}\n")
	s.start("alpha")
	for range 20 {
		s.do("put", "a", "1")
	}
	s.end("alpha")
	state := filepath.Join(s.dir, "alpha", "state")
	for _, damage := range []struct{ lost, want string }{
		{"db-1/marker.format-version.*", "is damaged: it is missing"},
		{"db-1/OPTIONS-*", "is damaged: it is missing"},
		{"", "is missing or empty: no other member has what it held"},
	} {
		lost, err := filepath.Glob(filepath.Join(state, damage.lost))
		if err != nil || len(lost) != 1 {
			t.Fatal(lost, err)
		}
		away := filepath.Join(s.dir, "away")
		if err := os.Rename(lost[0], away); err != nil {
			t.Fatal(err)
		}
		p := start(t, nil, "node", "--config", s.file("alpha"))
		if code, said := p.code(), p.err.String(); code != exitFailed || !strings.Contains(said, damage.want) || !strings.Contains(said, "\nHint: ") || strings.Contains(said, "listening") {
			t.Errorf("without %s: code %d, want %d, %q and a hint:\n%s", lost[0], code, exitFailed, damage.want, said)
		}
		if err := errors.Join(os.RemoveAll(lost[0]), os.Rename(away, lost[0])); err != nil {
			t.Fatal(err)
		}
	}
	s.start("alpha")
	if out := s.do("get", "a"); !strings.Contains(out, "1") {
		t.Errorf("with all files: %s", out)
	}
	s.stop()
}

// TestNodeExposed shows that plaintext that leaves the machine is said at each start.
func TestNodeExposed(t *testing.T) {
	s := newSample(t, 1, "")
	inTheOpen := strings.Replace(s.config(0), "listen {", "listen {\n  client = \""+strings.Replace(s.address(0, 1), "127.0.0.1", "0.0.0.0", 1)+"\"", 1)
	s.write("alpha", inTheOpen)
	if _, err, code := pmmc(t, "node", "--config", s.file("alpha")); code != exitUsage || !strings.Contains(err, "insecure = true") {
		t.Errorf("plaintext in the open: code %d, want %d: %s", code, exitUsage, err)
	}
	s.write("alpha", strings.Replace(inTheOpen, "data_dir", "insecure = true\n  data_dir", 1))
	s.start("alpha")
	if err := s.nodes["alpha"].err.String(); strings.Count(err, "plaintext leaves this machine") != 1 {
		t.Errorf("it does not say so once:\n%s", err)
	}
	s.stop()
}

// TestNodeKeepsItsDataToItself shows that nobody else may read what a node writes.
func TestNodeKeepsItsDataToItself(t *testing.T) {
	s := newSample(t, 1, "")
	s.start("alpha")
	s.do("put", "a", "1")
	s.stop()
	files := 0
	err := filepath.WalkDir(filepath.Join(s.dir, "alpha"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v", path, info.Mode())
		}
		files++
		return err
	})
	if err != nil || files < 8 {
		t.Errorf("%d files: %v", files, err)
	}
}

// TestTLS shows a cluster that speaks TLS among its nodes and with clients.
func TestTLS(t *testing.T) {
	peers, clients := testcert.New(t), testcert.New(t)
	s := newSample(t, 3, "")
	for i, name := range names {
		peerCert, peerKey, peerCA := peers.Files(t.TempDir(), name)
		cert, key, ca := clients.Files(t.TempDir(), "localhost")
		s.write(name, s.config(i)+fmt.Sprintf("tls {\n  peer {\n    cert = %q\n    key = %q\n    ca = %q\n  }\n  client {\n    cert = %q\n    key = %q\n    ca = %q\n  }\n}\n",
			peerCert, peerKey, peerCA, cert, key, ca))
	}
	s.start(names...)
	cert, key, ca := clients.Files(t.TempDir(), "somebody")
	s.do("put", "a", "1", "--cert", cert, "--key", key, "--cacert", ca)
	if out := s.do("status", "--cert", cert, "--key", key, "--cacert", ca); strings.Count(out, " yes ") != 3 {
		t.Errorf("status over TLS:\n%s", out)
	}
	if out := s.do("top", "--cert", cert, "--key", key, "--cacert", ca); !strings.Contains(out, " in office") || strings.Contains(out, "away") {
		t.Errorf("top over TLS:\n%s", out)
	}
	s.pageShowsAll(clients.TLS("somebody"))
	stranger, strangerKey, _ := testcert.New(t).Files(t.TempDir(), "stranger")
	for what, flags := range map[string][]string{
		"in plaintext":                nil,
		"without a certificate":       {"--cacert", ca},
		"with a stranger's":           {"--cert", stranger, "--key", strangerKey, "--cacert", ca},
		"without knowing the cluster": {"--cert", cert, "--key", key},
	} {
		_, err, code := pmmc(t, append([]string{"get", "a", "--timeout", "2s", s.endpoints()}, flags...)...)
		if code != exitFailed || !strings.Contains(err, "Hint: ") {
			t.Errorf("%s: code %d, want %d and a hint: %s", what, code, exitFailed, err)
		}
	}
	s.stop()
}

// TestInputInterrupted shows that a signal ends a command that waits for its input.
func TestInputInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(&signalError{syscall.SIGINT})
	in, out := io.Pipe()
	defer out.Close()
	var told strings.Builder
	if code := run(ctx, []string{"put", "a", "-"}, in, io.Discard, &told); code != exitFailed || !strings.Contains(told.String(), "interrupt: nothing was done") {
		t.Errorf("code %d, want %d: %s", code, exitFailed, told.String())
	}
}

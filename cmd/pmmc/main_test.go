package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pmmc-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "pmmc")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build pmmc: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, holds func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not %s after %s: %v", what, patience, err)
		}
		<-poll.C
	}
}

// output collects what a process prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// process is a pmmc that runs.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	args     []string
	out, err output
	exited   chan struct{}
}

// start starts pmmc; the test ends it if nothing else does.
func start(t *testing.T, in io.Reader, args ...string) *process {
	t.Helper()
	// go test keeps a result for as long as the test's own program, which has no main of ours,
	// and what its tests looked at are the same.
	if _, err := os.ReadDir("."); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(binary, args...), args: args, exited: make(chan struct{})}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, &p.out, &p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // code tells
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.exited
		if t.Failed() {
			t.Logf("pmmc %s\n%s%s", strings.Join(args, " "), p.out.String(), p.err.String())
		}
	})
	return p
}

// signal sends a signal; a process that has ended does not mind.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("signal %s: %v", s, err)
	}
}

// waitFor waits until the process has printed a text, to either output.
func (p *process) waitFor(text string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("printed: %q", text), func() error {
		if strings.Contains(p.out.String()+p.err.String(), text) {
			return nil
		}
		select {
		case <-p.exited:
			p.t.Fatalf("pmmc %s ended, with code %d, before it printed %q", strings.Join(p.args, " "), p.code(), text)
		default:
		}
		return errors.New("it has not")
	})
}

// code waits until the process has ended, and returns how.
func (p *process) code() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("pmmc %s has not ended after %s", strings.Join(p.args, " "), patience)
	}
	return p.cmd.ProcessState.ExitCode()
}

// kill ends the process as a crash would.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// pmmc runs a command line to its end.
func pmmc(t *testing.T, args ...string) (out, err string, code int) {
	t.Helper()
	return pmmcWith(t, nil, args...)
}

func pmmcWith(t *testing.T, in io.Reader, args ...string) (out, err string, code int) {
	t.Helper()
	p := start(t, in, args...)
	code = p.code()
	return p.out.String(), p.err.String(), code
}

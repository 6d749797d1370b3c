package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestNotify shows what a node tells systemd: that it has started, though it is alone and
// has no majority, again and again that it turns, and that it ends.
func TestNotify(t *testing.T) {
	dir, err := os.MkdirTemp("", "notify") // a test's own may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "socket")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1000)
	go func() {
		defer close(heard)
		for buffer := make([]byte, 4096); ; {
			n, err := socket.Read(buffer)
			if err != nil {
				return
			}
			heard <- string(buffer[:n])
		}
	}()
	t.Cleanup(func() { _ = socket.Close() })
	waitFor := func(state string) {
		t.Helper()
		for said := range heard {
			if strings.Contains("\n"+said+"\n", "\n"+state+"\n") {
				return
			}
		}
		t.Fatalf("%s was not said", state)
	}

	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "30000")
	s := newSample(t, 3, "")
	p := start(t, nil, "node", "--config", s.file("alpha"))
	waitFor("READY=1")
	waitFor("WATCHDOG=1")
	waitFor("WATCHDOG=1")
	p.signal(syscall.SIGTERM)
	waitFor("STOPPING=1")
	if code := p.code(); code != exitDone {
		t.Errorf("code %d, want %d", code, exitDone)
	}
}

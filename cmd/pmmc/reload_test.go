package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
)

// get is what a node answers over http.
func get(url string) (code int, body string, err error) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, "", err
	}
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), errors.Join(err, resp.Body.Close())
}

// A node that is alone of three lives, is not ready, reads its configuration again upon
// SIGHUP, and ends cleanly: none of that takes a majority.
func TestANodeAloneLivesAndReadsItsConfigurationAgain(t *testing.T) {
	s := newSample(t, 3, "")
	alpha := start(t, nil, "node", "--config", s.file("alpha"))
	web := "http://" + s.address(0, 2)
	is := func(path string, want int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s answers %d", path, want), func() error {
			code, body, err := get(web + path)
			if err == nil && code != want {
				err = fmt.Errorf("%d %s", code, body)
			}
			return err
		})
	}
	shows := func(line string) {
		t.Helper()
		eventually(t, "shows "+line, func() error {
			_, body, err := get(web + "/metrics")
			if err == nil && !strings.Contains(body, "\n"+line+"\n") {
				err = errors.New("it does not")
			}
			return err
		})
	}
	is("/livez", http.StatusOK)
	is("/readyz", http.StatusServiceUnavailable)
	shows("pmmc_database_quota_bytes 2.147483648e+09")

	changed := strings.Replace(s.config(0), "node \"alpha\" {", "node \"alpha\" {\n  log_level = \"debug\"", 1)
	s.write("alpha", changed+"limits {\n  quota = \"64MiB\"\n  in_flight = 100\n}\nprotocol {\n  window = 64\n}\n")
	alpha.signal(syscall.SIGHUP)
	alpha.waitFor("changed: node=alpha argument=node.log_level from=info to=debug")
	alpha.waitFor("changed: node=alpha argument=limits.quota from=2147483648 to=67108864")
	for _, stays := range []string{"protocol.window", "limits.in_flight"} {
		alpha.waitFor("cannot change while the node runs, and stays as it was: start it again: node=alpha argument=" + stays)
	}
	shows("pmmc_database_quota_bytes 6.7108864e+07")
	alpha.waitFor("[DEBUG]")

	s.write("alpha", s.config(0)+"limits {\n  quota = \"much\"\n}\n")
	alpha.signal(syscall.SIGHUP)
	alpha.waitFor("Error: ")
	alpha.waitFor("the configuration has errors, so nothing was changed")
	shows("pmmc_database_quota_bytes 6.7108864e+07")

	s.write("alpha", changed+"limits {\n  quota = \"32MiB\"\n}\n")
	alpha.signal(syscall.SIGHUP)
	shows("pmmc_database_quota_bytes 3.3554432e+07")
	is("/livez", http.StatusOK)
	alpha.signal(syscall.SIGTERM)
	if code := alpha.code(); code != exitDone {
		t.Errorf("it ended with code %d", code)
	}
}

// A SIGHUP that comes while a node starts does not end it: the node reads its configuration
// again once it runs. The process reads it from a pipe, so that it is known to have begun.
func TestANodeThatStartsTakesASIGHUP(t *testing.T) {
	s := newSample(t, 1, "")
	path := s.file("alpha")
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	alpha := start(t, nil, "node", "--config", path)
	var pipe *os.File
	eventually(t, "the node reads its configuration", func() (err error) {
		pipe, err = os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		return err
	})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.write("alpha", s.config(0)+"limits {\n  quota = \"64MiB\"\n}\n")
	alpha.signal(syscall.SIGHUP)
	_, err := pipe.WriteString(s.config(0))
	if err := errors.Join(err, pipe.Close()); err != nil {
		t.Fatal(err)
	}
	alpha.waitFor("changed: node=alpha argument=limits.quota from=2147483648 to=67108864")
	alpha.waitFor("ready: node alpha")
	alpha.signal(syscall.SIGTERM)
	if code := alpha.code(); code != exitDone {
		t.Errorf("it ended with code %d", code)
	}
}

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

var pictures = flag.String("pictures", "", "take pictures of the page for this folder, which takes two minutes")

// TestPageInABrowser opens a node's page in headless Chromium while nodes are killed and
// started. What is looked at stands in test/page/watch.mjs.
func TestPageInABrowser(t *testing.T) {
	const folder = "../../test/page"
	if _, err := os.Stat(folder + "/node_modules"); err != nil {
		t.Skip("there is no playwright-core: make browser installs it")
	}
	for _, needed := range []string{"node", "chromium"} {
		if _, err := exec.LookPath(needed); err != nil {
			t.Skipf("there is no %s: make browser installs it", needed)
		}
	}
	s := newSample(t, 3, "")
	s.start(names...)
	b := &browser{t: t, nodes: s}
	b.watch(folder)
}

// browser is the script that looks at pages, and asks for what it wants to see.
type browser struct {
	t     *testing.T
	nodes *sample
	load  *process
}

// secret is a key that no page may show.
const secret = "not-for-the-page"

func (b *browser) watch(folder string) {
	t := b.t
	pages := make(map[string]string)
	for i, name := range names {
		pages[name] = "http://" + b.nodes.address(i, 2) + "/"
	}
	if *pictures != "" {
		absolute, err := filepath.Abs(filepath.Join("../..", *pictures))
		if err != nil {
			t.Fatal(err)
		}
		*pictures = absolute
	}
	about, err := json.Marshal(map[string]any{
		"pages": pages, "leader": b.nodes.leader(), "secret": secret, "pictures": *pictures, "patience": patience.Milliseconds(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience) // the script waits for each thing with patience
	defer cancel()
	script := exec.CommandContext(ctx, "node", "watch.mjs", string(about))
	script.Dir, script.Stderr = folder, new(strings.Builder)
	script.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with its browser
	script.Cancel = func() error { return syscall.Kill(-script.Process.Pid, syscall.SIGKILL) }
	in, err1 := script.StdinPipe()
	out, err2 := script.StdoutPipe()
	if err := errors.Join(err1, err2, script.Start()); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		what, wanted := strings.CutPrefix(lines.Text(), "do: ")
		if !wanted {
			t.Log(lines.Text())
			continue
		}
		b.do(what)
		if _, err := io.WriteString(in, "done\n"); err != nil {
			t.Error(err)
		}
	}
	if err := script.Wait(); err != nil {
		t.Fatalf("the page is not as it should be: %v: %s", err, script.Stderr)
	}
}

func (b *browser) do(what string) {
	switch what, name, _ := strings.Cut(what, " "); what {
	case "kill":
		b.nodes.nodes[name].kill()
	case "start":
		b.nodes.start(name)
	case "put":
		b.nodes.do("put", name, "hidden, too")
	case "load":
		b.load = start(b.t, nil, "bench", "put", "--rate", "200", "--clients", "8", "--for", "10m", b.nodes.endpoints())
	default:
		b.t.Fatalf("the script wants %q", fmt.Sprint(what, " ", name))
	}
}

// pageShowsAll waits until the page of the first node shows that it reaches all: nodes ask
// each other with the certificates of peers, and the viewer shows one of a client.
func (s *sample) pageShowsAll(viewer *tls.Config) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.address(0, 2)+"/page/events", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: viewer, DisableKeepAlives: true}}).Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if strings.Count(lines.Text(), `"reachable":true`) == s.size && strings.Count(lines.Text(), `"page":"https://`) == s.size {
			return
		}
	}
	s.t.Errorf("the page does not show %d nodes over TLS: %s", s.size, resp.Status)
}

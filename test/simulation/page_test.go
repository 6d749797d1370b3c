package simulation

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var shown = regexp.MustCompile(`(\d+) messages shown`)

// TestPageInABrowser opens a run's page in headless Chromium, and looks at what stands in
// it once its script has run.
func TestPageInABrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium: make test installs one")
	}
	path := filepath.Join(t.TempDir(), "run.html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Page(f, 2); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	look := func(hash string) (dom string, messages int) {
		t.Helper()
		out, err := exec.Command(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(),
			"--virtual-time-budget=5000", "--dump-dom", "file://"+path+"#"+hash).Output()
		if err != nil {
			t.Fatalf("chromium: %v", err)
		}
		dom = string(out)
		found := shown.FindStringSubmatch(dom)
		if found == nil {
			t.Fatalf("with %q the script did not run to its end: %.300s", hash, dom[max(0, len(dom)-300):])
		}
		messages, err = strconv.Atoi(found[1])
		if err != nil {
			t.Fatal(err)
		}
		if drawn := strings.Count(dom, `class="message`); drawn != messages {
			t.Errorf("with %q %d arrows are drawn, and %d messages said to be shown", hash, drawn, messages)
		}
		return dom, messages
	}
	dom, all := look("span=20000&at=100")
	_, scouts := look("span=20000&at=100&role=scout")
	_, one := look("span=20000&at=100&slot=5&node=n2")
	if all < 100 || scouts >= all || one >= all {
		t.Errorf("%d messages in all, %d of scouts, %d of slot 5 at n2: filters do nothing, or nothing is shown", all, scouts, one)
	}
	for _, want := range []string{"n1/acceptor", "n5/commander", fmt.Sprintf("seed %d: 5 nodes", 2), "hsl(", "message lost", `class="fault"`} {
		if !strings.Contains(dom, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// audit judges traces.
func audit(t *testing.T, files ...string) (out, err string, code int) {
	t.Helper()
	return pmmc(t, append([]string{"audit"}, files...)...)
}

// TestAudit has the traces of three processes judged, of which the leader was killed
// under writes and came back; then it changes a line of them.
func TestAudit(t *testing.T) {
	s := newSample(t, 3, "")
	s.start(names...)
	for i := range 20 {
		s.do("put", fmt.Sprintf("key%d", i), "before")
	}
	leader := s.leader()
	s.nodes[leader].kill()
	for i := range 20 {
		s.do("put", fmt.Sprintf("key%d", i), "without")
	}
	s.start(leader)
	s.waitCaughtUp()
	for i := range 20 {
		s.do("put", fmt.Sprintf("key%d", i), "after")
	}
	if out := s.do("get", "key7"); out != "after\n" {
		t.Errorf("get: %q", out)
	}
	s.stop()

	files := s.traces()
	out, err, code := audit(t, files...)
	if code != exitDone || !strings.Contains(out, "good: no rule is broken") || !regexp.MustCompile(`4 starts of nodes.* \d\d+ slots decided`).MatchString(out) {
		t.Fatalf("code %d\n%s%s", code, out, err)
	}
	if _, err, code := audit(t, files[:2]...); code != exitFailed || !strings.Contains(err, `from "gamma", whose trace is not here`) {
		t.Errorf("two of three traces: code %d: %s", code, err)
	}
	auditTampered(t, files)
}

// auditTampered changes one line of the traces, in several ways.
func auditTampered(t *testing.T, files []string) {
	for _, c := range []struct {
		name, rule string
		line       string // a pattern; the first line of that kind is changed
		with       string // "" leaves the line out
	}{
		{"a p2b with another ballot", "S1", `("kind":"sent","self":"\w+/epoch-1/acceptor".*P2b.*"round":)"\d+"`, `$1"77"`},
		{"a p2a with another decree", "figures", `("kind":"sent","self":"\w+/.*/commander.*P2a.*"decree":)"[^"]+"`, `$1"CgI="`},
		{"another promise is on disk", "A1", `("kind":"persisted","self":"\w+/epoch-1/acceptor".*"round":)"\d+"`, `$1"77"`},
		{"a message in another's name", "S11", `("kind":"sent","self":"\w+/replica".*"from":)"\w+/replica"`, `$1"delta/replica"`},
		{"another operation", "S6", `("kind":"executed".*"operations":\[)"\d+"`, `$1"1"`},
		{"a message on its way", "wire", `("kind":"received","self":"\w+/replica".*Learned.*"executed":)"\d+"`, `$1"999"`},
	} {
		bad := tampered(t, files, regexp.MustCompile(c.line), c.with)
		out, err, code := audit(t, bad...)
		if code != exitFailed || !strings.Contains(err, c.rule+" is broken") || !strings.Contains(err, "bad.trace:") {
			t.Errorf("%s: code %d, want %d and %s and where:\n%s%s", c.name, code, exitFailed, c.rule, out, err)
		}
	}
}

// tampered returns files of which one is replaced by one with a line changed.
func tampered(t *testing.T, files []string, pattern *regexp.Regexp, with string) []string {
	t.Helper()
	for i, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(string(text), "\n")
		j := slices.IndexFunc(lines, pattern.MatchString)
		if j < 0 {
			continue
		}
		if with == "" {
			lines[j] = ""
		} else {
			lines[j] = pattern.ReplaceAllString(lines[j], with)
		}
		bad := filepath.Join(t.TempDir(), "bad.trace")
		if err := os.WriteFile(bad, []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		all := slices.Clone(files)
		all[i] = bad
		return all
	}
	t.Fatalf("no line of the traces matches %s", pattern)
	return nil
}

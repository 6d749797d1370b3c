package clustertest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// failed is a test that failed.
type failed struct {
	testing.TB
	log string
}

func (f *failed) Failed() bool    { return true }
func (f *failed) Log(args ...any) { f.log += fmt.Sprintln(args...) }

// When a test failed, what is printed of its cluster can be read, and tells of each node
// how it is, of the links that are cut, and what each node last logged.
func TestWhatIsPrintedOfAFailedTest(t *testing.T) {
	c := New(t, 3)
	leader := c.Leader()
	down := c.Nodes()[0]
	if down == leader {
		down = c.Nodes()[1]
	}
	down.Kill()
	c.Cut(leader.Name, down.Name)
	f := &failed{TB: t}
	c.t = f
	c.end()
	c.t = t
	for _, want := range []string{
		leader.Name + `: running; roles \[acceptor leader replica\]; leader active with ballot \d+\.\d; slot_in \d+, slot_out \d+, lag 0; in office: "` + leader.Name + `"`,
		down.Name + `: killed; roles \[acceptor leader replica\]`,
		`links that are cut: ` + leader.Name + ` to ` + down.Name,
		`last lines of the log of ` + down.Name + `:\n\d\d:\d\d:\d\d\.\d\d\d \[INFO\]`,
	} {
		if !regexp.MustCompile(want).MatchString(f.log) {
			t.Errorf("nothing like %q is printed", want)
		}
	}
	for line := range strings.Lines(f.log) {
		if len(line) > 500 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
	if t.Failed() {
		t.Logf("printed was:\n%s", f.log)
	}
}

func TestLastLines(t *testing.T) {
	var l lastLines
	for i := range keptLines + 5 {
		fmt.Fprintf(&l, "line %d\nand more\n", i)
	}
	if got := l.String(); strings.Count(got, "\n") != keptLines || !strings.HasSuffix(got, "line 34\nand more\n") {
		t.Errorf("%d lines are kept, want %d, to the last: %s", strings.Count(got, "\n"), keptLines, got)
	}
}

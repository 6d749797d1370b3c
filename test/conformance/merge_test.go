package conformance_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/trace"
	"github.com/pmmc-go/pmmc/test/conformance"
)

// split writes a trace as one file for each node.
func split(t *testing.T, events []actors.Event) map[string]*bytes.Buffer {
	t.Helper()
	files := make(map[string]*bytes.Buffer)
	for _, e := range events {
		member := e.Self.Member()
		if files[member] == nil {
			files[member] = new(bytes.Buffer)
		}
		line, err := trace.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(files[member], "%s\n", line)
	}
	return files
}

func audit(files map[string]*bytes.Buffer, members ...string) (conformance.Counts, error) {
	var sources []conformance.Source
	for _, m := range members {
		sources = append(sources, conformance.Source{Name: m + ".trace", In: bytes.NewReader(files[m].Bytes())})
	}
	return conformance.Audit(sources...)
}

// part is the beginning of the good trace: reading and writing JSON takes its time.
func part() []actors.Event { return good()[:12_000] }

// TestMergedTracesAreAsGood has the same trace judged node by node, in several orders
// of the files.
func TestMergedTracesAreAsGood(t *testing.T) {
	want, err := judge(part())
	if err != nil {
		t.Fatal(err)
	}
	files := split(t, part())
	for _, order := range [][]string{{"n1", "n2", "n3"}, {"n3", "n1", "n2"}} {
		got, err := audit(files, order...)
		if err != nil || got != want {
			t.Errorf("merged in the order %v: %v %v, want %v", order, got, err, want)
		}
	}
}

// TestWhoIsToBlame forges a message in one trace, for which all others then wait, and
// leaves a trace out.
func TestWhoIsToBlame(t *testing.T) {
	events := slices.Clone(part())
	i := 2000
	for ; ; i++ {
		if bad := forge(events, i); bad != nil {
			events = bad
			break
		}
	}
	files := split(t, events)
	_, err := audit(files, "n1", "n2", "n3")
	var b *conformance.Breach
	if !errors.As(err, &b) || b.Rule.Name != "wire" || !strings.Contains(err.Error(), "n2.trace:") || !strings.Contains(err.Error(), "Decision") {
		t.Errorf("a forged decision: %v", err)
	}
	files = split(t, part())
	if _, err := audit(files, "n1", "n3"); err == nil || !strings.Contains(err.Error(), `"n2", whose trace is not here`) {
		t.Errorf("a trace is missing: %v", err)
	}
	files["n1"].WriteString(files["n2"].String())
	if _, err := audit(files, "n1", "n2", "n3"); err == nil || !strings.Contains(err.Error(), "in the trace of n1") {
		t.Errorf("two nodes in one trace: %v", err)
	}
}

// TestTheDocListsTheRules holds docs/paper.md and the rules equal.
func TestTheDocListsTheRules(t *testing.T) {
	text, err := os.ReadFile("../../docs/paper.md")
	if err != nil {
		t.Fatal(err)
	}
	_, judged, found := strings.Cut(string(text), "### What is judged")
	if !found {
		t.Fatal("docs/paper.md does not say what is judged")
	}
	listed := 0
	for _, r := range conformance.Rules {
		if strings.Contains(judged, "\n| "+r.Name+" | ") {
			listed++
		} else {
			t.Errorf("docs/paper.md does not say how %s is judged", r.Name)
		}
	}
	if rows := strings.Count(judged, "\n| ") - 1; rows != listed {
		t.Errorf("docs/paper.md has %d rules, %d are judged", rows, listed)
	}
}

package crash

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// plant is a fault that a build of pmmc is given: in a file, a text is replaced.
type plant struct {
	file, text, by string
}

// noSync takes the journal's syncs away, except the first of each file. The journal's mark must
// say nothing: from it, a node would see that batches are missing, and refuse to start.
var noSync = []plant{
	{"cluster/journal/files.go", "return syncData(f.File)", "return nil"},
	{"cluster/journal/mark.go", "	encodeMark(b[:], index, chain)\n", "	encodeMark(b[:], 0, 0)\n"},
}

// answersFirst says that records are durable before they are written.
var answersFirst = []plant{{
	"cluster/journal/writer.go",
	"		if l.encoder.count > 0 {\n",
	"		for i := range items[:n] {\n\t\t\tif items[i].done != nil {\n\t\t\t\titems[i].done()\n\t\t\t\titems[i].done = nil\n\t\t\t}\n\t\t}\n\t\t<-time.After(50 * time.Millisecond)\n\t\tif l.encoder.count > 0 {\n",
}}

// plantAll writes the changed files into dir, and returns an overlay for the build.
func plantAll(t *testing.T, dir string, plants []plant) []byte {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	replace := make(map[string]string)
	for i, p := range plants {
		at := filepath.Join(root, p.file)
		text, err := os.ReadFile(at)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(text), p.text) != 1 {
			t.Fatalf("%s has the text %q %d times, want 1: the planted fault has to be written anew", p.file, p.text, strings.Count(string(text), p.text))
		}
		replace[at] = filepath.Join(dir, fmt.Sprintf("plant%d.go", i))
		if err := os.WriteFile(replace[at], []byte(strings.Replace(string(text), p.text, p.by, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	return overlay
}

// TestPlantedFaultsAreFound sees that both halves of the suite bite: a journal that answers
// before it writes loses acknowledged writes when all nodes are killed, and a journal that is
// not synced loses them in a power cut.
func TestPlantedFaultsAreFound(t *testing.T) {
	if !*plantFlag {
		t.Skip("with -plants only: it takes minutes")
	}
	t.Run("answers before it writes", func(t *testing.T) {
		want(t, false, "strace")
		r := newReport(t)
		r.silent = true
		(&killer{pmmc: build(t, answersFirst...), report: r}).run(t, 40)
		found(t, r)
	})
	t.Run("does not sync", func(t *testing.T) {
		wantLoops(t)
		r := newReport(t)
		r.silent = true
		(&cutter{pmmc: build(t, noSync...), report: r, calm: true}).run(t, 20)
		found(t, r)
	})
}

func found(t *testing.T, r *report) {
	t.Helper()
	t.Logf("planted: %v", r)
	if r.count(missing) == 0 {
		t.Error("no acknowledged write is missing: the suite would not find a fault that loses them")
	}
}

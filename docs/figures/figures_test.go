package figures

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the tables of docs/paper.md")

const (
	root  = "../.."
	doc   = root + "/docs/paper.md"
	begin = "<!-- written by make generate: begin -->\n"
	end   = "<!-- written by make generate: end -->\n"
)

// TestEveryLineHasAMarker shows that each line of a figure is found in the code.
func TestEveryLineHasAMarker(t *testing.T) {
	for _, f := range All {
		for _, l := range f.Lines {
			if len(f.Code(l.Number)) == 0 {
				t.Errorf("no file of %v has a marker %s", f.Files, Ref{f.Number, l.Number})
			}
		}
	}
}

// TestEveryMarkerHasALine shows that each marker in the code, in whatever file it
// stands, is one of a figure, in a file of its role, and about some code.
func TestEveryMarkerHasALine(t *testing.T) {
	files, err := filepath.Glob(root + "/actors/*.go")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, complaint := range complaints(filepath.Base(path), string(text)) {
			t.Error(complaint)
		}
	}
}

var likeMarker = regexp.MustCompile(`\bl\. ?\d`)

// complaints lists what is wrong with a file's markers.
func complaints(file, text string) (all []string) {
	for i, line := range strings.Split(text, "\n") {
		if likeMarker.MatchString(line) && !marker.MatchString(line) {
			all = append(all, fmt.Sprintf("%s:%d is no marker: %q", file, i+1, strings.TrimSpace(line)))
		}
	}
	for _, e := range Excerpts(file, text) {
		if len(e.Code) == 0 {
			all = append(all, fmt.Sprintf("%s:%d: %s is about nothing", file, e.Line, e.Refs[0]))
		}
		for _, r := range e.Refs {
			i := slices.IndexFunc(All, func(f Figure) bool { return f.Number == r.Figure })
			switch {
			case i < 0 || r.Line < 1 || r.Line > len(All[i].Lines):
				all = append(all, fmt.Sprintf("%s:%d: no figure has %s", file, e.Line, r))
			case !slices.Contains(All[i].Files, file):
				all = append(all, fmt.Sprintf("%s:%d: %s belongs in one of %v", file, e.Line, r, All[i].Files))
			}
		}
	}
	return all
}

// TestWrongMarkersAreFound plants some.
func TestWrongMarkersAreFound(t *testing.T) {
	for _, c := range []struct{ file, line, want string }{
		{"acceptor.go", "\tx() // Fig. 4 l. 5", ""},
		{"quorum.go", "\tx() // Fig. 6(a) l. 3, Fig. 6(b) l. 3: both", ""},
		{"acceptor.go", "\tx() // Fig. 4 l. 6", "no figure has Fig. 4 l. 6"},
		{"acceptor.go", "\tx() // Fig. 4 l. 0", "no figure has Fig. 4 l. 0"},
		{"scout.go", "\tx() // Fig. 6 l. 1", "no figure has Fig. 6 l. 1"},
		{"acceptor.go", "\tx() // Fig. 1 l. 1", "Fig. 1 l. 1 belongs in one of [replica.go]"},
		{"acceptor.go", "\tx() // Figure 4, l. 5", "is no marker"},
		{"acceptor.go", "\t// Fig. 4 l. 5\n\n\tx()", "about nothing"},
	} {
		got := strings.Join(complaints(c.file, c.line), "\n")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%q in %s: %q, want %q", c.line, c.file, got, c.want)
		}
	}
}

// TestExcerpts shows where an excerpt begins and ends.
func TestExcerpts(t *testing.T) {
	text := strings.Join([]string{
		"func f() { // Fig. 4 l. 1",
		"\ta()",
		"\tb() // Fig. 4 l. 2: why",
		"\tc()",
		"\t// Fig. 4 l. 3",
		"\tif d {",
		"\t\te()",
		"\t} else {",
		"\t\tg()",
		"\t}",
		"\tswitch {",
		"\t// Fig. 4 l. 4: now",
		"\tcase h:",
		"\t\ti()",
		"\t}",
		"\tk()",
		"}",
	}, "\n")
	var got []string
	for _, e := range Excerpts("f.go", text) {
		got = append(got, fmt.Sprintf("%v from %d\n%s", e.Refs, e.Line, strings.Join(e.Code, "\n")))
	}
	want := []string{
		"[Fig. 4 l. 1] from 1\nfunc f() {\n\ta()",
		"[Fig. 4 l. 2] from 3\n\tb() // why",
		"[Fig. 4 l. 3] from 6\n\tif d {\n\t\te()\n\t} else {\n\t\tg()\n\t}\n\tswitch {",
		"[Fig. 4 l. 4] from 12\n\t// now\n\tcase h:\n\t\ti()",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestDoc holds the tables of docs/paper.md equal to figures and markers.
func TestDoc(t *testing.T) {
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has not the lines\n%s%s", doc, begin, end)
	}
	want := before + begin + tables() + end + after
	if *rewrite {
		if err := os.WriteFile(doc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("the tables of %s are old: make generate, or go test ./docs/figures -rewrite", doc)
	}
}

func tables() string {
	var b strings.Builder
	for _, f := range All {
		fmt.Fprintf(&b, "\n### Fig. %s: %s\n\n| l. | the figure | the code |\n|--:|---|---|\n", f.Number, f.Title)
		for _, l := range f.Lines {
			var rows, links []string
			for _, row := range l.Text {
				text := strings.TrimLeft(row, " ")
				indent := strings.Repeat("&emsp;", (len(row)-len(text))/2)
				rows = append(rows, indent+"`"+strings.ReplaceAll(text, "|", `\|`)+"`")
			}
			for _, e := range f.Code(l.Number) {
				links = append(links, fmt.Sprintf("[%s:%d](../actors/%[1]s#L%[2]d)", e.File, e.Line))
			}
			fmt.Fprintf(&b, "| %d | %s | %s |\n", l.Number, strings.Join(rows, "<br>"), strings.Join(links, ", "))
		}
	}
	return b.String() + "\n"
}

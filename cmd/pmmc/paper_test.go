package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pmmc-go/pmmc/docs/figures"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata/paper_*.txt")

func printed(f figures.Figure, width int, colours bool) string {
	var out bytes.Buffer
	printFigure(&out, f, width, colours)
	return out.String()
}

// TestPaperIsPrinted compares what is printed with testdata.
func TestPaperIsPrinted(t *testing.T) {
	for _, c := range []struct {
		figure  int
		width   int
		colours bool
	}{{1, 160, false}, {2, 120, false}, {2, 60, false}, {2, 120, true}} {
		f := figures.All[c.figure]
		path := fmt.Sprintf("testdata/paper_%s_%d.txt", f.Name, c.width)
		if c.colours {
			path = strings.Replace(path, ".txt", "_colours.txt", 1)
		}
		got := printed(f, c.width, c.colours)
		if *rewrite {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("not as in %s; if it should be, make generate, or go test ./cmd/pmmc -run Paper -rewrite\n%s", path, got)
		}
	}
}

var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

// TestPaperFits shows that nothing is wider than asked, that nothing is lost when
// lines are broken, and that colours change no letter.
func TestPaperFits(t *testing.T) {
	letters := func(s string) string { return strings.Join(strings.Fields(s), "") }
	for _, f := range figures.All {
		all := letters(printed(f, narrow-1, false))
		for width := 1; width <= 200; width += 11 {
			got := printed(f, width, false)
			if colour.ReplaceAllString(printed(f, width, true), "") != got {
				t.Fatalf("%s at %d: colours change the text", f.Name, width)
			}
			for line := range strings.Lines(got) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); width >= 80 && n > width {
					t.Errorf("%s at %d: %d wide: %s", f.Name, width, n, line)
				}
			}
			if width < narrow && letters(got) != all {
				t.Errorf("%s at %d: something is lost", f.Name, width)
			}
		}
	}
}

// TestPaperCommand shows what goes to a pipe, and what a shell completes.
func TestPaperCommand(t *testing.T) {
	t.Setenv("COLUMNS", "")
	for _, f := range figures.All {
		if out, err, code := pmmc(t, "paper", f.Name); code != exitDone || err != "" || out != printed(f, plainWidth, false) {
			t.Errorf("%s: code %d, %s\n%s", f.Name, code, err, out)
		}
	}
	t.Setenv("COLUMNS", "60")
	if out, _, _ := pmmc(t, "paper", "commander"); out != printed(figures.All[2], 60, false) {
		t.Errorf("not 60 wide:\n%s", out)
	}
	list, _, _ := pmmc(t, "paper")
	completed, _, _ := pmmc(t, "__complete", "paper", "")
	for _, f := range figures.All {
		if !strings.Contains(list, "Fig. "+f.Number) || !strings.Contains(completed, f.Name+"\tFig. "+f.Number) {
			t.Errorf("%s is not listed, or not completed:\n%s%s", f.Name, list, completed)
		}
	}
}

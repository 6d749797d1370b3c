// Package figures holds the paper's figures in our notation, and finds the lines of
// package actors that do what a line of a figure says.
//
// Such a line bears a marker, a comment of the form
//
//	// Fig. 6(a) l. 3, Fig. 6(b) l. 3: what there is to say
//
// A marker behind a line is about that line; one above it, or behind a {, is about
// what follows, up to the next marker, an empty line or the end of the block.
package figures

import (
	"embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed *.txt
var texts embed.FS

// Figure is one process of the paper.
type Figure struct {
	Name   string   // of the process, such as "replica"
	Number string   // of the figure, such as "6(a)"
	Does   string   // in a few words
	Files  []string // of package actors, in which its markers stand: first the role's
	Title  string   // the process with its arguments
	Lines  []Line
}

// Line is a numbered line of a figure, which may be printed on several.
type Line struct {
	Number int
	Text   []string
}

// All lists the figures in the paper's order.
var All = []Figure{
	read("replica", "1", "gives requests slots, executes decisions in order", "replica.go"),
	read("acceptor", "4", "the memory: promises and votes", "acceptor.go"),
	read("commander", "6(a)", "gets one decree chosen for one slot", "commander.go", "quorum.go"),
	read("scout", "6(b)", "gets one ballot adopted", "scout.go", "quorum.go"),
	read("leader", "7", "sends scouts, then commanders", "leader.go", "confirm.go", "election.go", "pvalues.go"),
}

var numbered = regexp.MustCompile(`^ ?(\d+)  (.*)$`)

// read takes a figure from its text. One that is not numbered from 1 on is a mistake
// of ours, which no build survives.
func read(name, number, does string, files ...string) Figure {
	text, err := texts.ReadFile(name + ".txt")
	if err != nil {
		panic(err)
	}
	title, body, _ := strings.Cut(string(text), "\n")
	f := Figure{Name: name, Number: number, Does: does, Files: files, Title: title}
	for row := range strings.Lines(body) {
		row = strings.TrimRight(row, "\n")
		if m := numbered.FindStringSubmatch(row); m != nil {
			f.Lines = append(f.Lines, Line{len(f.Lines) + 1, []string{m[2]}})
			if m[1] != fmt.Sprint(len(f.Lines)) {
				panic(fmt.Sprintf("%s.txt: line %s stands where %d belongs", name, m[1], len(f.Lines)))
			}
		} else if row != "" {
			last := &f.Lines[len(f.Lines)-1]
			last.Text = append(last.Text, strings.TrimPrefix(row, "    "))
		}
	}
	return f
}

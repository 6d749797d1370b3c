package figures

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/pmmc-go/pmmc/actors"
)

// Ref names a line of a figure.
type Ref struct {
	Figure string
	Line   int
}

// String is the reference as it stands in a marker.
func (r Ref) String() string { return fmt.Sprintf("Fig. %s l. %d", r.Figure, r.Line) }

// Excerpt is what a marker is about.
type Excerpt struct {
	Refs []Ref
	File string
	Func string   // in which it stands
	Line int      // of the file, at which Code begins
	Code []string // without the references, but with what else the marker says
}

const refPattern = `Fig\. (\S+) l\. (\d+)`

var (
	ref      = regexp.MustCompile(refPattern)
	function = regexp.MustCompile(`^func (?:\([^)]*\) )?(\w+)`)
	marker   = regexp.MustCompile(`^(.*)// (` + refPattern + `(?:, ` + refPattern + `)*)(?:: (.*))?$`)
)

// Code lists what does a line of the figure, in the order of its files.
func (f Figure) Code(line int) (code []Excerpt) {
	for _, file := range f.Files {
		for _, e := range embedded()[file] {
			for _, r := range e.Refs {
				if r == (Ref{f.Number, line}) {
					code = append(code, e)
				}
			}
		}
	}
	return code
}

// embedded lists, by file, what the markers in the files of all figures are about.
var embedded = sync.OnceValue(func() map[string][]Excerpt {
	all := make(map[string][]Excerpt)
	for _, f := range All {
		for _, file := range f.Files {
			text, err := actors.Source.ReadFile(file)
			if err != nil {
				panic(err) // it is not embedded
			}
			all[file] = Excerpts(file, string(text))
		}
	}
	return all
})

// Excerpts lists what the markers in a file are about.
func Excerpts(file, text string) (all []Excerpt) {
	lines := strings.Split(text, "\n")
	in := ""
	for i, line := range lines {
		if m := function.FindStringSubmatch(line); m != nil {
			in = m[1]
		}
		m := marker.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		e := Excerpt{Refs: refs(m[2]), File: file, Func: in, Line: i + 1}
		code, note := strings.TrimRight(m[1], " \t"), m[len(m)-1]
		switch {
		case code == "" && note == "":
			e.Line++
		case note == "":
			e.Code = []string{code}
		default:
			e.Code = []string{m[1] + "// " + note}
		}
		if code == "" || strings.HasSuffix(code, "{") {
			e.Code = append(e.Code, following(lines[i+1:], m[1], code != "")...)
		}
		all = append(all, e)
	}
	return all
}

func refs(text string) (all []Ref) {
	for _, m := range ref.FindAllStringSubmatch(text, -1) {
		line, _ := strconv.Atoi(m[2]) // the pattern takes digits only
		all = append(all, Ref{m[1], line})
	}
	return all
}

// following takes lines up to a marker, an empty line or the end of the block, which
// is that of the first line when that one opened it.
func following(lines []string, first string, open bool) []string {
	depth := indent(first)
	for i, line := range lines {
		switch {
		case line == "", marker.MatchString(line), indent(line) < depth:
			return lines[:i]
		case indent(line) > depth:
			continue
		case strings.HasPrefix(line[depth:], "}") && !open: // the block around it, of a case
			return lines[:i]
		}
		open = strings.HasSuffix(line, "{")
	}
	return lines
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, "\t")) }

package main

import (
	"fmt"
	"go/token"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pmmc-go/pmmc/docs/figures"
)

const (
	narrow   = 100 // below this the code stands under the figure's line, not beside it
	share    = 46  // percent of the width that the figure takes, at the most
	tab      = "    "
	gutter   = 4  // a figure's line numbers, and two spaces
	codeEdge = 5  // a file's
	deeper   = 4  // what follows of a line that is too long
	least    = 20 // of a column, though the terminal be narrower
)

// style is what turns on a colour.
type style string

const (
	plain   style = ""
	bold    style = "\x1b[1m"
	grey    style = "\x1b[90m"
	keyword style = "\x1b[1;36m"
	remark  style = "\x1b[32m"
	off           = "\x1b[0m"
)

// span is text of one style.
type span struct {
	text string
	style
}

// row is one row of a column.
type row []span

func (r row) width() (n int) {
	for _, s := range r {
		n += utf8.RuneCountInString(s.text)
	}
	return n
}

// page writes rows.
type page struct {
	out     io.Writer
	colours bool
}

// write ends the output's line. What fails shows when the output is flushed.
func (p page) write(r row) {
	var b strings.Builder
	for _, s := range r {
		if p.colours && s.style != plain {
			b.WriteString(string(s.style) + s.text + off)
		} else {
			b.WriteString(s.text)
		}
	}
	fmt.Fprintln(p.out, strings.TrimRight(b.String(), " "))
}

// printFigure prints a figure and the code that belongs to its lines.
func printFigure(out io.Writer, f figures.Figure, width int, colours bool) {
	p := page{out, colours}
	title := row{{fmt.Sprintf("Fig. %s  %s", f.Number, f.Title), bold}}
	file := row{{"actors/" + f.Files[0], bold}}
	if width < narrow {
		p.write(append(append(title, span{"  ", plain}), file...))
		for _, l := range f.Lines {
			p.write(nil)
			for _, r := range figureRows(l, max(width, least)) {
				p.write(r)
			}
			for _, r := range codeRows(f, l, max(width-gutter, least)) {
				p.write(append(row{{strings.Repeat(" ", gutter), plain}}, r...))
			}
		}
		return
	}
	left := title.width()
	for _, l := range f.Lines {
		for _, r := range figureRows(l, math.MaxInt) {
			left = max(left, r.width())
		}
	}
	left = min(left, width*share/100)
	right := width - left - utf8.RuneCountInString(" │ ")
	p.beside(left, wrap(title, left, deeper), []row{file})
	p.write(row{{strings.Repeat("─", left+1) + "┼" + strings.Repeat("─", right+1), grey}})
	for i, l := range f.Lines {
		if i > 0 {
			p.beside(left, []row{nil}, nil)
		}
		p.beside(left, figureRows(l, left), codeRows(f, l, right))
	}
}

// beside writes two columns.
func (p page) beside(width int, left, right []row) {
	for i := range max(len(left), len(right)) {
		var r row
		if i < len(left) {
			r = slices.Clone(left[i])
		}
		r = append(r, span{strings.Repeat(" ", width-r.width()+1), plain}, span{"│", grey}, span{" ", plain})
		if i < len(right) {
			r = append(r, right[i]...)
		}
		p.write(r)
	}
}

var figureWords = strings.Fields("on if and or else then while send spawn to every each exit after has some")

// figureRows is a line of a figure in a column.
func figureRows(l figures.Line, width int) (rows []row) {
	for i, text := range l.Text {
		number := row{{strings.Repeat(" ", gutter), plain}}
		if i == 0 {
			number = row{{fmt.Sprintf("%2d  ", l.Number), grey}}
		}
		painted := paint(text, func(word string) bool { return slices.Contains(figureWords, word) })
		rows = append(rows, behind(number, wrap(painted, width-gutter, deeper))...)
	}
	return rows
}

// codeRows is the code for a line of a figure in a column.
func codeRows(f figures.Figure, l figures.Line, width int) (rows []row) {
	code := f.Code(l.Number)
	depth := make(map[string]int) // of a function's excerpts
	for _, e := range code {
		for _, text := range e.Code {
			tabs := len(text) - len(strings.TrimLeft(text, "\t"))
			if d, ok := depth[e.Func]; !ok || tabs < d {
				depth[e.Func] = tabs
			}
		}
	}
	before := figures.Excerpt{File: f.Files[0]}
	for i, e := range code {
		rows = append(rows, gap(before, e, i == 0)...)
		for i, text := range e.Code {
			number := row{{fmt.Sprintf("%3d  ", e.Line+i), grey}}
			painted := paint(strings.ReplaceAll(text[depth[e.Func]:], "\t", tab), token.IsKeyword)
			rows = append(rows, behind(number, wrap(painted, width-codeEdge, deeper))...)
		}
		before = e
	}
	return rows
}

// gap stands between two excerpts, if they do not follow each other.
func gap(before, e figures.Excerpt, first bool) []row {
	if e.File == before.File && (first || e.Line <= before.Line+len(before.Code)+1) { // a marker may lie between
		return nil
	}
	r := row{{"  ⋮", grey}}
	if e.File != before.File {
		r = append(r, span{"  actors/" + e.File, bold})
	}
	if e.Func != before.Func && !strings.HasPrefix(e.Code[0], "func ") {
		r = append(r, span{"  in " + e.Func, grey})
	}
	return []row{r}
}

// behind puts rows behind a number that only the first has.
func behind(number row, rows []row) []row {
	for i, r := range rows {
		rows[i] = append(slices.Clone(number), r...)
		number = row{{strings.Repeat(" ", number.width()), plain}}
	}
	return rows
}

var word = regexp.MustCompile(`\pL+`)

// paint gives keywords and a comment their style.
func paint(text string, isKeyword func(string) bool) (r row) {
	code, comment, found := strings.Cut(text, "//")
	at := 0
	for _, m := range word.FindAllStringIndex(code, -1) {
		if isKeyword(code[m[0]:m[1]]) {
			r = append(r, span{code[at:m[0]], plain}, span{code[m[0]:m[1]], keyword})
			at = m[1]
		}
	}
	r = append(r, span{code[at:], plain})
	if found {
		r = append(r, span{"//" + comment, remark})
	}
	return r
}

// wrap breaks a row at spaces, so that no part is wider than width, where it has
// spaces to break at. What follows is indented by more than the row was.
func wrap(r row, width, more int) (rows []row) {
	var whole strings.Builder
	for _, s := range r {
		whole.WriteString(s.text)
	}
	text := []rune(whole.String())
	indent := 0
	for indent < len(text) && text[indent] == ' ' {
		indent++
	}
	from := 0
	for lead := 0; ; lead = min(indent+more, width/2) {
		to := len(text)
		if lead+to-from > width {
			to = breakAt(text, max(from, indent), from+width-lead)
		}
		rows = append(rows, append(row{{strings.Repeat(" ", lead), plain}}, cut(r, from, to)...))
		if to == len(text) {
			return rows
		}
		for from = to; text[from] == ' '; from++ {
		}
	}
}

// breakAt finds the last space after the start and up to a limit, or else the first.
func breakAt(text []rune, start, limit int) int {
	for i := min(limit, len(text)-1); i > start; i-- {
		if text[i] == ' ' {
			return i
		}
	}
	for i := limit; i < len(text); i++ {
		if text[i] == ' ' {
			return i
		}
	}
	return len(text)
}

// cut takes the runes from one place to another out of a row.
func cut(r row, from, to int) (part row) {
	at := 0
	for _, s := range r {
		runes := []rune(s.text)
		first, last := max(from-at, 0), min(to-at, len(runes))
		if first < last {
			part = append(part, span{string(runes[first:last]), s.style})
		}
		at += len(runes)
	}
	return part
}

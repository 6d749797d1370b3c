package config

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/mitchellh/go-wordwrap"
)

// width is where explanations are wrapped, in columns.
const width = 80

// WriteDiagnostics prints what [Load] had to say: each with file, line and column,
// the line itself with the place underlined, and what would be right.
func WriteDiagnostics(w io.Writer, diags hcl.Diagnostics) error {
	var b bytes.Buffer
	for i, d := range diags {
		if i > 0 {
			b.WriteByte('\n')
		}
		severity := "Error"
		if d.Severity == hcl.DiagWarning {
			severity = "Warning"
		}
		fmt.Fprintf(&b, "%s: %s\n\n", severity, d.Summary)
		if d.Subject != nil {
			writePlace(&b, d)
		}
		if d.Detail != "" {
			fmt.Fprintf(&b, "%s\n", wordwrap.WrapString(d.Detail, width))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writePlace prints where d is about. A range without a line is the whole of what
// was loaded.
func writePlace(b *bytes.Buffer, d *hcl.Diagnostic) {
	at := *d.Subject
	if at.Start.Line == 0 {
		fmt.Fprintf(b, "  on %s\n\n", at.Filename)
		return
	}
	fmt.Fprintf(b, "  on %s line %d, column %d", at.Filename, at.Start.Line, at.Start.Column)
	file, _ := d.Extra.(*hcl.File)
	if file == nil {
		b.WriteString("\n\n")
		return
	}
	if nav, ok := file.Nav.(interface{ ContextString(offset int) string }); ok {
		if block := nav.ContextString(at.Start.Byte); block != "" {
			fmt.Fprintf(b, ", in %s", block)
		}
	}
	before, marked, after := cut(file.Bytes, at)
	number := fmt.Sprintf("%4d: ", at.Start.Line)
	fmt.Fprintf(b, ":\n%s%s%s%s\n", number, before, marked, after)
	fmt.Fprintf(b, "%s%s%s\n\n", blank(number), blank(before), strings.Repeat("^", max(1, len([]rune(marked)))))
}

// cut takes the line of text in which at begins apart, around at.
func cut(text []byte, at hcl.Range) (before, marked, after string) {
	from := min(at.Start.Byte, len(text))
	start := bytes.LastIndexByte(text[:from], '\n') + 1
	end := len(text)
	if i := bytes.IndexByte(text[from:], '\n'); i >= 0 {
		end = from + i
	}
	to := min(max(at.End.Byte, from), end)
	return string(text[start:from]), string(text[from:to]), strings.TrimRight(string(text[to:end]), "\r")
}

// blank is as wide as s, with its tabs.
func blank(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, s)
}

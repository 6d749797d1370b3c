package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// What is more than any configuration needs. The parser and the expressions that it
// returns are recursive, so without these a file could exhaust the stack.
const (
	maxFileBytes = 64 << 10
	maxNesting   = 200
)

// source is a file that was read.
type source struct {
	name string
	text []byte
}

// Load reads a configuration from a file, or from all *.hcl files of a folder as
// if they were one. Config is nil when there are errors. [WriteDiagnostics] prints
// them with the lines they are about.
func Load(path string) (*Config, hcl.Diagnostics) {
	names, err := filesOf(path)
	if err != nil {
		return nil, cannotRead(path, err)
	}
	var sources []source
	var diags hcl.Diagnostics
	for _, name := range names {
		text, err := readFile(name)
		if err != nil {
			diags = append(diags, cannotRead(name, err)...)
			continue
		}
		sources = append(sources, source{name, text})
	}
	if diags.HasErrors() {
		return nil, diags
	}
	return decode(path, sources)
}

// filesOf lists the files of a configuration, in the order of their names. Hidden
// ones are left out: editors put their locks there.
func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && filepath.Ext(e.Name()) == ".hcl" && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	if len(names) == 0 {
		return nil, errors.New("this folder holds no file *.hcl")
	}
	return names, nil
}

// readFile reads a file that may also be a pipe, and not more than it should.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(text) > maxFileBytes {
		err = fmt.Errorf("longer than %s, which no configuration is", formatSize(maxFileBytes))
	}
	return text, err
}

func cannotRead(path string, err error) hcl.Diagnostics {
	return hcl.Diagnostics{{
		Severity: hcl.DiagError,
		Summary:  "Cannot read configuration",
		Detail:   fmt.Sprintf("%s: %s.", path, reason(err)),
	}}
}

// reason is what err says without the path.
func reason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return err.Error()
}

// decode makes a Config of sources. What it has to say about a file with a syntax
// error ends there: what would be missing in the rest is not missing.
func decode(path string, sources []source) (*Config, hcl.Diagnostics) {
	d := &decoder{path: path, files: make(map[string]*hcl.File), blocks: make(map[string]bool), context: evalContext()}
	var bodies []hcl.Body
	for _, s := range sources {
		if d.tooDeep(s) {
			continue
		}
		file, diags := hclsyntax.ParseConfig(s.text, s.name, hcl.InitialPos)
		d.files[s.name] = file
		d.diags = append(d.diags, diags...)
		d.misread = d.misread || diags.HasErrors()
		bodies = append(bodies, file.Body)
		for _, b := range file.Body.(*hclsyntax.Body).Blocks {
			d.blocks[b.Type] = true
		}
	}
	config := Default()
	if !d.diags.HasErrors() {
		var f fileConfig
		d.diags = append(d.diags, gohcl.DecodeBody(hcl.MergeBodies(bodies), d.context, &f)...)
		d.config(&f, config)
	}
	if d.diags.HasErrors() {
		config = nil
	}
	return config, d.finish()
}

// tooDeep refuses a file in which brackets, or operators without an end of their
// own, are nested deeper than the parser should have to go.
func (d *decoder) tooDeep(s source) bool {
	tokens, _ := hclsyntax.LexConfig(s.text, s.name, hcl.InitialPos) // what is wrong with them the parser says
	depth := 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen,
			hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl,
			hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenQuestion:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
			depth = max(0, depth-1)
		}
		if depth > maxNesting {
			d.files[s.name] = &hcl.File{Bytes: s.text}
			d.error(t.Range, "Nested too deeply", "Nothing in a configuration is nested %d deep.", maxNesting)
			return true
		}
	}
	return false
}

// hints say what is probably right where HCL says only what is wrong.
var hints = map[string]string{
	"Missing newline after argument": ` If this is a value with a unit, quote it, as in "100ms" or "1MiB".`,
	"Variables not allowed":          ` If this is text, quote it, as in "info".`,
	"Missing name for node":          ` Want something such as node "alpha" { … }.`,
	"Missing name for member":        ` Want something such as member "alpha" { … }.`,
}

// finish puts the diagnostics into the order of the text, since gohcl goes through
// maps, and gives each the file that it is about and perhaps a hint.
func (d *decoder) finish() hcl.Diagnostics {
	for _, diag := range d.diags {
		if diag.Subject == nil {
			diag.Subject = &hcl.Range{Filename: d.path}
		}
	}
	slices.SortStableFunc(d.diags, func(a, b *hcl.Diagnostic) int {
		return cmp.Or(
			cmp.Compare(a.Subject.Filename, b.Subject.Filename),
			cmp.Compare(a.Subject.Start.Byte, b.Subject.Start.Byte),
			cmp.Compare(a.Summary, b.Summary),
			cmp.Compare(a.Detail, b.Detail),
		)
	})
	if d.misread {
		d.diags = first(d.diags)
	}
	for _, diag := range d.diags {
		diag.Extra = d.files[diag.Subject.Filename]
		diag.Detail += hints[diag.Summary]
	}
	return d.diags
}

// mistakes is how many errors of a text that cannot be read are shown: one quote that is
// missing makes twenty.
const mistakes = 3

// first keeps the first mistakes, one of each line.
func first(diags hcl.Diagnostics) hcl.Diagnostics {
	diags = slices.CompactFunc(diags, func(a, b *hcl.Diagnostic) bool {
		return a.Subject.Filename == b.Subject.Filename && a.Subject.Start.Line == b.Subject.Start.Line
	})
	return diags[:min(mistakes, len(diags))]
}

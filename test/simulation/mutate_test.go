package simulation

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	allMutants = flag.Bool("mutants", false, "write the table of docs/testing.md")
	onlyMutant = flag.String("mutant", "", "run the mutants of which the name contains this")
)

// seedsToCatch is within how many seeds each mutant is caught.
const seedsToCatch = 600

// TestMutantsAreCaught builds the simulator with a fault in it, and wants a seed to
// fail. That each text is still there, once, is seen for all of them.
func TestMutantsAreCaught(t *testing.T) {
	sources, err := parseSources("../../actors", "../../cluster/datadir", ".")
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]string, len(mutants))
	t.Run("each", func(t *testing.T) { // which ends when all have
		for i, m := range mutants {
			path, changed, err := m.apply(sources)
			if err != nil {
				t.Errorf("%s: %v", m.name, err)
				continue
			}
			if !strings.Contains(m.name, *onlyMutant) {
				continue
			}
			t.Run(m.name, func(t *testing.T) {
				t.Parallel() // building them takes most of the time
				seed, as := m.run(t, path, changed)
				t.Logf("caught by seed %s as %s", seed, as)
				rows[i] = fmt.Sprintf("| %s | %s | %s |\n", m.name, seed, as)
			})
		}
	})
	if *allMutants && !t.Failed() {
		write(t, "| fault | caught by seed | as |\n|---|---|---|\n"+strings.Join(rows, ""))
	}
}

// function is where the body of one stands.
type function struct {
	path       string // of its file
	text       []byte // of its file
	begin, end int    // of its body in text
}

// parseSources finds the functions of the packages in directories, by their names.
func parseSources(directories ...string) (map[string][]function, error) {
	all := make(map[string][]function)
	for _, directory := range directories {
		files, err := filepath.Glob(filepath.Join(directory, "*.go"))
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", directory, err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			if err := parseSource(all, path); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func parseSource(all map[string][]function, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("find %s: %w", path, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read a source: %w", err)
	}
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, path, text, parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parse a source: %w", err)
	}
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			all[nameOf(f)] = append(all[nameOf(f)], function{
				path: path, text: text,
				begin: files.Position(f.Body.Pos()).Offset, end: files.Position(f.Body.End()).Offset,
			})
		}
	}
	return nil
}

// nameOf is the name of a function, with that of its receiver's type in front.
func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	if generic, ok := of.(*ast.IndexExpr); ok {
		of = generic.X
	}
	return of.(*ast.Ident).Name + "." + f.Name.Name
}

// apply returns the file that a mutant changes, and what it then holds. White space in the
// old text stands for any.
func (m mutant) apply(sources map[string][]function) (path string, changed []byte, err error) {
	found := sources[m.function]
	if len(found) != 1 {
		return "", nil, fmt.Errorf("%d functions have the name %s, want one", len(found), m.function)
	}
	f := found[0]
	words := strings.Fields(m.old)
	for i, w := range words {
		words[i] = regexp.QuoteMeta(w)
	}
	places := regexp.MustCompile(strings.Join(words, `\s+`)).FindAllIndex(f.text[f.begin:f.end], -1)
	if len(places) != 1 {
		return "", nil, fmt.Errorf("%q stands %d times in %s of %s, want once", m.old, len(places), m.function, f.path)
	}
	from, to := f.begin+places[0][0], f.begin+places[0][1]
	return f.path, slices.Concat(f.text[:from], []byte(m.new), f.text[to:]), nil
}

var failure = regexp.MustCompile(`seed (\d+): at [^:]*: (\w+)`)

// run returns the seed that failed, and the rule that was broken.
func (m mutant) run(t *testing.T, path string, text []byte) (seed, as string) {
	t.Helper()
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, filepath.Base(path)), filepath.Join(dir, "overlay.json")
	b, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{changed: text, overlay: b} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "mutant.test")
	if out, err := exec.Command("go", "test", "-vet=off", "-overlay", overlay, "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", m.name, err, out)
		return "", ""
	}
	if last := lastCaught(t, m.name); last != "" && !*allMutants {
		if seed, as, caught := m.try(t, binary, "-seed", last); caught {
			return seed, as
		}
	}
	seed, as, caught := m.try(t, binary, "-from=1", "-seeds", fmt.Sprint(seedsToCatch))
	if !caught {
		t.Errorf("%s: not caught within %d seeds", m.name, seedsToCatch)
	}
	return seed, as
}

// try has seeds run.
func (m mutant) try(t *testing.T, binary string, seeds ...string) (seed, as string, caught bool) {
	t.Helper()
	out, err := exec.Command(binary, append([]string{"-test.run=^TestSeeds$"}, seeds...)...).CombinedOutput()
	found := failure.FindSubmatch(out)
	switch {
	case err == nil:
		return "", "", false
	case found != nil:
		return string(found[1]), string(found[2]), true
	case strings.Contains(string(out), "panic: "):
		return "a panic", "a panic", true
	default:
		t.Errorf("%s: %v: %s", m.name, err, out)
		return "", "", true
	}
}

// table is where docs/testing.md has the mutants.
const table, tableBegin, tableEnd = "../../docs/testing.md", "<!-- mutants -->\n", "<!-- /mutants -->"

// lastCaught is the seed that caught a mutant when the table was written. It is tried
// first: it spares most of the seeds before it, of which some mutants need hundreds.
func lastCaught(t *testing.T, name string) (seed string) {
	t.Helper()
	b, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(name) + ` \| (\d+) \|`).FindSubmatch(b); found != nil {
		return string(found[1])
	}
	return ""
}

// write puts rows into the table.
func write(t *testing.T, rows string) {
	t.Helper()
	b, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no %s … %s", table, tableBegin, tableEnd)
	}
	if err := os.WriteFile(table, []byte(before+tableBegin+rows+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestAMutantIsOfOneFunction moves a function to another file, and plants a text in another
// function and twice in one.
func TestAMutantIsOfOneFunction(t *testing.T) {
	dir := t.TempDir()
	const first = "package p\n\nfunc (r *role) turn() {\n\tr.a()\n\tr.b()\n}\n"
	const second = "package p\n\nfunc other() { r.a(); r.c(); r.c() }\n"
	for name, text := range map[string]string{"first.go": first, "second.go": second, "first_test.go": first} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, moved := range []bool{false, true} {
		if moved {
			if err := os.Rename(filepath.Join(dir, "first.go"), filepath.Join(dir, "third.go")); err != nil {
				t.Fatal(err)
			}
		}
		sources, err := parseSources(dir)
		if err != nil {
			t.Fatal(err)
		}
		_, changed, err := mutant{"", "role.turn", "r.a() r.b()", "r.b()"}.apply(sources)
		if want := "package p\n\nfunc (r *role) turn() {\n\tr.b()\n}\n"; err != nil || string(changed) != want {
			t.Errorf("moved %t: got %q and %v, want %q", moved, changed, err, want)
		}
		for _, m := range []mutant{{"", "role.turn", "r.c()", ""}, {"", "other", "r.c()", ""}, {"", "turn", "r.a()", ""}} {
			if _, _, err := m.apply(sources); err == nil {
				t.Errorf("moved %t: a change of %q in %s succeeded", moved, m.old, m.function)
			}
		}
	}
}

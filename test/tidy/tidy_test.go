// Package tidy holds the house rules that a machine can check.
package tidy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root         = "../.."
	maxFuncLines = 70  // a function fits on a screen
	maxFileLines = 500 // a file holds one idea
)

// rolesMayImport is the whole world of package actors. Anything that can tell one run
// from another (a clock, a random source, a lock, a socket, an actor framework) stays
// out, or the simulator's seeds stop meaning anything.
var rolesMayImport = []string{
	"bytes", "cmp", "fmt", "hash/crc32", "hash/fnv", "maps", "slices", "sort", "strconv", "strings", "time",
	"google.golang.org/protobuf/proto",
	"github.com/pmmc-go/pmmc/messages",
}

// showsRoles is the one file of package actors that is no role's: it holds the text of
// the others, for `pmmc paper`, and so may import what embeds files.
const showsRoles = "actors/source.go"

// mayNotImport lists, by folder, what would turn the direction of imports round.
var mayNotImport = map[string][]string{
	"actors/runtime/measure": {"/"},
	"messages":               {"/actors", "/cluster", "/config", "/cmd", "/test"},
	"actors/runtime":         {"/cluster", "/config", "/cmd", "/test"},
	"config":                 {"/actors", "/cluster", "/cmd", "/test", "/messages"},
	"cluster":                {"/cmd", "/test"},
	"docs":                   {"/cluster", "/config", "/cmd", "/test"},
	"cmd":                    {"/test"},
}

const module = "github.com/pmmc-go/pmmc"

// offered are the parts of /test that are more than tests: `pmmc audit` has the referee
// judge the traces of live clusters, and `pmmc sim` replays seeds. They see no package
// testing.
var offered = []string{module + "/test/conformance", module + "/test/simulation", module + "/test/bench/load", module + "/test/bench/unary"}

type source struct {
	path string
	text []byte
	ast  *ast.File
	set  *token.FileSet
}

// sources parses every Go file that is written by hand.
func sources(t *testing.T) (all []source) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "data") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".pb.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		all = append(all, source{filepath.ToSlash(rel), text, file, set})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d files were found: the rules are checked on nothing", len(all))
	}
	return all
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) isRole() bool {
	return filepath.ToSlash(filepath.Dir(s.path)) == "actors" && !s.isTest()
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		for _, spec := range s.ast.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if s.isRole() && !slices.Contains(rolesMayImport, path) && (s.path != showsRoles || path != "embed") {
				t.Errorf("%s imports %s: a role may not see it", s.path, path)
			}
			for folder, banned := range mayNotImport {
				for _, b := range banned {
					if folder == "cmd" && slices.Contains(offered, path) {
						continue
					}
					if strings.HasPrefix(s.path, folder+"/") && !s.isTest() && strings.HasPrefix(path, module+b) {
						t.Errorf("%s imports %s: imports point the other way", s.path, path)
					}
				}
			}
		}
	}
}

func TestRolesStartNoGoroutineAndReadNoClock(t *testing.T) {
	for _, s := range sources(t) {
		if !s.isRole() {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: a goroutine in a role", s.set.Position(n.Pos()))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Sleep", "After", "NewTimer"}, n.Sel.Name) {
					t.Errorf("%s: time.%s in a role", s.set.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		if lines := strings.Count(string(s.text), "\n"); lines > maxFileLines {
			t.Errorf("%s has %d lines, at most %d: is there a second idea inside?", s.path, lines, maxFileLines)
		}
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				lines := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line
				if lines > maxFuncLines {
					t.Errorf("%s: %s has %d lines, at most %d", s.path, f.Name.Name, lines, maxFuncLines)
				}
			}
		}
	}
}

func TestNoSleepInTestsAndNothingLeftOpen(t *testing.T) {
	open := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b`)
	for _, s := range sources(t) {
		if s.isTest() && strings.Contains(string(s.text), "time.Sle"+"ep(") {
			t.Errorf("%s sleeps: wait for the event instead", s.path)
		}
		if open.Match(s.text) {
			t.Errorf("%s leaves something open", s.path)
		}
	}
}

// TestProtoactorsTraps keeps out what design.md §6 found to be unsafe in protoactor,
// and its SendRepeatedly, whose cancel races with its timer.
func TestProtoactorsTraps(t *testing.T) {
	traps := regexp.MustCompile(`\.(SendRepeatedly|RequestRepeatedly|SetReceiveTimeout|Stash|Respond)\(|\bremote\.Start\(`)
	for _, s := range sources(t) {
		if found := traps.Find(s.text); found != nil {
			t.Errorf("%s uses %s", s.path, found)
		}
	}
}

// TestDivergences holds the numbers in the code and in docs/paper.md equal.
func TestDivergences(t *testing.T) {
	doc, err := os.ReadFile(root + "/docs/paper.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^\| (D\d+) \|`).FindAllStringSubmatch(string(doc), -1) {
		listed[m[1]] = true
	}
	used := make(map[string]bool)
	for _, s := range sources(t) {
		if !s.isRole() {
			continue
		}
		for _, m := range regexp.MustCompile(`Divergence (D\d+)`).FindAllStringSubmatch(string(s.text), -1) {
			used[m[1]] = true
			if !listed[m[1]] {
				t.Errorf("%s speaks of divergence %s, which docs/paper.md does not list", s.path, m[1])
			}
		}
	}
	for d := range listed {
		if !used[d] {
			t.Errorf("docs/paper.md lists divergence %s, which no role speaks of", d)
		}
	}
	if len(listed) == 0 {
		t.Error("docs/paper.md lists no divergence")
	}
}

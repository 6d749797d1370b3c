package tidy

import (
	"go/ast"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// logged is one line that a node may log: its level and its message.
type logged struct{ level, message string }

// logLine finds the call of a logger with a text, if n is one.
func logLine(n ast.Node) (logged, bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return logged{}, false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return logged{}, false
	}
	level := map[string]string{"Info": "info", "Warn": "warn", "Error": "error"}[method.Sel.Name]
	var receiver string
	from := method.X
	if made, ok := from.(*ast.CallExpr); ok { // newLogger(…).Warn, log.Named(…).Warn
		from = made.Fun
		if m, ok := from.(*ast.SelectorExpr); ok && slices.Contains([]string{"Named", "With", "ResetNamed"}, m.Sel.Name) {
			from = m.X
		}
	}
	switch x := from.(type) {
	case *ast.Ident:
		receiver = x.Name
	case *ast.SelectorExpr:
		receiver = x.Sel.Name
	}
	message, ok := constant(call.Args[0])
	if name := strings.ToLower(receiver); !ok || level == "" || !strings.HasSuffix(name, "log") && !strings.HasSuffix(name, "logger") && name != "to" {
		return logged{}, false
	}
	return logged{level, message}, true
}

// constant is the text that an expression is, if that is written out.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		x, okX := constant(e.X)
		y, okY := constant(e.Y)
		return x + y, okX && okY
	}
	return "", false
}

// TestLogIsDocumented holds docs/operations.md's table of what the log says equal to what
// the code logs, at levels that operators see.
func TestLogIsDocumented(t *testing.T) {
	doc, err := os.ReadFile(root + "/docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[logged]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| (info|warn|error) \\| `([^`]+)` \\| [^|]+ \\|( [^|]+)? \\|$").FindAllStringSubmatch(string(doc), -1) {
		listed[logged{row[1], row[2]}] = true
	}
	said := make(map[logged]bool)
	for _, s := range sources(t) {
		if s.isTest() || strings.HasPrefix(s.path, "test/") {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			line, ok := logLine(n)
			if ok && !said[line] && !listed[line] {
				t.Errorf("%s logs what docs/operations.md does not explain; add under \"What the log says\": | %s | `%s` | what it means | what to do |",
					s.set.Position(n.Pos()), line.level, line.message)
			}
			if ok {
				said[line] = true
			}
			return true
		})
	}
	for line := range listed {
		if !said[line] {
			t.Errorf("docs/operations.md explains a line that nothing logs at this level: %s %q", line.level, line.message)
		}
	}
	if len(said) < 20 {
		t.Errorf("only %d lines were found: the document is held to nothing", len(said))
	}
}

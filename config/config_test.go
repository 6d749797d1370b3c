package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

var update = flag.Bool("update", false, "rewrite testdata/*.err")

// errorsOf is what Load says about path, as a user reads it.
func errorsOf(t *testing.T, path string) (*Config, string) {
	t.Helper()
	c, diags := Load(path)
	var b bytes.Buffer
	if err := WriteDiagnostics(&b, diags); err != nil {
		t.Fatal(err)
	}
	if (c == nil) != diags.HasErrors() {
		t.Errorf("config = %v with diagnostics %v", c, diags)
	}
	return c, b.String()
}

// load loads text, which must be right.
func load(t *testing.T, text string) *Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "node.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, said := errorsOf(t, path)
	if said != "" {
		t.Fatal(said)
	}
	return c
}

// TestErrors holds what is said about each bad file, or folder, of testdata to the
// .err file beside it.
func TestErrors(t *testing.T) {
	t.Setenv("PMMC_TEST_LEVEL", "loud")
	bad, err := filepath.Glob("testdata/bad_*")
	if err != nil {
		t.Fatal(err)
	}
	bad = slices.DeleteFunc(bad, func(s string) bool { return strings.HasSuffix(s, ".err") })
	bad = append(bad, "testdata/not_there.hcl")
	if len(bad) < 20 {
		t.Fatalf("only %d bad files", len(bad))
	}
	for _, path := range bad {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, got := errorsOf(t, path)
			golden := strings.TrimSuffix(path, ".hcl") + ".err"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if got == "" {
				t.Error("nothing is wrong with a bad file")
			}
		})
	}
}

// The order of diagnostics is that of the text, though gohcl goes through maps.
func TestErrorsAreInOrder(t *testing.T) {
	_, first := errorsOf(t, "testdata/bad_many.hcl")
	for range 20 {
		if _, again := errorsOf(t, "testdata/bad_many.hcl"); again != first {
			t.Fatalf("first\n%s\nthen\n%s", first, again)
		}
	}
}

func TestFolderIsOneConfiguration(t *testing.T) {
	c, said := errorsOf(t, "testdata/folder")
	if said != "" {
		t.Fatal(said)
	}
	if c.Node.Name != "beta" || len(c.Members) != 3 || c.Protocol.Window != 64 {
		t.Errorf("node %q, %d members, window %d; want beta, 3, 64", c.Node.Name, len(c.Members), c.Protocol.Window)
	}
	if got := c.Self(); got.ID != 2 || !got.Has(Leader) {
		t.Errorf("self = %+v", got)
	}
	if got := c.Members[2].Roles; !slices.Equal(got, []Role{Acceptor}) {
		t.Errorf("gamma's roles = %v, want its own", got)
	}
	if got := c.Members[0].Roles; !slices.Equal(got, []Role{Replica, Acceptor}) {
		t.Errorf("alpha's roles = %v, want the order of Roles", got)
	}
}

func TestSamples(t *testing.T) {
	for i, c := range Samples() {
		name := []string{"alpha", "beta", "gamma"}[i]
		if c.Cluster != "sample" || c.Node.Name != name || c.Node.DataDir != filepath.Join("data", name) {
			t.Errorf("%s: cluster %q, node %+v", name, c.Cluster, c.Node)
		}
		want := Listen{
			Peer:   fmt.Sprintf("127.0.0.1:%d", 7001+i),
			Client: fmt.Sprintf("127.0.0.1:%d", 2379+10*i),
			HTTP:   fmt.Sprintf("127.0.0.1:%d", 2380+10*i),
		}
		if c.Listen != want {
			t.Errorf("%s listens at %+v, want %+v", name, c.Listen, want)
		}
		if c.Protocol != Default().Protocol || c.Limits != Default().Limits || c.Journal != Default().Journal {
			t.Errorf("%s has settings of its own", name)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("PMMC_TEST_ID", "7")
	t.Setenv("PMMC_TEST_PING", "20ms")
	c := load(t, `
		cluster = env("PMMC_TEST_NOT_SET", "by-default")
		node "a" { insecure = env("PMMC_TEST_NOT_SET", "true") }
		member "a" {
			id     = env("PMMC_TEST_ID")
			peer   = "${env("PMMC_TEST_NOT_SET", "10.0.0.1")}:7001"
			client = "10.0.0.1:2379"
		}
		protocol { ping = env("PMMC_TEST_PING", "1s") }
	`)
	if c.Cluster != "by-default" || !c.Node.Insecure || c.Members[0].ID != 7 || c.Members[0].Peer != "10.0.0.1:7001" || c.Protocol.Ping.String() != "20ms" {
		t.Errorf("config = %+v", c)
	}
}

// A file that is not there is named; its text is not, since there is none.
func TestWriteDiagnosticsWithoutAFile(t *testing.T) {
	var b bytes.Buffer
	err := WriteDiagnostics(&b, hcl.Diagnostics{{
		Severity: hcl.DiagWarning, Summary: "Odd", Detail: "Is it?",
		Subject: &hcl.Range{Filename: "a.hcl", Start: hcl.Pos{Line: 3, Column: 4}},
	}})
	if want := "Warning: Odd\n\n  on a.hcl line 3, column 4\n\nIs it?\n"; err != nil || b.String() != want {
		t.Errorf("got %q, %v, want %q", b.String(), err, want)
	}
}

func TestLongFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "long.hcl")
	if err := os.WriteFile(path, bytes.Repeat([]byte("#"), maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "Error: Cannot read configuration\n\n" + path + ": longer than 64KiB, which no configuration is.\n"
	if _, got := errorsOf(t, path); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzDecode: whatever is in a file, there is a Config or an error about it, and
// both can be printed.
func FuzzDecode(f *testing.F) {
	for _, pattern := range []string{"testdata/*.hcl", "samples/*.hcl", "reference.hcl"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Add([]byte("\x00\xff"))
	f.Add([]byte("cluster = " + strings.Repeat("(", 1000)))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, diags := decode("fuzz.hcl", []source{{"fuzz.hcl", text}})
		if (c == nil) != diags.HasErrors() {
			t.Errorf("config = %v with diagnostics %v", c, diags)
		}
		var b bytes.Buffer
		if err := WriteDiagnostics(&b, diags); err != nil {
			t.Error(err)
		}
		if c != nil && c.Self().Name != c.Node.Name {
			t.Errorf("self = %+v", c.Self())
		}
	})
}

// The longest file that is read does not exhaust the stack, however it is nested.
func TestDeepNesting(t *testing.T) {
	for _, open := range []string{"(", "[", "{a=", "a{\n", "!", "-", "\"${", "\"%{if ", "1?", "1?1:", "f(", "a[", "}(("} {
		text := "cluster = " + strings.Repeat(open, maxFileBytes/len(open))
		_, diags := decode("deep.hcl", []source{{"deep.hcl", []byte(text)}})
		if !diags.HasErrors() || diags[0].Summary != "Nested too deeply" {
			t.Errorf("%d times %q: %v", maxFileBytes/len(open), open, diags)
		}
	}
	text := "cluster = " + strings.Repeat(")", 1000) + strings.Repeat("(", 1000)
	if _, diags := decode("closed.hcl", []source{{"closed.hcl", []byte(text)}}); diags[0].Summary != "Nested too deeply" {
		t.Errorf("brackets closed first: %v", diags)
	}
	for _, long := range []string{"1+", "a.", "a[0]", "1,", "))", "\"a\"", "1 || ", "a=1\n", "a{}\n"} {
		text := "cluster = " + strings.Repeat(long, maxFileBytes/len(long))
		if _, diags := decode("long.hcl", []source{{"long.hcl", []byte(text)}}); !diags.HasErrors() {
			t.Errorf("no error in %d times %q", maxFileBytes/len(long), long)
		}
	}
}

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestUsage shows that what cannot be right is refused, with 2, before anything is
// done, and that the user is told where to look.
func TestUsage(t *testing.T) {
	for _, c := range []struct {
		line string
		want string
	}{
		{"nod", `unknown command "nod"`},
		{"config vallidate x", `did you mean "validate"`},
		{"node", `"config" not set`},
		{"node extra --config x.hcl", "unknown command"},
		{"node --config ../../config/samples/alpha.hcl --log-level loud", "want one of trace"},
		{"put a", "accepts 2 arg(s)"},
		{"put a 1 --colour red", "unknown flag: --colour"},
		{"get", "accepts 1 arg(s)"},
		{"get a --prefix --range-end b", "none of the others can be"},
		{"get a --limit many", "invalid argument"},
		{"get a --timeout 0s", "want more than nothing"},
		{"top --endpoints 127.0.0.1", "want host:port"},
		{"get a --endpoints 127.0.0.1", "want host:port"},
		{"get a --cert x.pem", "--cert and --key go together"},
		{"get a --cacert not-there.pem", "no such file"},
		{"txn --if value(a)=1", "there is no operation"},
		{"txn --if value(a) --then put_a_1", "want a condition"},
		{"audit", "requires at least 1 arg(s)"},
		{"audit not-there.trace", "no such file"},
		{"snapshot svae x", `did you mean "save"`},
		{"snapshot save", "accepts 1 arg(s)"},
		{"snapshot save x --endpoints 127.0.0.1", "want host:port"},
		{"snapshot restore x", `"config" not set`},
		{"recover", `"config" not set`},
		{"dev --shift-ports 65000", "want 1 to 65535"},
		{"dev --log-level loud", "want one of trace"},
		{"paper acceptr", `did you mean "acceptor"`},
		{"paper figure", `unknown command "figure"`},
		{"paper scout 7", "unknown command"},
		{"version 7", "unknown command"},
	} {
		t.Run(c.line, func(t *testing.T) {
			_, err, code := pmmc(t, strings.Fields(c.line)...)
			if code != exitUsage || !strings.Contains(err, c.want) || !strings.Contains(err, "\nHint: `pmmc") {
				t.Errorf("code %d, want %d and %q and a hint:\n%s", code, exitUsage, c.want, err)
			}
		})
	}
}

// TestHelp shows that each command explains itself, on the standard output.
func TestHelp(t *testing.T) {
	for _, line := range []string{
		"", "help", "node --help", "dev --help", "audit --help", "status --help", "top --help", "get --help", "put --help", "del --help",
		"txn --help", "config", "config validate --help", "paper", "paper leader --help", "version",
		"completion bash", "snapshot", "snapshot save --help", "snapshot status --help", "snapshot restore --help", "recover --help",
	} {
		out, err, code := pmmc(t, strings.Fields(line)...)
		if code != exitDone || out == "" || err != "" {
			t.Errorf("pmmc %s: code %d\n%s\n%s", line, code, out, err)
		}
	}
}

// TestFlagValues shows that no flag has a value with a strange name: pflag takes what is between
// backquotes in a flag's text for that.
func TestFlagValues(t *testing.T) {
	oneWord := regexp.MustCompile(`^ +(-\w, )?--[\w-]+( \S+)?  `)
	var look func(*cobra.Command)
	look = func(c *cobra.Command) {
		for line := range strings.Lines(c.Flags().FlagUsages()) {
			if !oneWord.MatchString(line) {
				t.Errorf("%s: %s", c.CommandPath(), line)
			}
		}
		for _, child := range c.Commands() {
			look(child)
		}
	}
	look(newRoot())
}

func TestVersion(t *testing.T) {
	out, _, _ := pmmc(t, "version")
	for _, want := range []string{"pmmc ", "go 1.", "etcd API v3.", "protoactor-go v0."} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

// TestConfigValidate shows good and bad configurations.
func TestConfigValidate(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	alone := "cluster = \"test\"\nnode \"a\" {}\nmember \"a\" {\n  id = 1\n  peer = \"127.0.0.1:7001\"\n  client = \"127.0.0.1:2379\"\n}\n"
	good := write("good.hcl", alone)
	bad := write("bad.hcl", strings.Replace(alone, "id = 1", "id = 1\n  colour = \"red\"", 1))
	junk := write("junk.pem", "not a certificate")
	tls := write("tls.hcl", alone+"tls {\n  client {\n    client_auth = false\n    cert = \""+junk+"\"\n    key = \""+junk+"\"\n  }\n}\n")
	folder := filepath.Dir(write("folder/node.hcl", alone))
	for _, c := range []struct {
		path string
		code int
		want string
	}{
		{good, exitDone, `good: node a of cluster "test", 1 members, data in data/a`},
		{folder, exitDone, "good: node a"},
		{"../../config/samples/beta.hcl", exitDone, "good: node beta"},
		{bad, exitUsage, "bad.hcl line 5, column 3"},
		{tls, exitUsage, "Error: Bad certificate"},
		{filepath.Join(dir, "none.hcl"), exitUsage, "Error: Cannot read configuration"},
		{t.TempDir(), exitUsage, "holds no file *.hcl"},
	} {
		out, err, code := pmmc(t, "config", "validate", c.path)
		if code != c.code || !strings.Contains(out+err, c.want) {
			t.Errorf("%s: code %d, want %d and %q:\n%s%s", c.path, code, c.code, c.want, out, err)
		}
		if c.code == exitDone {
			continue
		}
		if _, err, code := pmmc(t, "node", "--config", c.path); code != c.code || !strings.Contains(err, c.want) {
			t.Errorf("node --config %s: code %d, want %d and %q:\n%s", c.path, code, c.code, c.want, err)
		}
	}
}

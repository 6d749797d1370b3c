package config

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDifferences(t *testing.T) {
	one, other := Samples()[0], Samples()[0]
	if all := one.Differences(other); len(all) > 0 {
		t.Errorf("of equals: %v", all)
	}
	other.Node.LogLevel, other.Node.DataDir = "debug", "elsewhere"
	other.Members[1].Peer = "127.0.0.1:9"
	other.TLS.Client = &ClientTLS{Cert: "a"}
	other.Protocol.Ping = time.Second
	other.Limits.Quota, other.Limits.InFlight = 1<<20, 7
	other.AutoCompaction.Period = time.Hour
	var got []string
	for _, d := range one.Differences(other) {
		name := d.Name
		if d.Live {
			name += " (live)"
		}
		got = append(got, name)
	}
	want := []string{
		"node.data_dir", "node.log_level (live)", "member", "tls.client", "protocol.ping", "limits.in_flight", "limits.quota (live)", "auto_compaction",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the differences are %q, want %q", got, want)
	}

	one.TakeLive(other)
	for _, d := range one.Differences(other) {
		if d.Live {
			t.Errorf("%s was not taken over", d.Name)
		}
	}
	if one.Limits.InFlight == 7 || one.Node.DataDir == "elsewhere" {
		t.Error("something was taken over that cannot be")
	}
	one.TLS.Client = &ClientTLS{Cert: "b"}
	if all := one.Differences(other); !slices.ContainsFunc(all, func(d Difference) bool { return d.Name == "tls.client.cert" }) {
		t.Errorf("another certificate: %v", all)
	}
}

// What a difference is called is what is written, and reference.hcl says so where an
// argument can change while the node runs.
func TestArgumentsAreNamedAsTheyAreWritten(t *testing.T) {
	schema := make(map[string]bool)
	schemaOf(reflect.TypeFor[fileConfig](), "", schema)
	for name := range maps.Clone(schema) {
		block, _, _ := strings.Cut(name, ".")
		schema[block] = true
	}
	schema["node.name"] = true // a label
	var walk func(ty reflect.Type, prefix string)
	walk = func(ty reflect.Type, prefix string) {
		for i := range ty.NumField() {
			f := ty.Field(i)
			name := prefix + argument(f.Name)
			if f.Type.Kind() == reflect.Pointer {
				f.Type = f.Type.Elem()
			}
			if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[AutoCompaction]() {
				walk(f.Type, name+".")
			} else if !schema[name] {
				t.Errorf("%s is no argument", name)
			}
		}
	}
	walk(reflect.TypeFor[Config](), "")

	text := string(reference(t))
	for _, name := range live {
		_, last, _ := strings.Cut(name, ".")
		comment := regexp.MustCompile(`(?s)\n\n([^\n]*#[^=]*)\n  ` + last + ` += `).FindStringSubmatch(text)
		if comment == nil || !strings.Contains(comment[1], "SIGHUP") {
			t.Errorf("reference.hcl does not say that %s changes upon SIGHUP", name)
		}
	}
	if n := strings.Count(text, "SIGHUP"); n != len(live)+1 {
		t.Errorf("reference.hcl speaks %d times of SIGHUP, want once at its head and once for each of %v", n, live)
	}
}

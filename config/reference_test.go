package config

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// commentedOut finds what reference.hcl has commented out: prose has one space
// after the #, code none or more.
var commentedOut = regexp.MustCompile(`(?m)^#(\S|  |$)`)

// reference is the text of reference.hcl with what is commented out there.
func reference(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("reference.hcl")
	if err != nil {
		t.Fatal(err)
	}
	return commentedOut.ReplaceAll(text, []byte("$1"))
}

func TestReferenceIsTheDefault(t *testing.T) {
	got, said := errorsOf(t, "reference.hcl")
	if said != "" {
		t.Fatal(said)
	}
	want := Default()
	want.Cluster = "sample"
	want.Node.Name, want.Node.DataDir = "alpha", "data/alpha"
	want.Listen.Peer, want.Listen.Client = "127.0.0.1:7001", "127.0.0.1:2379"
	want.Members = []Member{
		{"alpha", 1, "127.0.0.1:7001", "127.0.0.1:2379", Roles()},
		{"beta", 2, "127.0.0.1:7002", "127.0.0.1:2389", Roles()},
		{"gamma", 3, "127.0.0.1:7003", "127.0.0.1:2399", Roles()},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("reference.hcl is\n%+v\nbut the default is\n%+v", got, want)
	}
	if sample := Samples()[0]; !reflect.DeepEqual(sample, want) {
		t.Errorf("samples/alpha.hcl is\n%+v\nbut the default is\n%+v", sample, want)
	}
}

// An argument that is not in reference.hcl would not have its default tested, nor
// explained.
func TestReferenceHasEveryArgument(t *testing.T) {
	file, diags := hclsyntax.ParseConfig(reference(t), "reference.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	has := make(map[string]bool)
	argumentsOf(file.Body.(*hclsyntax.Body), "", has)
	want := make(map[string]bool)
	schemaOf(reflect.TypeFor[fileConfig](), "", want)
	if got, want := slices.Sorted(maps.Keys(has)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
		t.Errorf("reference.hcl has\n%s\nbut the schema\n%s", strings.Join(got, " "), strings.Join(want, " "))
	}
}

func argumentsOf(body *hclsyntax.Body, prefix string, into map[string]bool) {
	for name := range body.Attributes {
		into[prefix+name] = true
	}
	for _, block := range body.Blocks {
		argumentsOf(block.Body, prefix+block.Type+".", into)
	}
}

func schemaOf(ty reflect.Type, prefix string, into map[string]bool) {
	for ty.Kind() != reflect.Struct {
		ty = ty.Elem()
	}
	for i := range ty.NumField() {
		switch name, kind, _ := strings.Cut(ty.Field(i).Tag.Get("hcl"), ","); kind {
		case "":
			into[prefix+name] = true
		case "block":
			schemaOf(ty.Field(i).Type, prefix+name+".", into)
		}
	}
}

// What is commented out in reference.hcl is right, once its files are there.
func TestReferenceTLS(t *testing.T) {
	text := reference(t)
	t.Chdir(t.TempDir())
	if err := os.Mkdir("tls", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"peer.pem", "peer.key", "peer-ca.pem", "client.pem", "client.key", "client-ca.pem"} {
		if err := os.WriteFile(filepath.Join("tls", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := TLS{
		Peer:   &PeerTLS{Cert: "tls/peer.pem", Key: "tls/peer.key", CA: "tls/peer-ca.pem"},
		Client: &ClientTLS{Cert: "tls/client.pem", Key: "tls/client.key", CA: "tls/client-ca.pem", ClientAuth: true},
	}
	if got := load(t, string(text)).TLS; !reflect.DeepEqual(got, want) {
		t.Errorf("tls = %+v %+v", got.Peer, got.Client)
	}
}

// What others rely on between the defaults.
func TestDefaultsAreSane(t *testing.T) {
	c := Default()
	p, l := c.Protocol, c.Limits
	for _, tt := range []struct {
		rule  string
		holds bool
	}{
		{"a replica's slots in flight are within the window", 0 < p.Pipeline && p.Pipeline <= p.Window},
		{"time-outs are in order", p.Ping < p.TimeoutMin && p.TimeoutMin <= p.Timeout && p.Timeout <= p.TimeoutMax},
		{"a time-out grows faster than it shrinks", p.TimeoutFactor > 1 && p.TimeoutStep < p.TimeoutMin/10},
		{"a killed leader is replaced within a second", 2*p.Timeout+4*p.Ping <= 1e9},
		{"a request outlives some elections", l.RequestTimeout > p.TimeoutMax},
		{"a window of full batches fits into four times what is retained", int64(p.Window)*p.BatchBytes <= 4*p.RetainBytes},
		{"a segment holds some decrees", 4*max(p.BatchBytes, l.RequestBytes) <= c.Journal.SegmentBytes},
		{"a quota has room for a flood", l.Quota > 4*l.InFlightBytes},
		{"a node ends after its requests do", l.ShutdownTimeout > l.RequestTimeout},
		{"nobody is heard in plaintext", !c.Node.Insecure && strings.HasPrefix(c.Listen.HTTP, "127.")},
	} {
		if !tt.holds {
			t.Errorf("not so: %s", tt.rule)
		}
	}
}

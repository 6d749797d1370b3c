package certs

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/cluster/transport/testcert"
)

func TestRead(t *testing.T) {
	cert, key, ca := testcert.New(t).Files(t.TempDir(), "alpha")
	if c, err := (Files{cert, key, ca, "alpha"}).Read(); err != nil || c.RootCAs == nil || !c.ClientCAs.Equal(c.RootCAs) {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := (Files{Cert: cert, Key: key}).Read(); err != nil || c.RootCAs != nil {
		t.Errorf("without authorities: %+v, %v", c, err)
	}
	_, otherKey, otherCA := testcert.New(t).Files(t.TempDir(), "alpha")
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for want, files := range map[string]Files{
		"certificate: open " + missing: {missing, key, ca, "alpha"},
		"key: open " + missing:         {cert, missing, ca, "alpha"},
		"authority: open " + missing:   {cert, key, missing, "alpha"},
		"no certificate in it":         {cert, key, key, "alpha"},
		"does not match public key":    {cert, otherKey, ca, "alpha"},
		"unknown authority":            {cert, key, otherCA, "alpha"},
		`want to see of "beta"`:        {cert, key, ca, "beta"},
	} {
		if _, err := files.Read(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// watched is a source of a member's files in a folder, with its log.
func watched(t *testing.T, authority *testcert.Authority) (dir string, source Source, log *bytes.Buffer) {
	t.Helper()
	dir, log = t.TempDir(), new(bytes.Buffer)
	cert, key, ca := authority.Files(dir, "alpha")
	source, err := Watch(Files{cert, key, ca, "alpha"}, hclog.New(&hclog.LoggerOptions{Output: log}))
	if err != nil {
		t.Fatal(err)
	}
	return dir, source, log
}

func leaf(s Source) *x509.Certificate { return s().Certificates[0].Leaf }

// What is renewed is used by the next handshake, without a restart.
func TestWatchReadsAgain(t *testing.T) {
	authority := testcert.New(t)
	dir, source, log := watched(t, authority)
	first, config := leaf(source), source()
	if source() != config || log.Len() != 0 {
		t.Errorf("nothing changed, and it was read again: %s", log)
	}
	authority.Files(dir, "alpha")
	if second := leaf(source); second.Equal(first) {
		t.Error("the certificate was renewed and is not in use")
	}
	if got := strings.Count(log.String(), "certificate read again"); got != 1 {
		t.Errorf("%d lines, want 1:\n%s", got, log)
	}
	authorities := source().RootCAs
	authority.Bundle(dir, testcert.New(t))
	if source().RootCAs.Equal(authorities) {
		t.Error("an authority was added and is not known")
	}
}

// Files that do not belong together, yet, change nothing, and are one line.
func TestWatchKeepsTheLastGood(t *testing.T) {
	authority := testcert.New(t)
	dir, source, log := watched(t, authority)
	first := leaf(source)
	next := t.TempDir()
	authority.Files(next, "alpha")
	move := func(name string) {
		if err := os.Rename(filepath.Join(next, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	move("cert.pem")
	for range 3 {
		if !leaf(source).Equal(first) {
			t.Fatal("a certificate is in use without its key")
		}
	}
	if got := strings.Count(log.String(), "the last good one stays"); got != 1 {
		t.Errorf("%d lines, want 1:\n%s", got, log)
	}
	move("key.pem")
	if leaf(source).Equal(first) {
		t.Errorf("the certificate is not in use now that its key is there:\n%s", log)
	}
	for name, spoil := range map[string]func() error{
		"gone":            func() error { return os.Remove(filepath.Join(dir, "cert.pem")) },
		"of another name": func() error { authority.Files(dir, "beta"); return nil },
		"of a stranger":   func() error { testcert.New(t).Files(dir, "alpha"); authority.Bundle(dir); return nil },
	} {
		before := leaf(source)
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if !leaf(source).Equal(before) {
			t.Errorf("a certificate that is %s is in use", name)
		}
		authority.Files(dir, "alpha")
		if leaf(source).Equal(before) {
			t.Errorf("after one that was %s: the certificate is not read again", name)
		}
	}
}

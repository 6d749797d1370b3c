package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pmmc-go/pmmc/cluster/certs"
)

// TestCert walks through the life of a cluster's certificates.
func TestCert(t *testing.T) {
	dir := t.TempDir()
	do := func(args ...string) {
		t.Helper()
		if out, err, code := pmmc(t, append(append([]string{"cert"}, args...), "--dir", dir)...); code != exitDone {
			t.Fatalf("pmmc cert %s: code %d\n%s%s", strings.Join(args, " "), code, out, err)
		}
	}
	peer := func() error {
		in := func(file string) string { return filepath.Join(dir, "alpha", file) }
		_, err := certs.Files{Cert: in("peer.pem"), Key: in("peer.key"), CA: in("peer-ca.pem"), Member: "alpha"}.Read()
		return err
	}
	copyAuthority := func() {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, "peer-ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "alpha", "peer-ca.pem"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	do("authority")
	do("member", "alpha", "--host", "10.0.0.1")
	do("client", "operator")
	if err := peer(); err != nil {
		t.Error(err)
	}
	keys, err := filepath.Glob(filepath.Join(dir, "*", "*.key"))
	if err != nil || len(keys) != 3 {
		t.Errorf("keys: %q, %v", keys, err)
	}
	for _, key := range append(keys, filepath.Join(dir, "peer-ca.key"), filepath.Join(dir, "client-ca.key")) {
		if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", key, info.Mode(), err)
		}
	}

	do("authority", "--next")
	copyAuthority()
	if err := peer(); err != nil {
		t.Errorf("the old certificate while both authorities are trusted: %v", err)
	}
	do("member", "alpha", "--host", "10.0.0.1")
	do("authority", "--retire")
	copyAuthority()
	if err := peer(); err != nil {
		t.Errorf("the new certificate after the old authority: %v", err)
	}
}

// TestCertRefuses shows what a wrong command leaves alone, and says.
func TestCertRefuses(t *testing.T) {
	dir := t.TempDir()
	refused := func(want string, wantCode int, args ...string) {
		t.Helper()
		_, err, code := pmmc(t, append(append([]string{"cert"}, args...), "--dir", dir)...)
		if code != wantCode || !strings.Contains(err, want) || !strings.Contains(err, "Hint: ") {
			t.Errorf("pmmc cert %s: code %d, want %d, %q and a hint: %s", strings.Join(args, " "), code, wantCode, want, err)
		}
	}
	refused("client-ca.pem: no such file", exitFailed, "client", "operator")
	refused("peer-ca.pem: no such file", exitFailed, "authority", "--next")
	if _, err, code := pmmc(t, "cert", "authority", "--dir", dir); code != exitDone {
		t.Fatal(err)
	}
	refused("there is an authority already", exitFailed, "authority")
	refused("none to retire", exitFailed, "authority", "--retire")
	refused("name of a folder", exitUsage, "client", "../operator")
	refused("at least 1", exitUsage, "client", "operator", "--days", "0")
	refused("host", exitUsage, "member", "alpha")
}

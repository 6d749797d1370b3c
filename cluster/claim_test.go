//go:build unix

package cluster

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func mode(t *testing.T, dir string) os.FileMode {
	t.Helper()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// A data directory is its owner's alone, whoever made it, and that is said once.
func TestClaimClosesTheDirectory(t *testing.T) {
	var text bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &text})
	made, open := filepath.Join(t.TempDir(), "a", "b"), t.TempDir()
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, dir := range []string{made, open} {
			if err := Claim(dir, log); err != nil {
				t.Fatal(err)
			}
			if got := mode(t, dir); got != private {
				t.Errorf("%s: mode %v, want %v", dir, got, private)
			}
		}
	}
	if got := strings.Count(text.String(), "closed to other users"); got != 1 {
		t.Errorf("%d lines, want 1:\n%s", got, text.String())
	}
}

// Another user's directory, or file in it, is left alone.
func TestClaimRefusesForeigners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const somebody = 12345
	dir := t.TempDir()
	inside := filepath.Join(dir, "identity.json")
	if err := os.WriteFile(inside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{inside, dir} {
		if err := os.Chown(path, somebody, somebody); err != nil {
			t.Fatal(err)
		}
		before := mode(t, dir)
		refused := (*IdentityError)(nil)
		if err := Claim(dir, hclog.NewNullLogger()); !errors.As(err, &refused) ||
			!strings.Contains(err.Error(), filepath.Base(path)+" is of the user with number 12345") || !strings.Contains(refused.Hint(), "chown") {
			t.Errorf("%s is somebody else's: %v", path, err)
		}
		if got := mode(t, dir); got != before {
			t.Errorf("its mode was changed from %v to %v", before, got)
		}
		if err := os.Chown(path, os.Geteuid(), os.Getegid()); err != nil {
			t.Fatal(err)
		}
	}
	if err := Claim(dir, hclog.NewNullLogger()); err != nil {
		t.Error(err)
	}
}

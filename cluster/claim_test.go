//go:build unix

package cluster

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/cluster/journal"
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

// What cannot be a directory is told from a disk that fails: no later start can do better.
func TestClaimOfWhatIsNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "alpha"), "/proc/nowhere/alpha"} {
		unusable := (*UnusableError)(nil)
		if err := Claim(dir, hclog.NewNullLogger()); !errors.As(err, &unusable) || unusable.Dir != dir {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// A directory on which a node runs is refused before any of its files is opened.
func TestClaimRefusesWhatIsInUse(t *testing.T) {
	dir := t.TempDir()
	j, err := journal.Open(journal.Options{Dir: filepath.Join(dir, journalDir), Failed: func(error) {}, Logger: hclog.NewNullLogger()})
	if err != nil {
		t.Fatal(err)
	}
	if err := Claim(dir, hclog.NewNullLogger()); !errors.As(err, new(*journal.LockedError)) {
		t.Errorf("claimed while a journal is open in it: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Claim(dir, hclog.NewNullLogger()); err != nil {
		t.Error(err)
	}
}

// A directory that somebody uses for something else is left alone; what a file system has in
// its root is no use of it.
func TestClaimRefusesAnyOtherDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, lostAndFound), 0o700), os.Mkdir(filepath.Join(dir, ".snapshot"), 0o700), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	photos := filepath.Join(dir, "photos")
	if err := os.Mkdir(photos, 0o700); err != nil {
		t.Fatal(err)
	}
	refused := (*IdentityError)(nil)
	if err := Claim(dir, hclog.NewNullLogger()); !errors.As(err, &refused) || !strings.Contains(err.Error(), `"photos"`) || mode(t, dir) != 0o777 {
		t.Errorf("claimed with mode %v: %v", mode(t, dir), err)
	}
	for _, name := range []string{identityFile + ".tmp", journalDir, stateDir} {
		if err := os.Rename(photos, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if err := Claim(dir, hclog.NewNullLogger()); err != nil {
			t.Errorf("with %s in it: %v", name, err)
		}
		photos = filepath.Join(dir, name)
	}
	if err := os.Remove(photos); err != nil {
		t.Fatal(err)
	}
	if err := Claim(dir, hclog.NewNullLogger()); err != nil {
		t.Errorf("with only %s in it: %v", lostAndFound, err)
	}
	if err := refuseFull(dir); err != nil {
		t.Errorf("a snapshot is not restored where only %s is: %v", lostAndFound, err)
	}
}

// A directory that is made is an entry of its parent: without a sync of that, a power cut takes it
// away with all that is in it. So is each parent that is made.
func TestClaimSyncsTheParentsOfWhatItMakes(t *testing.T) {
	root := t.TempDir()
	for _, tt := range []struct {
		dir  string
		want []string // relative to root
	}{
		{"a/b/c", []string{"a/b", "a", "."}},
		{"a/b/c", []string{"a/b"}}, // who made it may have crashed before the sync
		{"a/b/d/", []string{"a/b"}},
		{"e", []string{"."}},
	} {
		var synced []string
		err := makeDir(filepath.Join(root, tt.dir)+"/", func(dir string) error {
			if _, err := os.Stat(filepath.Join(root, tt.dir)); err != nil {
				t.Errorf("%s is synced before there is %s", dir, tt.dir)
			}
			rel, err := filepath.Rel(root, dir)
			synced = append(synced, rel)
			return err
		})
		if err != nil || !slices.Equal(synced, tt.want) {
			t.Errorf("%s: synced %q, %v, want %q", tt.dir, synced, err, tt.want)
		}
	}
	failed := errors.New("no")
	if err := makeDir(filepath.Join(root, "f"), func(string) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("a sync that fails is %v", err)
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestCheckOfAReadOnlyMount: a disk that is examined is mounted so, and the check changes nothing.
func TestCheckOfAReadOnlyMount(t *testing.T) {
	s := newSample(t, 3, "")
	s.start(names...)
	s.do("put", "colour", "red")
	s.waitCaughtUp()
	s.end("gamma")
	gamma, mount := filepath.Join(s.dir, "gamma"), t.TempDir()
	if err := syscall.Mount(gamma, mount, "", syscall.MS_BIND, ""); err != nil {
		t.Skip("this user cannot mount: ", err)
	}
	defer func() {
		if err := syscall.Unmount(mount, 0); err != nil {
			t.Error(err)
		}
	}()
	if err := syscall.Mount("", mount, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(mount, "x"), nil, 0o600); err == nil {
		t.Fatal("the mount can be written to")
	}
	if out, err, code := pmmc(t, "check", mount); code != exitDone || strings.Count(out, "ok ") != 3 {
		t.Errorf("code %d\n%s%s", code, out, err)
	}
	s.start("gamma")
	if out, err, code := pmmc(t, "check", mount); code != exitFailed || !strings.Contains(err, "a node runs on it") {
		t.Errorf("of a node that runs, by way of another mount: code %d\n%s%s", code, out, err)
	}
}

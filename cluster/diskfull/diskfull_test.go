package diskfull

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

func TestIs(t *testing.T) {
	for errno, want := range map[error]bool{
		syscall.ENOSPC: true, syscall.EDQUOT: true, syscall.EIO: false, syscall.EMFILE: false, syscall.EROFS: false, nil: false,
	} {
		wrapped := errno
		if errno != nil {
			wrapped = fmt.Errorf("write: %w", errors.Join(io.EOF, &fs.PathError{Op: "write", Path: "x", Err: errno}))
		}
		if Is(errno) != want || Is(wrapped) != want {
			t.Errorf("%v: %t, wrapped %t, want %t", errno, Is(errno), Is(wrapped), want)
		}
	}
}

// Operations are repeated until they succeed or fail for another reason. The first that waits and
// the last that has waited are said.
func TestTry(t *testing.T) {
	for name, tt := range map[string]struct {
		then error
		said []string
	}{
		"there is room again":  {nil, []string{"the disk is full", "the disk has room again"}},
		"something else fails": {syscall.EIO, []string{"the disk is full"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				r := New(hclog.New(&hclog.LoggerOptions{Output: &log}))
				r.Begin()
				var over atomic.Bool
				do := func() error {
					if over.Load() {
						return tt.then
					}
					return syscall.EDQUOT
				}
				done := make(chan error, 2)
				for range 2 {
					go func() { done <- r.Try("a file", do) }()
				}
				<-time.After(10 * pause)
				synctest.Wait()
				if since := r.Since(); time.Since(since) != 10*pause {
					t.Errorf("full since %v", since)
				}
				over.Store(true)
				for range 2 {
					if err := <-done; !errors.Is(err, tt.then) {
						t.Errorf("%v, want %v", err, tt.then)
					}
				}
				lines := strings.Split(strings.TrimSpace(log.String()), "\n")
				if len(lines) != len(tt.said) || !r.Since().IsZero() {
					t.Errorf("full since %v; it says:\n%s", r.Since(), log.String())
				}
				for i, want := range tt.said {
					if i < len(lines) && !strings.Contains(lines[i], want) {
						t.Errorf("line %d is %q, want %q", i, lines[i], want)
					}
				}
			})
		})
	}
}

// Nothing is repeated before Begin, or after GiveUp, which also ends what is being repeated.
func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(hclog.NewNullLogger())
		tries := 0
		full := func() error { tries++; return syscall.ENOSPC }
		once := func(when string) {
			t.Helper()
			if err := r.Try("a file", full); tries != 1 || !Is(err) {
				t.Errorf("%s: tried %d times: %v", when, tries, err)
			}
			tries = 0
		}
		once("before Begin")
		r.Begin()
		done := make(chan error)
		go func() { done <- r.Try("a file", full) }()
		<-time.After(3 * pause)
		r.GiveUp()
		if err := <-done; !Is(err) || tries < 2 || !r.Since().IsZero() {
			t.Errorf("given up after %d tries: %v, full since %v", tries, err, r.Since())
		}
		tries = 0
		once("after GiveUp")
		r.GiveUp()
	})
}

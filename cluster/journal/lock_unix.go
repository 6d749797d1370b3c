//go:build unix

package journal

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks f, or tells that somebody else holds it. The lock ends with the
// file or with the process, whatever ends it.
func tryLock(f *os.File) (held bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

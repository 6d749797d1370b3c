package journal

import (
	"errors"
	"os"
	"syscall"
)

// preallocate reserves the blocks of a new file, so that appending to it changes
// no size that each fsync would have to write, too.
func preallocate(f *os.File, size int64) error {
	err := again(func() error { return syscall.Fallocate(int(f.Fd()), 0, 0, size) })
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return nil // a file system that can't: slower, not less safe
	}
	return err
}

// syncData is fsync without the time stamps.
func syncData(f *os.File) error {
	return again(func() error { return syscall.Fdatasync(int(f.Fd())) })
}

// again repeats a system call that a signal cut short before it did anything.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

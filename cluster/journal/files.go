package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/hashicorp/raft-wal/types"

	"github.com/pmmc-go/pmmc/cluster/diskfull"
)

// files is the file system as raft-wal wants it. It differs from raft-wal's own in
// that it syncs data without the time stamps, and that it fsyncs the directory
// also for a file that was there before: whoever made it may have died in between.
type files struct{}

var _ types.VFS = files{}

func (files) ListDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (files) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := preallocate(f, int64(size)); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name())) // so that it can be tried again
	}
	return &file{File: f, dir: dir, size: int64(size)}, nil
}

func (files) Delete(dir, name string) error {
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

func (files) OpenReader(dir, name string) (types.ReadableFile, error) {
	return os.Open(filepath.Join(dir, name))
}

func (files) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &file{File: f, dir: dir, size: info.Size()}, nil
}

// file is a segment that is written to.
type file struct {
	*os.File
	dir    string
	size   int64       // that it was given
	filled int64       // up to here it was written to, if only with zeros
	synced atomic.Bool // the file's size and name are on disk
}

// ahead is how many bytes are written at once where a small write comes to a part of the
// file that has only been reserved. The first write there has the file system note that
// the blocks hold something now, and makes the next fsync twice as long; this way it is
// one in many. In a longer write that is no loss, and twice as many bytes would be one.
const ahead = 256 << 10

var zeros [ahead]byte

// WriteAt writes b and, now and then, zeros behind it. There is one writer.
func (f *file) WriteAt(b []byte, at int64) (int, error) {
	end := at + int64(len(b))
	if filled := min(end+ahead, f.size); end > f.filled && end < filled && len(b) <= ahead/4 {
		switch _, err := f.File.WriteAt(zeros[:filled-end], end); {
		case err == nil:
			f.filled = filled
		case !diskfull.Is(err): // b may have room all the same
			return 0, err
		}
	}
	return f.File.WriteAt(b, at)
}

func (f *file) Sync() error {
	if f.synced.Load() {
		return syncData(f.File)
	}
	if err := f.File.Sync(); err != nil {
		return err
	}
	if err := syncDir(f.dir); err != nil {
		return err
	}
	f.synced.Store(true)
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// replaceFile writes a file as a whole or not at all, durably.
func replaceFile(dir, name string, data []byte) error {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	return syncDir(dir)
}

// readFile is os.ReadFile, but nil for a file that isn't there.
func readFile(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil && b == nil {
		b = []byte{}
	}
	return b, err
}

// lockFile is locked while a journal is open.
const lockFile = "lock"

// lockDir keeps other processes, and other Logs of this one, out of dir until the
// file is closed. It never waits.
func lockDir(dir string) (io.Closer, error) {
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, syscall.EROFS) {
		f, err = os.Open(path) // a node may run on the directory by way of another mount
	}
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	held, err := tryLock(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("journal: lock %s: %w", path, err), f.Close())
	}
	if held {
		return nil, errors.Join(&LockedError{Path: path}, f.Close())
	}
	return f, nil
}

// InUse returns a *LockedError if a journal is open in dir. Where there is none it makes
// nothing.
func InUse(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, lockFile)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	return lock.Close()
}

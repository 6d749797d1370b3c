package kv

import (
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/pmmc-go/pmmc/cluster/diskfull"
)

// roomyFS is a file system whose changes wait for room while the disk is full. A write waits
// before its fsync, so nothing rests on it yet. That holds for the MANIFEST, too, whose failed
// writes Pebble does not survive. A failed fsync is not repeated.
type roomyFS struct {
	vfs.FS
	room *diskfull.Retrier
}

// Unwrap returns the file system below.
func (v roomyFS) Unwrap() vfs.FS { return v.FS }

// opened tries to open a file for writing.
func (v roomyFS) opened(name string, open func() (vfs.File, error)) (f vfs.File, err error) {
	err = v.room.Try(name, func() (err error) {
		f, err = open()
		return err
	})
	if err != nil {
		return nil, err
	}
	return roomyFile{f, name, v.room}, nil
}

func (v roomyFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return v.opened(name, func() (vfs.File, error) { return v.FS.Create(name, c) })
}

func (v roomyFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return v.opened(name, func() (vfs.File, error) { return v.FS.OpenReadWrite(name, c, o...) })
}

func (v roomyFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return v.opened(to, func() (vfs.File, error) { return v.FS.ReuseForWrite(from, to, c) })
}

func (v roomyFS) Link(from, to string) error {
	return v.room.Try(to, func() error { return v.FS.Link(from, to) })
}

func (v roomyFS) Rename(from, to string) error {
	return v.room.Try(to, func() error { return v.FS.Rename(from, to) })
}

func (v roomyFS) Remove(name string) error {
	return v.room.Try(name, func() error { return v.FS.Remove(name) })
}

func (v roomyFS) RemoveAll(name string) error {
	return v.room.Try(name, func() error { return v.FS.RemoveAll(name) })
}

func (v roomyFS) MkdirAll(dir string, mode os.FileMode) error {
	return v.room.Try(dir, func() error { return v.FS.MkdirAll(dir, mode) })
}

type roomyFile struct {
	vfs.File
	name string
	room *diskfull.Retrier
}

// Write goes on behind what was written of b before the disk was full.
func (f roomyFile) Write(b []byte) (n int, err error) {
	err = f.room.Try(f.name, func() error {
		more, err := f.File.Write(b[n:])
		n += more
		return err
	})
	return n, err
}

// WriteAt does the same.
func (f roomyFile) WriteAt(b []byte, at int64) (n int, err error) {
	err = f.room.Try(f.name, func() error {
		more, err := f.File.WriteAt(b[n:], at+int64(n))
		n += more
		return err
	})
	return n, err
}

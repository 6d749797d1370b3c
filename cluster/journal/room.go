package journal

import (
	"github.com/hashicorp/raft-wal/types"

	"github.com/pmmc-go/pmmc/cluster/diskfull"
)

// roomy is a file system whose files are written to when there is room. Segments are as long
// as they will be from the beginning, but for raft-wal's last batch and index of each, which
// lie behind that; where nothing can be reserved, any write may have to wait.
type roomy struct {
	types.VFS
	room *diskfull.Retrier
}

func (v roomy) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := v.VFS.Create(dir, name, size)
	return roomyFile{f, v.room}, err
}

func (v roomy) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := v.VFS.OpenWriter(dir, name)
	return roomyFile{f, v.room}, err
}

type roomyFile struct {
	types.WritableFile
	room *diskfull.Retrier
}

// WriteAt writes b as a whole: what was written of it before the disk was full is written again.
func (f roomyFile) WriteAt(b []byte, at int64) (n int, err error) {
	err = f.room.Try("a batch", func() (err error) {
		n, err = f.WritableFile.WriteAt(b, at)
		return err
	})
	return n, err
}

package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// flushedName is the file that says below which slot the state was on disk. Pebble takes a
// MANIFEST that is damaged for one whose end was torn, and opens what it was before: an
// earlier state, which is whole, but not what this replica said to have (S5). The file is
// not synced: a power cut may leave an older one, or none, which says less.
const flushedName = "flushed"

// noteFlushed remembers that slots below one are on disk.
func (s *Store) noteFlushed(below uint64) error {
	f, err := s.fs.Create(s.fs.PathJoin(s.options.Dir, flushedName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("kv: %w", err)
	}
	b := binary.LittleEndian.AppendUint64(nil, below)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// checkFlushed compares what a database holds with what was on disk.
func checkFlushed(disk vfs.FS, dir string, executed uint64) error {
	b, err := readAll(disk, disk.PathJoin(dir, flushedName))
	if err != nil || len(b) != 12 || crc32.Checksum(b[:8], castagnoli) != binary.LittleEndian.Uint32(b[8:]) {
		return nil // nothing was flushed yet, or a power cut took it: it says nothing
	}
	if below := binary.LittleEndian.Uint64(b); executed < below {
		return &DamagedError{Path: dir, Why: fmt.Sprintf("it ends before slot %d, and slots below %d were on disk: a MANIFEST is damaged", executed, below)}
	}
	return nil
}

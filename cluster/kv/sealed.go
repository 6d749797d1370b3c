package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble notices damage in its tables. It takes a damaged MANIFEST for one with a torn end and
// opens an earlier state, makes a new database where its marker is lost, and reads next to
// nothing of its OPTIONS. Two small files of ours find what Pebble does not. Each has a checksum,
// and each says whether the other one must be there:
//
//   - note, in the store's directory: below which slot the state was on disk (S5), and which
//     database has a seal;
//   - seal, in the database's directory: the checksum of its OPTIONS.
//
// Invariant: where a seal is on disk, so is a note; where a note names a database, its seal is on
// disk, and the marker of the database, if it needs one, was moved to it. So the first note names
// none, then comes the seal, then the marker, then the note that names the database.
// A store of an earlier version has neither, or a note of below only.
const (
	noteName = "flushed"
	sealName = "sealed"

	noteBytes        = 8 + 8 + 4
	earlierNoteBytes = 8 + 4

	optionsPrefix = "OPTIONS-"
)

// note says what of a store is on disk.
type note struct {
	below  uint64 // slots below this are
	sealed uint64 // number of the database that has a seal; 0 for none
}

func (n note) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, n.below)
	b = binary.LittleEndian.AppendUint64(b, n.sealed)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// parseNote also takes a note of an earlier version, which names no database.
func parseNote(b []byte) (n note, ok bool) {
	if len(b) != noteBytes && len(b) != earlierNoteBytes {
		return note{}, false
	}
	body, sum := b[:len(b)-4], b[len(b)-4:]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(sum) {
		return note{}, false
	}
	n.below = binary.LittleEndian.Uint64(body)
	if len(body) > 8 {
		n.sealed = binary.LittleEndian.Uint64(body[8:])
	}
	return n, true
}

// noteFlushed notes below which slot the state is on disk. The file is not synced: a power cut
// may leave the bytes of before, which are true, too. All are in one sector.
func (s *Store) noteFlushed(n note) error {
	f, err := s.fs.OpenReadWrite(s.fs.PathJoin(s.options.Dir, noteName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("kv: %w", err)
	}
	_, err = f.WriteAt(n.append(nil), 0)
	return errors.Join(err, f.Close())
}

// seal makes durable what the next Open demands of a database that was opened.
func (s *Store) seal(path string) error {
	names, err := s.fs.List(path)
	if err != nil {
		return fmt.Errorf("kv: list %s: %w", path, err)
	}
	options := newestOptions(names)
	b, err := readAll(s.fs, s.fs.PathJoin(path, options))
	if err != nil {
		return fmt.Errorf("kv: read %s: %w", options, err)
	}
	return s.replaceFile(path, sealName, sealOf(options, b))
}

// sealOf is a seal: a line with the name and the checksum of a file, and one with its own.
func sealOf(options string, content []byte) []byte {
	line := fmt.Appendf(nil, "%s %08x\n", options, crc32.Checksum(content, castagnoli))
	return fmt.Appendf(line, "%08x\n", crc32.Checksum(line, castagnoli))
}

// newestOptions is the OPTIONS file that Pebble reads, among the names of a directory.
func newestOptions(names []string) (newest string) {
	for _, name := range names {
		// The number has six digits, or more.
		if strings.HasPrefix(name, optionsPrefix) && (len(name) > len(newest) || len(name) == len(newest) && name > newest) {
			newest = name
		}
	}
	return newest
}

// replaceFile writes a file as a whole or not at all, durably.
func (s *Store) replaceFile(dir, name string, b []byte) error {
	path := s.fs.PathJoin(dir, name)
	f, err := s.fs.Create(path+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("kv: %w", err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = s.fs.Rename(path+".new", path)
	}
	if err == nil {
		err = s.syncDirectory(dir)
	}
	if err != nil {
		return fmt.Errorf("kv: write %s: %w", path, err)
	}
	return nil
}

// checkSealed looks at the directory of a database before Pebble opens it, which removes what it
// takes for obsolete. It returns the store's note, and whether the database has a seal.
func checkSealed(disk vfs.FS, dir, current string) (n note, sealed bool, err error) {
	path := disk.PathJoin(dir, current)
	damaged := func(file, why string) (note, bool, error) { return note{}, false, &DamagedError{Path: file, Why: why} }
	notePath, sealPath := disk.PathJoin(dir, noteName), disk.PathJoin(path, sealName)
	b, missing, err := readIfThere(disk, notePath)
	if err != nil {
		return note{}, false, err
	}
	n, noted := parseNote(b)
	seal, unsealed, err := readIfThere(disk, sealPath)
	number, _ := directoryNumber(current)
	switch {
	case err != nil:
		return note{}, false, err
	case n.sealed > uint64(number):
		return damaged(dir, fmt.Sprintf("%s%d was the current database, and its marker is missing", directoryPrefix, n.sealed))
	case unsealed && n.sealed == uint64(number):
		return damaged(sealPath, "it is missing")
	case unsealed:
		return n, false, nil // where the note cannot be read, either, a power cut may have taken it from an earlier version
	case missing:
		return damaged(notePath, "it is missing")
	case !noted:
		return damaged(notePath, fmt.Sprintf("its %d bytes do not have their checksum", len(b)))
	}
	names, err := disk.List(path)
	if err != nil {
		return note{}, false, err
	}
	for _, marker := range []string{"marker.manifest.", "marker.format-version."} {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, marker) }) {
			return damaged(disk.PathJoin(path, marker+"*"), "it is missing")
		}
	}
	options := newestOptions(names)
	if options == "" {
		return damaged(disk.PathJoin(path, optionsPrefix+"*"), "it is missing")
	}
	named, _, _ := strings.Cut(string(seal), " ")
	b, err = readAll(disk, disk.PathJoin(path, options))
	switch {
	case err != nil:
		return note{}, false, err
	case named == options && string(seal) == string(sealOf(options, b)):
	case named == options && isSeal(seal):
		return damaged(disk.PathJoin(path, options), "it does not have its checksum")
	case !isSeal(seal):
		return damaged(sealPath, "it does not have its checksum")
	case newestOptions([]string{named, options}) == named:
		return damaged(disk.PathJoin(path, named), "it is missing")
	} // else Pebble has opened it since, and the process ended before the new seal
	if n.sealed > 0 && n.sealed < uint64(number) {
		n.below = 0 // it was restored, maybe from an earlier state, and the process ended before the new note
	}
	return n, true, nil
}

// isSeal reports whether a seal has its checksum.
func isSeal(b []byte) bool {
	at := len(b) - len("00000000\n")
	return at > 0 && string(b[at:]) == fmt.Sprintf("%08x\n", crc32.Checksum(b[:at], castagnoli))
}

// checkFlushed compares what a database holds with what was on disk.
func checkFlushed(dir string, n note, executed uint64) error {
	if executed < n.below {
		return &DamagedError{Path: dir, Why: fmt.Sprintf("it ends before slot %d, and slots below %d were on disk: a MANIFEST is damaged", executed, n.below)}
	}
	return nil
}

func readIfThere(disk vfs.FS, path string) (b []byte, missing bool, err error) {
	b, err = readAll(disk, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	return b, false, err
}

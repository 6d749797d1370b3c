package journal

import (
	"errors"
	"fmt"
)

// ErrClosed is returned when a journal is used after Close or Crash.
var ErrClosed = errors.New("journal: closed")

// A CorruptError says where a journal stops making sense.
type CorruptError struct {
	Path   string
	Offset int64  // in bytes from the start of the file; -1 when not known
	Index  uint64 // of the batch, counted from 1; 0 when it is no batch
	After  uint64 // the slot of the last pvalue in front of it; 0 when not known
	Why    string // such as "checksum is 9c0a31f2, want 51d27e00"
}

func (e *CorruptError) Error() string {
	where := ""
	if e.Index > 0 {
		where += fmt.Sprintf("batch %d: ", e.Index)
	}
	if e.Offset >= 0 {
		where += fmt.Sprintf("byte %d: ", e.Offset)
	}
	behind := ""
	if e.After > 0 {
		behind = fmt.Sprintf(", behind a pvalue of slot %d", e.After)
	}
	return fmt.Sprintf("journal %s: %s%s%s", e.Path, where, e.Why, behind)
}

// Hint tells the operator what to do about it.
func (e *CorruptError) Hint() string {
	return "This node no longer knows what it promised. Do not delete the file and restart: " +
		"give the machine an empty data directory and add it as a new member."
}

// A MissingError says that there is no journal where there must be one.
type MissingError struct {
	Path string // the directory
}

func (e *MissingError) Error() string { return fmt.Sprintf("journal %s: missing or empty", e.Path) }

// A LockedError says that another process has the journal open.
type LockedError struct {
	Path string // of the lock file
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("journal %s: in use by another process", e.Path)
}

// Hint tells the operator what to do about it.
func (e *LockedError) Hint() string {
	return "Another node runs on this data directory. Stop it (`fuser` or `lsof` on the lock file names " +
		"the process), or give this node a directory of its own. The file itself need not be removed."
}

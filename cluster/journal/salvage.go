package journal

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/pmmc-go/pmmc/messages"
)

// This file reads a journal that is not in use without changing anything: to check it, also
// on a read-only mount, and to save what stands in front of a damage.

// CheckDir reads all files of a journal that is not in use. It returns a *CorruptError for
// the first damage, and changes nothing.
func CheckDir(dir string) error { return Salvage(dir, func(*messages.Record) {}) }

// Salvage calls f with the records of a journal that is not in use, in the order in which
// they were appended, forgotten ones included. It stops in front of the first damage, for
// which it returns a *CorruptError. It changes nothing.
func Salvage(dir string, f func(*messages.Record)) error {
	m, err := loadMeta(dir)
	if err != nil {
		return err
	}
	b, err := readFile(filepath.Join(dir, markName))
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	s := &salvage{each: f}
	valid := s.mark.parse(b)
	switch {
	case m == nil && s.mark.index > 0:
		return unlisted(dir, s.mark.index)
	case m == nil:
		return refuseUnlisted(dir)
	case b == nil:
		return &CorruptError{Path: filepath.Join(dir, markName), Offset: -1, Why: "missing"}
	case !valid:
		return &CorruptError{Path: filepath.Join(dir, markName), Offset: 0, Why: "both copies are damaged"}
	}
	segments := m.segments()
	for i, info := range segments {
		t, err := readTail(dir, info, m.state.Salt)
		if err != nil {
			return err
		}
		if err := s.segment(t); err != nil {
			return err
		}
		if i == len(segments)-1 {
			return t.damage(s.mark.index)
		}
		if t.last != info.MaxIndex || t.indexStart != info.IndexStart {
			return t.corrupt(fmt.Sprintf("damaged or missing, but the segment ends with batch %d", info.MaxIndex))
		}
	}
	return nil
}

// ReadOwner is the owner of a journal that is not in use; zero if there is no journal.
func ReadOwner(dir string) (Owner, error) {
	m, err := loadMeta(dir)
	if m == nil || err != nil {
		return Owner{}, err
	}
	return m.owner(), nil
}

// HasFiles reports whether a directory holds a journal, or what is left of one.
func HasFiles(dir string) (bool, error) {
	err := refuseMissing(dir)
	if _, missing := err.(*MissingError); missing {
		return false, nil
	}
	return err == nil, err
}

// salvage reads segments one after the other.
type salvage struct {
	each  func(*messages.Record)
	mark  mark
	chain uint32 // of the last batch …
	any   bool   // … if there was one
}

// segment gives away the records of a segment, up to where it makes sense.
func (s *salvage) segment(t *tail) (err error) {
	t.eachEntry(t.end, func(at int, payload []byte) bool {
		h, _ := readHead(payload, t.salt)
		corrupt := func(why string) error {
			return &CorruptError{Path: t.path, Offset: int64(at), Index: h.index, Why: why}
		}
		switch {
		case s.any && h.prev != s.chain:
			err = corrupt(fmt.Sprintf("it follows a batch with checksum %08x, not %08x", h.prev, s.chain))
		case h.index == s.mark.index && h.chain != s.mark.chain:
			err = corrupt(fmt.Sprintf("another batch was acknowledged: head is %08x, want %08x", h.chain, s.mark.chain))
		default:
			s.chain, s.any = h.chain, true
			if failed := records(payload, h.count, func(rec *messages.Record) error { s.each(rec); return nil }); failed != nil {
				err = corrupt(failed.Error())
			}
		}
		return err == nil
	})
	return err
}

// PutAside renames the directory of a journal that no node may start on, and returns its new
// name. One that does not exist is nothing to put aside.
func PutAside(dir string) (aside string, err error) {
	for n := 1; ; n++ {
		aside = dir + ".damaged"
		if n > 1 {
			aside = fmt.Sprintf("%s-%d", aside, n)
		}
		if _, err := os.Lstat(aside); os.IsNotExist(err) {
			break
		}
	}
	switch err := os.Rename(dir, aside); {
	case os.IsNotExist(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("journal: put aside: %w", err)
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return "", fmt.Errorf("journal: put aside: %w", err)
	}
	return aside, nil
}

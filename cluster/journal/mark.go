package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

const (
	markName  = "acknowledged"
	markBytes = 16
	markApart = 4096 // the two copies lie in blocks of their own, so that no torn write takes both
)

// mark remembers which batch was acknowledged last, and so tells a torn tail, which
// nobody was promised anything about, from damage to what somebody was. It is
// written without a sync after each batch and before its dones: a process that is
// killed loses none of it, and a power cut what is younger than settleEvery.
//
// There are two copies, written in turns: index, head checksum of that batch,
// CRC-32C of the two.
type mark struct {
	f     *os.File
	index uint64
	chain uint32
	turn  int64
}

// openMark opens the mark of an old journal, or makes that of a new one.
func openMark(dir string, fresh bool) (*mark, error) {
	path := filepath.Join(dir, markName)
	b, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	m := new(mark)
	valid := m.parse(b)
	switch {
	case fresh && m.index > 0:
		return nil, unlisted(dir, m.index)
	case !fresh && b == nil:
		return nil, &CorruptError{Path: path, Offset: -1, Why: "missing"}
	case !fresh && !valid:
		return nil, &CorruptError{Path: path, Offset: 0, Why: "both copies are damaged"}
	case fresh:
		// Nothing was ever acknowledged. A file that is half there is made again.
		empty := make([]byte, markApart+markBytes)
		encodeMark(empty, 0, 0)
		encodeMark(empty[markApart:], 0, 0)
		if err := replaceFile(dir, markName, empty); err != nil {
			return nil, fmt.Errorf("journal: %w", err)
		}
	}
	m.f, err = os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return m, nil
}

// unlisted is the error for a journal without its list of segments.
func unlisted(dir string, acknowledged uint64) error {
	return &CorruptError{
		Path: filepath.Join(dir, metaName), Offset: -1,
		Why: fmt.Sprintf("missing, but batch %d was acknowledged", acknowledged),
	}
}

// parse reads the newer one of the copies, or returns false when neither is whole.
func (m *mark) parse(b []byte) (valid bool) {
	for turn := range int64(2) {
		at := int(turn) * markApart
		if len(b) < at+markBytes {
			break
		}
		c := b[at : at+markBytes]
		if binary.LittleEndian.Uint32(c[12:]) != crc32.Checksum(c[:12], castagnoli) {
			continue
		}
		if index := binary.LittleEndian.Uint64(c); !valid || index > m.index {
			m.index, m.chain, m.turn = index, binary.LittleEndian.Uint32(c[8:]), 1-turn
		}
		valid = true
	}
	return valid
}

func encodeMark(b []byte, index uint64, chain uint32) {
	binary.LittleEndian.PutUint64(b, index)
	binary.LittleEndian.PutUint32(b[8:], chain)
	binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b[:12], castagnoli))
}

// set marks a batch that is durable.
func (m *mark) set(index uint64, chain uint32) error {
	var b [markBytes]byte
	encodeMark(b[:], index, chain)
	if _, err := m.f.WriteAt(b[:], m.turn*markApart); err != nil {
		return fmt.Errorf("write the mark: %w", err)
	}
	m.index, m.chain, m.turn = index, chain, 1-m.turn
	return nil
}

func (m *mark) settle() error { return syncData(m.f) }

func (m *mark) close() error {
	if err := m.f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

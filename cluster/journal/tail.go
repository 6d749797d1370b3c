package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"github.com/pmmc-go/pmmc/messages"
)

// raft-wal's format, as far as its tail must be read: a file header of 32 bytes,
// then frames of a header of 8 bytes and a payload that is padded to 8 bytes. One
// StoreLogs of ours is an entry frame, an index frame if it filled the segment,
// and a commit frame with the CRC-32C of all bytes since the commit frame before.
const (
	fileHeaderBytes  = 32
	frameHeaderBytes = 8
	fileMagic        = 0x58eb6b0d

	frameEntry  = 1
	frameIndex  = 2
	frameCommit = 3
)

// tail is the segment that was being written when the journal was last used.
// raft-wal reads it leniently: what doesn't look right ends the log there, whether
// it was acknowledged or not. So it is read here first, strictly, and raft-wal
// finds it with nothing behind the last whole batch but zeros.
type tail struct {
	path string
	info types.SegmentInfo
	salt salt
	b    []byte

	last       uint64 // the last whole batch
	chain      uint32 // its head's checksum
	from       int    // where the write of the last whole batch begins, in bytes
	end        int    // where it ends
	indexStart uint64 // where raft-wal's index begins; 0 when the segment is not full
}

// readTail reads the segment as far as it makes sense. A segment that isn't there
// is as one in which nothing was written yet; b is nil then.
func readTail(dir string, info types.SegmentInfo, s salt) (*tail, error) {
	t := &tail{path: filepath.Join(dir, segment.FileName(info)), info: info, salt: s, last: info.BaseIndex - 1}
	var err error
	if t.b, err = readFile(t.path); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	t.b = withoutZeros(t.b)
	if !t.headerFits() {
		return t, nil
	}
	for at := fileHeaderBytes; t.step(at); at = t.end {
	}
	return t, nil
}

// withoutZeros is b without the zeros at its end, but for those that complete a
// frame: most of a preallocated segment, which none need look at twice.
func withoutZeros(b []byte) []byte {
	const block = 4096
	zeros, end := make([]byte, block), len(b)
	for end >= block && bytes.Equal(b[end-block:end], zeros) {
		end -= block
	}
	n := len(bytes.TrimRight(b[:end], "\x00"))
	return b[:min(len(b), (n+7)&^7)]
}

func (t *tail) headerFits() bool {
	return len(t.b) >= fileHeaderBytes &&
		binary.LittleEndian.Uint64(t.b) == fileMagic &&
		binary.LittleEndian.Uint64(t.b[8:]) == t.info.BaseIndex &&
		binary.LittleEndian.Uint64(t.b[16:]) == t.info.ID &&
		binary.LittleEndian.Uint64(t.b[24:]) == t.info.Codec
}

// step takes in the write at a byte, if it is whole and the next one.
func (t *tail) step(at int) bool {
	if t.indexStart > 0 {
		return false
	}
	payload, next, ok := t.frame(at, frameEntry)
	if !ok {
		return false
	}
	h, why := checkBatch(payload, t.salt, t.last+1)
	if why != "" || t.end > 0 && h.prev != t.chain {
		return false
	}
	indexStart := uint64(0)
	if _, behind, ok := t.frame(next, frameIndex); ok {
		indexStart, next = uint64(next+frameHeaderBytes), behind
	}
	commit, ok := t.frameHeader(next, frameCommit)
	summed := t.end // the first sum includes the file's header
	if !ok || commit != crc32.Checksum(t.b[summed:next], castagnoli) {
		return false
	}
	t.from, t.end = at, next+frameHeaderBytes
	t.last, t.chain, t.indexStart = h.index, h.chain, indexStart
	return true
}

// frameHeader returns the number in the header of a frame of that type.
func (t *tail) frameHeader(at int, typ byte) (uint32, bool) {
	if at+frameHeaderBytes > len(t.b) || t.b[at] != typ {
		return 0, false
	}
	return binary.LittleEndian.Uint32(t.b[at+4:]), true
}

// frame returns the payload of a frame and where the next one begins.
func (t *tail) frame(at int, typ byte) (payload []byte, next int, ok bool) {
	n, ok := t.frameHeader(at, typ)
	if !ok {
		return nil, 0, false
	}
	start := at + frameHeaderBytes
	next = start + (int(n)+7)&^7
	if next > len(t.b) {
		return nil, 0, false
	}
	return t.b[start : start+int(n)], next, true
}

// damage returns a *CorruptError if something acknowledged is missing: a batch is
// written only after the one before was synced, so a head of batch last+2 shows
// that last+1 was.
func (t *tail) damage(acknowledged uint64) error {
	if acknowledged > t.last {
		if t.b == nil {
			return t.corrupt(fmt.Sprintf("the file is missing, but batch %d was acknowledged", acknowledged))
		}
		return t.corrupt(fmt.Sprintf("damaged or missing, but batch %d was acknowledged", acknowledged))
	}
	for at := t.end; at+headBytes <= len(t.b); at += frameHeaderBytes {
		if h, ok := readHead(t.b[at:], t.salt); ok && h.index > t.last+1 {
			return t.corrupt(fmt.Sprintf("damaged, but batch %d was written behind it, at byte %d", h.index, at))
		}
	}
	return nil
}

// corrupt is the error for what stands behind the last whole batch.
func (t *tail) corrupt(why string) error {
	return &CorruptError{Path: t.path, Offset: int64(t.end), Index: t.last + 1, After: t.lastSlot(), Why: why}
}

// lastSlot is the slot of the last pvalue that could be read; 0 if there is none.
func (t *tail) lastSlot() (slot uint64) {
	t.eachEntry(t.end, func(_ int, payload []byte) bool {
		h, ok := readHead(payload, t.salt)
		if !ok {
			return false
		}
		err := records(payload, h.count, func(rec *messages.Record) error {
			if v := rec.GetPvalue(); v != nil {
				slot = v.Slot
			}
			return nil
		})
		return err == nil
	})
	return slot
}

// eachEntry calls f with where each entry in front of a byte begins, and what is in it, for
// as long as f wants more and lengths make sense.
func (t *tail) eachEntry(end int, f func(at int, payload []byte) bool) {
	for at := fileHeaderBytes; at < end; {
		if payload, next, ok := t.frame(at, frameEntry); ok {
			if !f(at, payload) {
				return
			}
			at = next
			continue
		}
		if _, next, ok := t.frame(at, frameIndex); ok {
			at = next
			continue
		}
		if _, ok := t.frameHeader(at, frameCommit); !ok {
			return
		}
		at += frameHeaderBytes
	}
}

// mend makes what was read durable and the rest zero. The last batch is written
// once more before the sync if it isn't known to have been acknowledged: its
// writer may have died of a failed fsync, which leaves pages that look clean and
// are on no disk. It tells how many bytes it cut off.
func (t *tail) mend(acknowledged uint64) (cut int, err error) {
	if t.b == nil {
		return 0, nil
	}
	f, err := os.OpenFile(t.path, os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("journal: %w", err)
	}
	if t.last > acknowledged && t.end > 0 {
		from := t.from
		if t.last == t.info.BaseIndex {
			from = 0 // the file's header was part of that write
		}
		_, err = f.WriteAt(t.b[from:t.end], int64(from))
	}
	if torn := bytes.TrimRight(t.b[t.end:], "\x00"); err == nil && len(torn) > 0 {
		cut = len(torn)
		_, err = f.WriteAt(make([]byte, cut), int64(t.end))
	}
	err = errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(t.path)))
	if err != nil {
		return 0, fmt.Errorf("journal: mend %s: %w", t.path, err)
	}
	return cut, nil
}

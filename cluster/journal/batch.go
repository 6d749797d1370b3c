package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// A batch is what is written and synced at once: the payload of one entry of the
// log, whose index is the batch's number.
//
//	0        4        8                 16       20       24       28       32
//	+--------+--------+-----------------+--------+--------+--------+--------+------
//	| magic  | head   | index           | prev   | sum    | length | count  | body
//	+--------+--------+-----------------+--------+--------+--------+--------+------
//
// head is the CRC-32C of the journal's salt and of bytes 8 to 32, sum that of the
// body, prev the head of the batch before. So head stands for the whole journal up
// to here. The body is count records, each behind its length in four bytes. All
// numbers are little-endian.
const (
	headBytes = 32
	magic     = 0x6a6d6d70 // "pmmj"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// salt is drawn once for each journal, so that nothing that clients can put into
// a record, and nothing from another journal, passes for a batch of this one.
type salt [8]byte

type head struct {
	index  uint64
	prev   uint32
	sum    uint32
	length uint32
	count  uint32
	chain  uint32 // the head field: what the next batch's prev must be
}

// readHead returns the head that b starts with, or false when there is none.
func readHead(b []byte, s salt) (head, bool) {
	if len(b) < headBytes || binary.LittleEndian.Uint32(b) != magic {
		return head{}, false
	}
	h := head{
		chain:  binary.LittleEndian.Uint32(b[4:]),
		index:  binary.LittleEndian.Uint64(b[8:]),
		prev:   binary.LittleEndian.Uint32(b[16:]),
		sum:    binary.LittleEndian.Uint32(b[20:]),
		length: binary.LittleEndian.Uint32(b[24:]),
		count:  binary.LittleEndian.Uint32(b[28:]),
	}
	return h, h.chain == headSum(b, s)
}

func headSum(b []byte, s salt) uint32 {
	return crc32.Update(crc32.Checksum(s[:], castagnoli), castagnoli, b[8:headBytes])
}

// checkBatch returns the head of the batch b, or says why b is not batch index.
func checkBatch(b []byte, s salt, index uint64) (h head, why string) {
	h, ok := readHead(b, s)
	switch {
	case !ok:
		return h, "no batch starts here, or its head is damaged"
	case h.index != index:
		return h, fmt.Sprintf("batch %d stands here", h.index)
	case int(h.length) != len(b)-headBytes:
		return h, fmt.Sprintf("body has %d bytes, want %d", len(b)-headBytes, h.length)
	}
	if sum := crc32.Checksum(b[headBytes:], castagnoli); sum != h.sum {
		return h, fmt.Sprintf("checksum is %08x, want %08x", sum, h.sum)
	}
	return h, ""
}

// records calls f with each record of a checked batch, or says why it can't.
func records(b []byte, count uint32, f func(*messages.Record) error) error {
	b = b[headBytes:]
	for range count {
		if len(b) < 4 {
			return fmt.Errorf("body ends early")
		}
		n := uint64(binary.LittleEndian.Uint32(b))
		if b = b[4:]; n > uint64(len(b)) {
			return fmt.Errorf("a record ends behind the body")
		}
		rec := new(messages.Record)
		if err := proto.Unmarshal(b[:n], rec); err != nil {
			return fmt.Errorf("a record is malformed: %w", err)
		}
		if err := f(rec); err != nil {
			return err
		}
		b = b[n:]
	}
	if len(b) > 0 {
		return fmt.Errorf("%d bytes behind the last record", len(b))
	}
	return nil
}

// encoder builds batches in one buffer, which it uses again and again.
type encoder struct {
	buf   []byte
	count uint32
}

func (e *encoder) reset() {
	if cap(e.buf) > 2*batchBytes {
		e.buf = nil // one huge record must not hold its memory for ever
	}
	if e.buf == nil {
		e.buf = make([]byte, 0, 64<<10)
	}
	e.buf, e.count = e.buf[:headBytes], 0
}

func (e *encoder) add(rec *messages.Record) error {
	if rec.Kind == nil {
		return fmt.Errorf("journal: a record of %q has no kind", rec.Owner)
	}
	at := len(e.buf)
	buf, err := proto.MarshalOptions{}.MarshalAppend(append(e.buf, 0, 0, 0, 0), rec)
	if err != nil {
		return fmt.Errorf("journal: encode a record of %q: %w", rec.Owner, err)
	}
	n := len(buf) - at - 4
	if n > maxRecordBytes {
		return fmt.Errorf("journal: a record of %q has %d bytes, limit %d", rec.Owner, n, maxRecordBytes)
	}
	binary.LittleEndian.PutUint32(buf[at:], uint32(n))
	e.buf = buf
	e.count++
	return nil
}

// seal completes the batch and returns it with its head's checksum. The bytes are
// the encoder's and change with the next reset.
func (e *encoder) seal(s salt, index uint64, prev uint32) ([]byte, uint32) {
	b := e.buf
	binary.LittleEndian.PutUint32(b, magic)
	binary.LittleEndian.PutUint64(b[8:], index)
	binary.LittleEndian.PutUint32(b[16:], prev)
	binary.LittleEndian.PutUint32(b[20:], crc32.Checksum(b[headBytes:], castagnoli))
	binary.LittleEndian.PutUint32(b[24:], uint32(len(b)-headBytes))
	binary.LittleEndian.PutUint32(b[28:], e.count)
	chain := headSum(b, s)
	binary.LittleEndian.PutUint32(b[4:], chain)
	return b, chain
}

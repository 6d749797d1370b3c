package kv

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/pmmc-go/pmmc/cluster"
)

// snapshotSector is what the length of a file that holds a snapshot is a multiple of,
// less its checksum: that is how etcd's tools tell a whole file.
const snapshotSector = 512

// WriteFile writes a file that holds a snapshot: behind it, zeros up to a multiple of
// snapshotSector, then the SHA-256 of all. Restore ends where the snapshot does, so it
// takes such a file as it is.
func WriteFile(w io.Writer, snapshot io.WriterTo) error {
	sum := sha256.New()
	both := io.MultiWriter(w, sum)
	n, err := snapshot.WriteTo(both)
	if err == nil {
		_, err = both.Write(make([]byte, padding(n)))
	}
	if err == nil {
		_, err = w.Write(sum.Sum(nil))
	}
	return err
}

// padding is how many bytes there are to the next multiple of snapshotSector.
func padding(n int64) int64 { return (snapshotSector - n%snapshotSector) % snapshotSector }

// Contents is what a file that holds a snapshot tells about itself.
type Contents struct {
	Executed  uint64 // slots below this are in it
	Revision  int64
	Compacted int64 // the history below this revision is gone; -1 for none
	Keys      int64 // live ones
	Versions  int64 // of keys, live or not
	Records   []cluster.Record
	Bytes     int64
	Hash      [sha256.Size]byte // of all, as its last bytes say
}

// Inspect reads a file that holds a snapshot, from its start to its end, and checks
// all of it. An error has ErrSnapshot in its chain and says at which byte.
func Inspect(r io.Reader) (*Contents, error) {
	in := &inspected{r: r, sum: sha256.New()}
	c := new(Contents)
	err := in.contents(c)
	if err == nil {
		err = in.seal(c)
	}
	if err != nil && !errors.Is(err, ErrSnapshot) {
		err = fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w, at byte %d", err, in.offset)
	}
	c.Bytes = in.offset
	return c, nil
}

// inspected counts what is read of a file, and sums it.
type inspected struct {
	r      io.Reader
	sum    hash.Hash
	offset int64
}

func (in *inspected) Read(b []byte) (int, error) {
	n, err := in.r.Read(b)
	_, _ = in.sum.Write(b[:n]) // a hash takes all
	in.offset += int64(n)
	return n, err
}

// contents reads the snapshot.
func (in *inspected) contents(c *Contents) error {
	p, err := readHeader(in)
	if err != nil {
		return err
	}
	c.Executed, c.Revision, c.Compacted = p.executed, p.revision, p.compacted
	if err := readFrames(in, func(frame []byte) (uint64, error) { return readFrame(frame, c.count) }); err != nil {
		return err
	}
	return checkSum(in, in.sum)
}

func (c *Contents) count(key, value []byte) error {
	switch key[0] {
	case spaceLatest:
		c.Keys++
	case spaceVersion:
		c.Versions++
	case spaceRecord:
		c.Records = append(c.Records, cluster.Record{Key: string(key[1:]), Value: bytes.Clone(value)})
	}
	return nil
}

// seal reads what is behind the snapshot, to the end of the file.
func (in *inspected) seal(c *Contents) error {
	zeros := make([]byte, padding(in.offset))
	if err := readFull(in, zeros, "zeros behind the snapshot"); err != nil {
		return err
	}
	if rest := bytes.TrimLeft(zeros, "\x00"); len(rest) > 0 {
		return fmt.Errorf("%w: %q behind the snapshot, want zeros", ErrSnapshot, rest)
	}
	in.sum.Sum(c.Hash[:0])
	if err := checkSum(in, in.sum); err != nil {
		return err
	}
	switch n, err := io.CopyN(io.Discard, in, 1); {
	case n > 0:
		return fmt.Errorf("%w: something follows its end", ErrSnapshot)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// readHeader reads how a snapshot begins.
func readHeader(in io.Reader) (position, error) {
	header := make([]byte, len(snapshotMagic)+positionBytes)
	if err := readFull(in, header, "header"); err != nil {
		return position{}, err
	}
	if !bytes.HasPrefix(header, []byte(snapshotMagic)) {
		return position{}, fmt.Errorf("%w: begins with %q, want %q", ErrSnapshot, header[:len(snapshotMagic)], snapshotMagic)
	}
	return parsePosition(header[len(snapshotMagic):])
}

// readFrames reads the frames, whose entries each counts, and their number.
func readFrames(in io.Reader, each func(frame []byte) (entries uint64, err error)) error {
	var number [8]byte
	var frame bytes.Buffer
	entries := uint64(0)
	for {
		if err := readFull(in, number[:4], "length of a frame"); err != nil {
			return err
		}
		length := int64(binary.BigEndian.Uint32(number[:4]))
		if length == 0 {
			break
		}
		if length > snapshotMaxFrame {
			return fmt.Errorf("%w: frame of %d bytes", ErrSnapshot, length)
		}
		// Copied rather than allocated ahead: a damaged length costs no memory.
		frame.Reset()
		if n, err := io.CopyN(&frame, in, length); err != nil {
			return fmt.Errorf("%w: frame ends after %d of %d bytes: %w", ErrSnapshot, n, length, err)
		}
		n, err := each(frame.Bytes())
		if err != nil {
			return err
		}
		entries += n
	}
	if err := readFull(in, number[:], "number of entries"); err != nil {
		return err
	}
	if want := binary.BigEndian.Uint64(number[:]); entries != want {
		return fmt.Errorf("%w: %d entries, want %d", ErrSnapshot, entries, want)
	}
	return nil
}

// readFrame takes a frame apart.
func readFrame(frame []byte, each func(key, value []byte) error) (entries uint64, err error) {
	for rest := frame; len(rest) > 0; entries++ {
		var key, value []byte
		var ok bool
		if key, rest, ok = cutBytes(rest); !ok || len(key) == 0 {
			return 0, fmt.Errorf("%w: entry %d of a frame is cut in its key", ErrSnapshot, entries)
		}
		if value, rest, ok = cutBytes(rest); !ok {
			return 0, fmt.Errorf("%w: entry %d of a frame is cut in its value", ErrSnapshot, entries)
		}
		if err := each(key, value); err != nil {
			return 0, err
		}
	}
	return entries, nil
}

// checkSum compares the sum of what was read with the one that follows.
func checkSum(in io.Reader, sum hash.Hash) error {
	computed := sum.Sum(nil)
	checksum := make([]byte, len(computed))
	if err := readFull(in, checksum, "checksum"); err != nil {
		return err
	}
	if !bytes.Equal(checksum, computed) {
		return fmt.Errorf("%w: checksum is %x, want %x", ErrSnapshot, computed[:8], checksum[:8])
	}
	return nil
}

// cutBytes takes bytes off that follow their length.
func cutBytes(b []byte) (taken, rest []byte, ok bool) {
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) {
		return nil, nil, false
	}
	end := n + int(length)
	return b[n:end], b[end:], true
}

func readFull(r io.Reader, b []byte, what string) error {
	if _, err := io.ReadFull(r, b); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSnapshot, what, err)
	}
	return nil
}

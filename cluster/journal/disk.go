package journal

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"github.com/pmmc-go/pmmc/cluster/diskfull"
)

// disk keeps batches in a directory, one entry of raft-wal each.
type disk struct {
	dir    string
	logger hclog.Logger
	seed   salt // the meta's, which is replaced by another goroutine
	lock   io.Closer
	room   *diskfull.Retrier
	meta   *meta
	mark   *mark
	wal    *wal.WAL
}

// openDisk opens a journal, or makes one. vfs is where raft-wal writes.
func openDisk(o Options, vfs types.VFS) (_ *disk, err error) {
	if o.Existing {
		if err := refuseMissing(o.Dir); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	d := &disk{dir: o.Dir, logger: o.Logger, room: diskfull.New(o.Logger)}
	if d.lock, err = lockDir(o.Dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.meta, err = loadMeta(o.Dir); err != nil {
		return nil, err
	}
	if d.meta != nil {
		d.meta.room = d.room
	}
	if d.mark, err = openMark(o.Dir, d.meta == nil); err != nil {
		return nil, err
	}
	if d.meta == nil {
		err = d.begin(o.Existing)
	} else {
		d.seed = d.meta.state.Salt
		err = d.recoverTail()
	}
	if err != nil {
		return nil, err
	}
	d.wal, err = wal.Open(o.Dir,
		wal.WithMetaStore(d.meta),
		wal.WithSegmentFiler(filer{segment.NewFiler(o.Dir, roomy{vfs, d.room}), d.meta, d.room}),
		wal.WithSegmentSize(o.SegmentBytes),
		wal.WithCodec(plain{}),
		wal.WithLogger(o.Logger))
	if errors.Is(err, types.ErrCorrupt) || errors.Is(err, os.ErrNotExist) {
		return nil, &CorruptError{Path: o.Dir, Offset: -1, Why: err.Error()}
	}
	if err != nil {
		return nil, fmt.Errorf("journal: open %s: %w", o.Dir, err)
	}
	d.room.Begin()
	return d, nil
}

// refuseMissing refuses a directory that does not exist, or holds nothing but a lock.
func refuseMissing(dir string) error {
	names, err := files{}.ListDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &MissingError{Path: dir}
	case err != nil:
		return fmt.Errorf("journal: %w", err)
	case !slices.ContainsFunc(names, func(name string) bool { return name != lockFile }):
		return &MissingError{Path: dir}
	}
	return nil
}

// begin prepares a new journal, unless there must be one. Segments without a list of them
// are no new journal, and raft-wal would delete them.
func (d *disk) begin(existing bool) error {
	if err := refuseUnlisted(d.dir); err != nil {
		return err
	}
	if existing {
		return &MissingError{Path: d.dir}
	}
	if _, err := rand.Read(d.seed[:]); err != nil {
		return fmt.Errorf("journal: draw a salt: %w", err)
	}
	d.meta = &meta{dir: d.dir, room: d.room, state: metaState{Salt: d.seed}}
	return nil
}

// refuseUnlisted refuses a directory that has segments though it has no list of them.
func refuseUnlisted(dir string) error {
	names, err := files{}.ListDir(dir)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".wal") {
			path := filepath.Join(dir, metaName)
			return &CorruptError{Path: path, Offset: -1, Why: "missing, but there are segments, such as " + name}
		}
	}
	return nil
}

// recoverTail checks and mends the tail, and completes what a crash may have left
// undone: a full segment that has no successor yet. raft-wal would refuse every
// append behind one.
func (d *disk) recoverTail() error {
	p, err := d.meta.Load(d.dir)
	if err != nil {
		return err
	}
	info := p.Segments[len(p.Segments)-1]
	t, err := readTail(d.dir, info, d.salt())
	if err != nil {
		return err
	}
	if err := t.damage(d.mark.index); err != nil {
		return err
	}
	cut, err := t.mend(d.mark.index)
	if err != nil {
		return err
	}
	if cut > 0 {
		d.logger.Warn("cut off a write that was never acknowledged", "path", t.path, "after", t.last, "bytes", cut)
	}
	if t.indexStart == 0 {
		return nil
	}
	full := info
	full.MaxIndex, full.IndexStart, full.SealTime = t.last, t.indexStart, time.Now()
	next := types.SegmentInfo{
		ID: p.NextSegmentID, BaseIndex: t.last + 1, MinIndex: t.last + 1,
		Codec: info.Codec, CreateTime: full.SealTime, SizeLimit: info.SizeLimit,
	}
	p.NextSegmentID++
	p.Segments = append(slices.Clone(p.Segments[:len(p.Segments)-1]), full, next)
	if err := d.meta.CommitState(p); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

func (d *disk) salt() salt { return d.seed }

func (d *disk) bounds() (first, last uint64, err error) {
	last, err = d.wal.LastIndex()
	if err != nil {
		return 0, 0, fmt.Errorf("journal: %w", err)
	}
	return d.meta.segments()[0].MinIndex, last, nil
}

func (d *disk) acknowledged() (uint64, uint32) { return d.mark.index, d.mark.chain }

func (d *disk) recovered(index uint64, chain uint32) error {
	if index == 0 {
		return nil
	}
	if err := d.mark.set(index, chain); err != nil {
		return err
	}
	return d.mark.settle()
}

func (d *disk) write(index uint64, chain uint32, b []byte) error {
	if err := d.wal.StoreLogs([]*raft.Log{{Index: index, Data: b}}); err != nil {
		return errors.Join(err, d.meta.failure())
	}
	return d.room.Try("the mark", func() error { return d.mark.set(index, chain) })
}

func (d *disk) owner() Owner { return d.meta.owner() }

func (d *disk) own(o Owner) error { return d.meta.own(o) }

func (d *disk) settle() error { return d.mark.settle() }

func (d *disk) read(index uint64) ([]byte, error) {
	var l raft.Log
	if err := d.wal.GetLog(index, &l); err != nil {
		return nil, d.corrupt(index, err.Error())
	}
	return l.Data, nil
}

// cutPoint spares the tail: a segment that is full but has no successor yet is one.
func (d *disk) cutPoint(live uint64) (through uint64) {
	for _, s := range d.meta.segments() {
		if s.MaxIndex == 0 || s.MaxIndex >= live {
			break
		}
		through = s.MaxIndex
	}
	return through
}

func (d *disk) cut(through uint64) error {
	if err := d.wal.DeleteRange(d.meta.segments()[0].MinIndex, through); err != nil {
		return errors.Join(err, d.meta.failure())
	}
	return nil
}

func (d *disk) usage() (bytes int64, segments int) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return 0, 0
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // else it was just cut
			bytes += info.Size()
		}
	}
	return bytes, len(d.meta.segments())
}

func (d *disk) segments() int { return len(d.meta.segments()) }

// corrupt names the segment of a batch and the byte at which it begins.
func (d *disk) corrupt(index uint64, why string) error {
	e := &CorruptError{Path: d.dir, Offset: -1, Index: index, Why: why}
	for _, s := range d.meta.segments() {
		if index < s.BaseIndex || s.MaxIndex > 0 && index > s.MaxIndex {
			continue
		}
		e.Path = filepath.Join(d.dir, segment.FileName(s))
		if s.IndexStart == 0 {
			e.Offset = d.offsetInTail(e.Path, index-s.BaseIndex)
			continue
		}
		if f, err := os.Open(e.Path); err == nil {
			var b [4]byte
			if _, err := f.ReadAt(b[:], int64(s.IndexStart+4*(index-s.BaseIndex))); err == nil {
				e.Offset = int64(binary.LittleEndian.Uint32(b[:]))
			}
			_ = f.Close() // it was only read
		}
	}
	return e
}

// offsetInTail finds the n-th batch of a segment that has no index yet; -1 if it can't.
func (d *disk) offsetInTail(path string, n uint64) int64 {
	b, err := readFile(path)
	if err != nil {
		return -1
	}
	offset := int64(-1)
	t := &tail{b: b, salt: d.salt()}
	t.eachEntry(len(b), func(at int, _ []byte) bool {
		if n == 0 {
			offset = int64(at)
			return false
		}
		n--
		return true
	})
	return offset
}

func (d *disk) fullSince() time.Time { return d.room.Since() }

func (d *disk) abandon() {}

func (d *disk) giveUp() { d.room.GiveUp() }

func (d *disk) close() error {
	var err error
	if d.wal != nil {
		err = d.wal.Close()
	}
	if d.mark != nil {
		err = errors.Join(err, d.mark.close())
	}
	return errors.Join(err, d.lock.Close())
}

// plain is the codec of our entries: the batch itself, which carries its index and
// checksum. raft-wal's own panics on damaged bytes.
type plain struct{}

const codecID = 0x706d6d636a6e6c31 // "pmmcjnl1"

// ID is written to each segment and to the list of them.
func (plain) ID() uint64 { return codecID }

// filer says which codec a new segment is written with. raft-wal says its own even
// if it uses another one, and then refuses the segment when it is opened again. And
// filer keeps the error when there is no room for one, which raft-wal only logs.
type filer struct {
	*segment.Filer
	meta *meta
	room *diskfull.Retrier
}

func (f filer) Create(info types.SegmentInfo) (types.SegmentWriter, error) {
	info.Codec = codecID
	var w types.SegmentWriter
	err := f.room.Try("a new segment", func() (err error) {
		w, err = f.Filer.Create(info)
		return err
	})
	if err != nil {
		f.meta.fail(fmt.Errorf("make a segment of %d bytes: %w", info.SizeLimit, err))
	}
	return w, err
}

// Encode lends the batch to raft-wal's buffer, which is empty: raft-wal copies it once
// more, to where it writes from, and then has done with it.
func (plain) Encode(l *raft.Log, w io.Writer) error {
	if buffer, ok := w.(*bytes.Buffer); ok && buffer.Len() == 0 {
		*buffer = *bytes.NewBuffer(l.Data)
		return nil
	}
	_, err := w.Write(l.Data)
	return err
}

// Decode copies the batch, for b is used again.
func (plain) Decode(b []byte, l *raft.Log) error {
	l.Data = append(l.Data[:0], b...)
	return nil
}

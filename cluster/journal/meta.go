package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"
	"sync"

	"github.com/hashicorp/raft-wal/types"

	"github.com/pmmc-go/pmmc/cluster/diskfull"
)

const metaName = "segments.json"

// meta is the list of segments, for raft-wal and for us: a small file, replaced as
// a whole when a segment is added or cut. raft-wal's own is a bbolt file, which
// has no checksums over its data, waits for its lock for ever, and is not closed.
//
// The file is the checksum of what follows as eight hexadecimal digits, a line
// feed, and JSON.
type meta struct {
	dir  string
	room *diskfull.Retrier

	committing sync.Mutex // held while the file is written

	mu    sync.Mutex // never held while the disk works, which may hang
	state metaState
	err   error // what failed when a segment was added; raft-wal only logs it
}

type metaState struct {
	Salt  salt
	Owner Owner // zero from an earlier version
	types.PersistentState
}

var _ types.MetaStore = (*meta)(nil)

// loadMeta returns nil when there is no such file.
func loadMeta(dir string) (*meta, error) {
	path := filepath.Join(dir, metaName)
	b, err := readFile(path)
	if b == nil || err != nil {
		return nil, err
	}
	corrupt := func(why string) error { return &CorruptError{Path: path, Offset: 0, Why: why} }
	if len(b) < 9 {
		return nil, corrupt(fmt.Sprintf("only %d bytes long", len(b)))
	}
	if got, want := string(b[:9]), metaSum(b[9:]); got != want {
		return nil, corrupt(fmt.Sprintf("checksum is %q, want %q", got, want))
	}
	m := &meta{dir: dir}
	if err := json.Unmarshal(b[9:], &m.state); err != nil {
		return nil, corrupt(err.Error())
	}
	if len(m.state.Segments) == 0 {
		return nil, corrupt("lists no segments")
	}
	return m, nil
}

func metaSum(b []byte) string { return fmt.Sprintf("%08x\n", crc32.Checksum(b, castagnoli)) }

// segments returns the list, which must not be changed.
func (m *meta) segments() []types.SegmentInfo {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Segments
}

// fail keeps an error of something that raft-wal does in the background.
func (m *meta) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = errors.Join(m.err, err)
}

// failure is what went wrong in the background.
func (m *meta) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// Load returns the state that loadMeta read.
func (m *meta) Load(string) (types.PersistentState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.PersistentState, nil
}

// CommitState replaces the list durably.
func (m *meta) CommitState(p types.PersistentState) error {
	p.Segments = slices.Clone(p.Segments)
	for i := range p.Segments {
		p.Segments[i].Codec = codecID // see filer
	}
	err := m.replace(func(next *metaState) { next.PersistentState = p }, func(write func() error) error {
		return m.room.Try("the list of segments", write)
	})
	if err != nil {
		m.fail(fmt.Errorf("write the list of segments: %w", err))
	}
	return err
}

// own replaces the owner durably. A start on a full disk fails rather than waits.
func (m *meta) own(o Owner) error {
	return m.replace(func(next *metaState) { next.Owner = o }, func(write func() error) error { return write() })
}

// owner is the owner that was written last.
func (m *meta) owner() Owner {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Owner
}

// replace writes the file with a change; try calls write.
func (m *meta) replace(change func(*metaState), try func(write func() error) error) error {
	m.committing.Lock()
	defer m.committing.Unlock()
	m.mu.Lock()
	next := m.state
	m.mu.Unlock()
	change(&next)
	b, err := json.Marshal(next)
	if err == nil {
		b = append([]byte(metaSum(b)), b...)
		err = try(func() error { return replaceFile(m.dir, metaName, b) })
	}
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = next
	return nil
}

var errNoStable = errors.New("journal: keeps no values beside the log")

// GetStable is not offered: the journal uses raft-wal for its log only.
func (m *meta) GetStable([]byte) ([]byte, error) { return nil, errNoStable }

// SetStable is not offered either.
func (m *meta) SetStable(_, _ []byte) error { return errNoStable }

// Close does nothing: the file is open only while it is written.
func (m *meta) Close() error { return nil }

package journal

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// Memory is a disk that forgets what was not synced, for tests. It outlives the
// Log that is opened on it: after Crash or Close, open it again.
type Memory struct {
	sync func(context.Context) error

	mu    sync.Mutex
	parts []*memorySegment // the last one is being filled
	whose Owner
	open  bool
}

type memorySegment struct {
	first   uint64
	bytes   int
	batches [][]byte
}

// NewMemory makes an empty Memory. sync, unless nil, is called by the writer
// between a write and its durability: it may take its time, until its context ends
// with a Crash, and its error is a failed fsync. What is being synced when a Crash
// comes is lost.
func NewMemory(sync func(context.Context) error) *Memory {
	if sync == nil {
		sync = func(context.Context) error { return nil }
	}
	return &Memory{sync: sync, parts: []*memorySegment{{first: 1}}}
}

// Open opens the journal that m holds. Options.Dir is not used. It returns a
// *LockedError while a Log is open on m.
func (m *Memory) Open(o Options) (*Log, error) {
	return o.open(func() (store, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.open {
			return nil, &LockedError{Path: "memory"}
		}
		m.open = true
		ctx, crash := context.WithCancel(context.Background())
		return &memoryStore{Memory: m, segmentBytes: o.SegmentBytes, ctx: ctx, crash: crash}, nil
	})
}

// memoryStore is a Memory while it is open.
type memoryStore struct {
	*Memory
	segmentBytes int
	ctx          context.Context // ends with a crash
	crash        context.CancelFunc
}

func (m *memoryStore) salt() salt { return salt{} }

func (m *memoryStore) bounds() (first, last uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	tail := m.parts[len(m.parts)-1]
	return m.parts[0].first, tail.end(), nil
}

func (s *memorySegment) end() uint64 { return s.first + uint64(len(s.batches)) - 1 }

func (m *memoryStore) acknowledged() (uint64, uint32) { return 0, 0 }

func (m *memoryStore) recovered(uint64, uint32) error { return nil }

func (m *memoryStore) write(index uint64, _ uint32, b []byte) error {
	if err := m.sync(m.ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ctx.Err(); err != nil {
		return err
	}
	tail := m.parts[len(m.parts)-1]
	tail.batches = append(tail.batches, bytes.Clone(b))
	if tail.bytes += len(b); tail.bytes >= m.segmentBytes {
		m.parts = append(m.parts, &memorySegment{first: index + 1})
	}
	return nil
}

func (m *memoryStore) owner() Owner {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.whose
}

func (m *memoryStore) own(o Owner) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.whose = o
	return nil
}

func (m *memoryStore) settle() error { return nil }

func (m *memoryStore) read(index uint64) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.parts {
		if s.first <= index && index <= s.end() {
			return s.batches[index-s.first], nil
		}
	}
	return nil, m.corrupt(index, "there is no such batch")
}

func (m *memoryStore) cutPoint(live uint64) (through uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.parts[:len(m.parts)-1] {
		if s.end() >= live {
			break
		}
		through = s.end()
	}
	return through
}

func (m *memoryStore) cut(through uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.parts) > 1 && m.parts[0].end() <= through {
		m.parts = m.parts[1:]
	}
	return nil
}

func (m *memoryStore) usage() (bytes int64, segments int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.parts {
		bytes += int64(s.bytes)
	}
	return bytes, len(m.parts)
}

func (m *memoryStore) segments() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.parts)
}

func (m *memoryStore) corrupt(index uint64, why string) error {
	return &CorruptError{Path: "memory", Offset: -1, Index: index, Why: why}
}

func (m *memoryStore) fullSince() time.Time { return time.Time{} }

func (m *memoryStore) giveUp() {}

func (m *memoryStore) abandon() { m.crash() }

func (m *memoryStore) close() error {
	m.crash()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open = false
	return nil
}

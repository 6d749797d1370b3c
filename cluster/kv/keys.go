package kv

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// A Pebble key begins with the space that it lives in.
//
//	l key               → meta                  the live version of a key
//	h esc(key) ^rev ^sub → meta, empty if deleted  all versions of a key, newest first
//	v rev sub           → version, see values.go   all versions in the order of their making
//	e id                → a lease: its time to live and its term
//	k id key            → nothing: the key lives as long as the lease
//	r name              → a record of the node
//	m name              → the store's own position, the compactor's mark, the last term of a lease
//	m a member          → nothing: the member has raised an alarm
//
// Reads of the present go through l, whose entries are small and one for each key;
// reads of the past go through h. Values lie in v alone: they are written once, in
// order, and neither a scan nor a compaction of the small keys moves them.
const (
	spaceLatest   = 'l'
	spaceHistory  = 'h'
	spaceVersion  = 'v'
	spaceLease    = 'e'
	spaceAttached = 'k'
	spaceRecord   = 'r'
	spaceMeta     = 'm'
)

var (
	keyPosition = []byte{spaceMeta, 'p'}
	keySwept    = []byte{spaceMeta, 's'}
	keyTerm     = []byte{spaceMeta, 't'}
	keyAlarms   = []byte{spaceMeta, 'a'} // and a member
)

// revision is a place in the order of all versions: main counts effective
// commands, sub the changes within one of them.
type revision struct {
	main int64
	sub  uint32
}

const revisionBytes = 12

func (r revision) String() string { return fmt.Sprintf("%d.%d", r.main, r.sub) }

// lastOf is after all changes of a main revision.
func lastOf(main int64) revision { return revision{main, math.MaxUint32} }

func latestKey(dst, key []byte) []byte {
	return append(append(dst, spaceLatest), key...)
}

func versionKey(dst []byte, r revision) []byte {
	dst = append(dst, spaceVersion)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.main))
	return binary.BigEndian.AppendUint32(dst, r.sub)
}

func parseVersionKey(k []byte) (revision, error) {
	if len(k) != 1+revisionBytes || k[0] != spaceVersion {
		return revision{}, fmt.Errorf("kv: %q is not the key of a version", k)
	}
	return revision{
		main: int64(binary.BigEndian.Uint64(k[1:])),
		sub:  binary.BigEndian.Uint32(k[9:]),
	}, nil
}

// In the history a key is followed by a revision, so it needs an end that sorts
// before every longer key: 0x00 0x01, with 0x00 inside of the key written as 0x00
// 0xff.
const (
	escape     = 0x00
	escapedNul = 0xff
	terminator = 0x01
	afterKey   = 0x02 // behind all versions of a key, before all of the next
)

// historyPrefix is where the history of the keys from key on begins.
func historyPrefix(dst, key []byte) []byte {
	dst = append(dst, spaceHistory)
	for {
		i := bytes.IndexByte(key, escape)
		if i < 0 {
			return append(dst, key...)
		}
		dst = append(append(dst, key[:i]...), escape, escapedNul)
		key = key[i+1:]
	}
}

// historyKey orders the versions of a key from the newest to the oldest.
func historyKey(dst, key []byte, r revision) []byte {
	dst = append(historyPrefix(dst, key), escape, terminator)
	dst = binary.BigEndian.AppendUint64(dst, ^uint64(r.main))
	return binary.BigEndian.AppendUint32(dst, ^r.sub)
}

// historyEnd is behind all versions of key.
func historyEnd(dst, key []byte) []byte {
	return append(historyPrefix(dst, key), escape, afterKey)
}

// parseHistoryKey appends the key to dst.
func parseHistoryKey(dst, k []byte) ([]byte, revision, error) {
	tail := len(k) - revisionBytes
	if tail < 3 || k[0] != spaceHistory || k[tail-2] != escape || k[tail-1] != terminator {
		return nil, revision{}, fmt.Errorf("kv: %q is not a key of the history", k)
	}
	r := revision{
		main: int64(^binary.BigEndian.Uint64(k[tail:])),
		sub:  ^binary.BigEndian.Uint32(k[tail+8:]),
	}
	for escaped := k[1 : tail-2]; ; {
		i := bytes.IndexByte(escaped, escape)
		if i < 0 {
			return append(dst, escaped...), r, nil
		}
		dst = append(append(dst, escaped[:i]...), escape)
		escaped = escaped[min(i+2, len(escaped)):]
	}
}

// span is the keys from start to before end; a nil end is behind all keys.
type span struct {
	start, end []byte
	single     bool // only start
}

// spanOf reads a request's key and range_end. No range_end is one key, "\x00" is
// all keys from there on.
func spanOf(key, rangeEnd []byte) span {
	switch {
	case len(rangeEnd) == 0:
		return span{start: key, end: append(bytes.Clone(key), 0), single: true}
	case len(rangeEnd) == 1 && rangeEnd[0] == 0:
		return span{start: key}
	default:
		return span{start: key, end: rangeEnd}
	}
}

func (s span) empty() bool { return s.end != nil && bytes.Compare(s.start, s.end) >= 0 }

// latest is the span's bounds among the live keys.
func (s span) latest() (lower, upper []byte) {
	if s.end == nil {
		return latestKey(nil, s.start), []byte{spaceLatest + 1}
	}
	return latestKey(nil, s.start), latestKey(nil, s.end)
}

// history is the span's bounds in the history.
func (s span) history() (lower, upper []byte) {
	if s.end == nil {
		return historyPrefix(nil, s.start), []byte{spaceHistory + 1}
	}
	return historyPrefix(nil, s.start), historyPrefix(nil, s.end)
}

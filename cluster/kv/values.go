package kv

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// meta is what there is to know of a version besides its key and value.
type meta struct {
	mod     revision
	create  int64
	version int64
	lease   int64
}

// keyValue returns the version as clients see it. It keeps key and value.
func (m meta) keyValue(key, value []byte) *mvccpb.KeyValue {
	return &mvccpb.KeyValue{
		Key:            key,
		Value:          value,
		CreateRevision: m.create,
		ModRevision:    m.mod.main,
		Version:        m.version,
		Lease:          m.lease,
	}
}

func (m meta) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(m.mod.main))
	dst = binary.AppendUvarint(dst, uint64(m.mod.sub))
	dst = binary.AppendUvarint(dst, uint64(m.create))
	dst = binary.AppendUvarint(dst, uint64(m.version))
	return binary.AppendUvarint(dst, uint64(m.lease))
}

// parseMeta returns what follows the meta, too.
func parseMeta(b []byte) (meta, []byte, error) {
	var fields [5]uint64
	rest := b
	for i := range fields {
		n := 0
		if fields[i], n = binary.Uvarint(rest); n <= 0 {
			return meta{}, nil, fmt.Errorf("kv: meta %x ends in field %d", b, i)
		}
		rest = rest[n:]
	}
	return meta{
		mod:     revision{int64(fields[0]), uint32(fields[1])},
		create:  int64(fields[2]),
		version: int64(fields[3]),
		lease:   int64(fields[4]),
	}, rest, nil
}

// change is one version of one key: what it became, or that it was deleted. It
// carries its key so that the versions alone tell the whole story in order.
type change struct {
	meta
	deleted    bool
	key, value []byte
}

const (
	kindPut    = 0
	kindDelete = 1
)

func (c change) append(dst []byte) []byte {
	kind := byte(kindPut)
	if c.deleted {
		kind = kindDelete
	}
	dst = c.meta.append(append(dst, kind))
	dst = binary.AppendUvarint(dst, uint64(len(c.key)))
	return append(append(dst, c.key...), c.value...)
}

// parseChange returns a change that points into b.
func parseChange(b []byte) (change, error) {
	if len(b) == 0 || b[0] > kindDelete {
		return change{}, fmt.Errorf("kv: version %.20x is of no known kind", b)
	}
	m, rest, err := parseMeta(b[1:])
	if err != nil {
		return change{}, err
	}
	size, n := binary.Uvarint(rest)
	if n <= 0 || size > uint64(len(rest)-n) {
		return change{}, fmt.Errorf("kv: version %s ends in its key", m.mod)
	}
	rest = rest[n:]
	return change{meta: m, deleted: b[0] == kindDelete, key: rest[:size], value: rest[size:]}, nil
}

// position is how far a state has come.
type position struct {
	executed  uint64 // the first slot that was not committed
	revision  int64  // of the last effective command
	compacted int64  // the history below is gone; neverCompacted at first
}

const (
	positionBytes  = 24
	neverCompacted = -1
)

// start is the position of an empty store: etcd counts it as revision 1.
var start = position{executed: 1, revision: 1, compacted: neverCompacted}

func (p position) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, p.executed)
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.revision))
	return binary.BigEndian.AppendUint64(dst, uint64(p.compacted))
}

func parsePosition(b []byte) (position, error) {
	if len(b) != positionBytes {
		return position{}, fmt.Errorf("kv: position of %d bytes, want %d", len(b), positionBytes)
	}
	return position{
		executed:  binary.BigEndian.Uint64(b),
		revision:  int64(binary.BigEndian.Uint64(b[8:])),
		compacted: int64(binary.BigEndian.Uint64(b[16:])),
	}, nil
}

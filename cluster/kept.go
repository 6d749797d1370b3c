package cluster

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/pmmc-go/pmmc/messages"
)

// kept makes a DurableStateMachine of a StateMachine that lives in memory: it
// writes a snapshot of it to a file now and then.
type kept struct {
	StateMachine
	path string

	mu       sync.Mutex // Flush runs beside the rest
	executed uint64
	records  map[string][]byte
}

// stateFileName is the file in the state's folder.
const stateFileName = "state"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// keep reads a machine's state back from dir, if it is there.
func keep(m StateMachine, dir string) (*kept, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cluster: state: %w", err)
	}
	k := &kept{StateMachine: m, path: filepath.Join(dir, stateFileName), executed: 1, records: make(map[string][]byte)}
	f, err := os.Open(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cluster: state: %w", err)
	}
	defer f.Close()
	if err := k.Restore(f); err != nil {
		return nil, fmt.Errorf("cluster: state %s: %w", k.path, err)
	}
	return k, nil
}

// Executed is the first slot that was not committed.
func (k *kept) Executed() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.executed
}

// Apply applies operations; no snapshot is taken meanwhile.
func (k *kept) Apply(slot uint64, operations [][]byte) [][]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.StateMachine.Apply(slot, operations)
}

// Commit notes the slot and the records.
func (k *kept) Commit(slot uint64, records []Record) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range records {
		if r.Value == nil {
			delete(k.records, r.Key)
		} else {
			k.records[r.Key] = r.Value
		}
	}
	k.executed = slot + 1
	return nil
}

// Records lists the records by key.
func (k *kept) Records() ([]Record, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []Record
	for _, key := range slices.Sorted(maps.Keys(k.records)) {
		all = append(all, Record{Key: key, Value: k.records[key]})
	}
	return all, nil
}

// Snapshot returns the state, the records and the slot.
func (k *kept) Snapshot() (io.WriterTo, error) {
	s, _, err := k.freeze()
	return s, err
}

func (k *kept) freeze() (io.WriterTo, uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	machine, err := k.StateMachine.Snapshot()
	if err != nil {
		return nil, 0, fmt.Errorf("cluster: snapshot of the state machine: %w", err)
	}
	head := &messages.StateFile{Executed: k.executed, Records: maps.Clone(k.records)}
	return &stateFile{head: head, machine: machine}, k.executed, nil
}

// stateFile is a snapshot on its way out.
type stateFile struct {
	head    *messages.StateFile
	machine io.WriterTo
}

// WriteTo writes the head, the machine's snapshot, and a checksum of both.
func (s *stateFile) WriteTo(w io.Writer) (int64, error) {
	sum := crc32.New(castagnoli)
	counted := &counter{w: io.MultiWriter(w, sum)}
	if _, err := protodelim.MarshalTo(counted, s.head); err != nil {
		return counted.n, err
	}
	if _, err := s.machine.WriteTo(counted); err != nil {
		return counted.n, err
	}
	n, err := w.Write(binary.BigEndian.AppendUint32(nil, sum.Sum32()))
	return counted.n + int64(n), err
}

// Close closes what the machine gave.
func (s *stateFile) Close() error {
	if c, ok := s.machine.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// Restore replaces the state by what a stateFile wrote.
func (k *kept) Restore(r io.Reader) error {
	all, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("cluster: read a snapshot: %w", err)
	}
	body, tail := all[:max(0, len(all)-4)], all[max(0, len(all)-4):]
	if len(tail) < 4 || crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(tail) {
		return fmt.Errorf("cluster: the snapshot's checksum does not match its %d bytes", len(all))
	}
	in := bufio.NewReader(bytes.NewReader(body))
	head := &messages.StateFile{}
	if err := (protodelim.UnmarshalOptions{MaxSize: -1}).UnmarshalFrom(in, head); err != nil {
		return fmt.Errorf("cluster: head of a snapshot: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.StateMachine.Restore(in); err != nil {
		return fmt.Errorf("cluster: restore the state machine: %w", err)
	}
	k.executed, k.records = head.Executed, head.Records
	if k.records == nil {
		k.records = make(map[string][]byte)
	}
	return nil
}

// Flush writes the file anew.
func (k *kept) Flush() (uint64, error) {
	s, below, err := k.freeze()
	if err != nil {
		return 0, err
	}
	err = replaceFile(k.path, func(f *os.File) error {
		w := bufio.NewWriter(f)
		_, err := s.WriteTo(w)
		return errors.Join(err, w.Flush(), s.(io.Closer).Close())
	})
	return below, err
}

// Close does nothing: what was not flushed is with the acceptors.
func (k *kept) Close() error { return nil }

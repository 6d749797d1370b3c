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
	"time"

	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/pmmc-go/pmmc/messages"
)

// kept makes a DurableStateMachine of a StateMachine that lives in memory: it
// writes a snapshot of it to a file now and then.
type kept struct {
	StateMachine
	path string

	slot sync.Mutex // held from Apply to Commit: in between, the state is of no slot

	mu       sync.Mutex // Flush and Executed run beside the rest
	midway   bool       // slot is held
	executed uint64
	records  map[string][]byte
}

// errTorn says that a slot was applied and not committed.
var errTorn = errors.New("cluster: the replica crashed in the middle of a slot, " +
	"and a state machine in memory cannot take back what it did; the node must start again")

// stateFileName is the file in the state's folder.
const stateFileName = "state"

// flushTries is how often Flush tries to come in between two slots, 1 ms apart.
const flushTries = 200

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

// begin takes the slot for Apply, or finds it taken by an Apply that crashed.
func (k *kept) begin() error {
	k.mu.Lock()
	torn := k.midway
	k.mu.Unlock()
	if torn {
		return errTorn
	}
	k.slot.Lock() // before mu, as in Flush
	k.mu.Lock()
	defer k.mu.Unlock()
	k.midway = true
	return nil
}

// Apply applies operations; no snapshot is taken until the Commit.
func (k *kept) Apply(slot uint64, operations [][]byte) [][]byte {
	must("apply", k.begin())
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
	if k.midway {
		k.midway = false
		k.slot.Unlock()
	}
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
	if err := (protodelim.UnmarshalOptions{MaxSize: int64(len(body))}).UnmarshalFrom(in, head); err != nil {
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

// Flush writes the file anew. When slots follow each other so closely that none
// lets it in, it does nothing and returns 0.
func (k *kept) Flush() (uint64, error) {
	wait := time.NewTicker(time.Millisecond)
	defer wait.Stop()
	for tries := 0; !k.slot.TryLock(); tries++ {
		if tries == flushTries {
			return 0, nil
		}
		<-wait.C
	}
	s, below, err := k.freeze()
	k.slot.Unlock()
	if err != nil {
		return 0, err
	}
	err = replaceFile(k.path, func(f *os.File) error {
		w := bufio.NewWriter(f)
		_, err := s.WriteTo(w)
		return errors.Join(err, w.Flush(), s.(io.Closer).Close())
	})
	if err != nil {
		_ = os.Remove(k.path + ".new") // if it is there: it must not take the last room of a full disk
		return 0, err
	}
	return below, nil
}

// Close does nothing: what was not flushed is with the acceptors.
func (k *kept) Close() error { return nil }

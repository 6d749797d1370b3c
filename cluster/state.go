package cluster

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// state is the actors.State of a state machine. Where the machine's disk fails, it
// panics with an actors.Failure, which ends the node.
type state struct {
	machine DurableStateMachine
	cluster string // its name
}

func must(what string, err error) {
	if err != nil {
		panic(actors.Failure{Err: fmt.Errorf("cluster: %s: %w", what, err)})
	}
}

// SlotOut is the first slot that is not executed.
func (s *state) SlotOut() uint64 { return s.machine.Executed() }

// sessionKey is where the state keeps a session's record.
func sessionKey(r *messages.SessionRecord) string {
	return fmt.Sprintf("session/%d/%d", r.Client, r.Slot)
}

// epochsKey is where the state keeps its configurations.
const epochsKey = "epochs"

// Configurations lists those that the state knows of.
func (s *state) Configurations() []*messages.Configuration {
	records, err := s.machine.Records()
	must("read the configurations", err)
	e, err := epochsIn(records)
	must("read the configurations", err)
	return e.Configurations
}

// chainKey is where the state keeps the hash of all decrees.
const chainKey = "chain"

// Chain is the hash of all decrees; 0 in a state of an earlier version.
func (s *state) Chain() uint64 {
	records, err := s.machine.Records()
	must("read the hash of decrees", err)
	i := slices.IndexFunc(records, func(r Record) bool { return r.Key == chainKey })
	if i < 0 || len(records[i].Value) != 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(records[i].Value)
}

// EpochsOf tells of which cluster a state is, and which configurations it knows of,
// oldest first, by its records. A state in which nothing was executed knows of neither.
func EpochsOf(records []Record) (cluster string, all []actors.Configuration, err error) {
	e, err := epochsIn(records)
	for _, c := range e.GetConfigurations() {
		all = append(all, actors.ConfigurationOf(c))
	}
	return e.GetCluster(), all, err
}

// epochsIn finds the configurations among the records of a state.
func epochsIn(records []Record) (*messages.Epochs, error) {
	e := &messages.Epochs{}
	i := slices.IndexFunc(records, func(r Record) bool { return r.Key == epochsKey })
	if i < 0 {
		return e, nil
	}
	return e, proto.Unmarshal(records[i].Value, e)
}

// Sessions lists the records of sessions.
func (s *state) Sessions() []*messages.SessionRecord {
	records, err := s.machine.Records()
	must("read the sessions", err)
	all := make([]*messages.SessionRecord, 0, len(records))
	for _, r := range records {
		if r.Key == epochsKey || r.Key == chainKey {
			continue
		}
		rec := &messages.SessionRecord{}
		if err := proto.Unmarshal(r.Value, rec); err != nil {
			must("read the sessions", fmt.Errorf("record %q: %w", r.Key, err))
		}
		all = append(all, rec)
	}
	return all
}

// Execute applies the operations of a slot.
func (s *state) Execute(slot uint64, operations [][]byte) [][]byte {
	results := s.machine.Apply(slot, operations)
	if len(results) != len(operations) {
		must("apply", fmt.Errorf("slot %d: the state machine gave %d results for %d operations", slot, len(results), len(operations)))
	}
	return results
}

// Commit makes the slot part of the state.
func (s *state) Commit(slot uint64, c actors.Changes) {
	records := make([]Record, 0, len(c.Drop)+len(c.Put)+2)
	for _, r := range c.Drop {
		records = append(records, Record{Key: sessionKey(r)})
	}
	for _, r := range c.Put {
		b, err := proto.Marshal(r)
		must("encode a session", err)
		records = append(records, Record{Key: sessionKey(r), Value: b})
	}
	if c.Configurations != nil {
		b, err := proto.Marshal(&messages.Epochs{Cluster: s.cluster, Configurations: c.Configurations})
		must("encode the configurations", err)
		records = append(records, Record{Key: epochsKey, Value: b})
	}
	if c.Chain != 0 {
		records = append(records, Record{Key: chainKey, Value: binary.LittleEndian.AppendUint64(nil, c.Chain)})
	}
	must("commit", s.machine.Commit(slot, records))
}

// Snapshot begins to read the state.
func (s *state) Snapshot() actors.SnapshotReader {
	from, err := s.machine.Snapshot()
	must("snapshot", err)
	out, in := io.Pipe()
	r := &snapshotReader{pipe: out, buffered: bufio.NewReader(out), written: make(chan struct{})}
	go func() {
		defer close(r.written)
		_, err := from.WriteTo(in)
		if c, ok := from.(io.Closer); ok {
			err = errors.Join(err, c.Close())
		}
		in.CloseWithError(err) // nil reads as the end
	}()
	return r
}

// snapshotReader turns what a state machine writes into what a replica reads. It
// owns the goroutine that writes.
type snapshotReader struct {
	pipe     *io.PipeReader
	buffered *bufio.Reader
	written  chan struct{}
}

// Next reads the next n bytes, or fewer at the end.
func (r *snapshotReader) Next(n int) (data []byte, last bool, err error) {
	data = make([]byte, n)
	read, err := io.ReadFull(r.buffered, data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, false, fmt.Errorf("cluster: snapshot: %w", err)
	}
	_, err = r.buffered.Peek(1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, fmt.Errorf("cluster: snapshot: %w", err)
	}
	return data[:read], err != nil, nil
}

// Close ends the reading; the writer notices.
func (r *snapshotReader) Close() {
	_ = r.pipe.Close() // always nil
	<-r.written
}

// Restore begins to restore the machine from what will be written.
func (s *state) Restore() actors.SnapshotWriter {
	out, in := io.Pipe()
	w := &snapshotWriter{pipe: in, restored: make(chan struct{})}
	go func() {
		defer close(w.restored)
		w.err = s.machine.Restore(out)
		_ = out.CloseWithError(cmp.Or(w.err, io.ErrClosedPipe)) // always nil; who writes on hears it
	}()
	return w
}

// snapshotWriter hands what a replica writes to a state machine that restores itself in
// a goroutine beside it. It holds back what was written last, so that the machine does
// not come to its end, and to use, before Finish.
type snapshotWriter struct {
	pipe     *io.PipeWriter
	last     []byte
	restored chan struct{} // closed once the machine's Restore has returned …
	err      error         // … this
}

// Write waits until the machine has taken what was written before.
func (w *snapshotWriter) Write(data []byte) error {
	_, err := w.pipe.Write(w.last)
	w.last = data
	return err
}

// Finish replaces the state.
func (w *snapshotWriter) Finish() error {
	if err := w.Write(nil); err != nil {
		return err
	}
	_ = w.pipe.Close() // always nil
	<-w.restored
	return w.err
}

// Close ends a Restore that has not come to its end.
func (w *snapshotWriter) Close() {
	_ = w.pipe.CloseWithError(errCut) // always nil
	<-w.restored
}

var errCut = errors.New("cluster: the snapshot did not come to its end")

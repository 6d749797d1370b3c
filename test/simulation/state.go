package simulation

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// State is a state machine that remembers the names of the commands it executed.
type State struct {
	node   *Node
	Out    uint64
	Log    []string
	Saved  map[string]*messages.SessionRecord
	Epochs []*messages.Configuration
	chain  uint64
	staged []string

	changed  time.Duration   // when the configurations last did
	executed int             // slots, one by one, since the node or settle began
	ran      map[string]bool // what is in Log
}

// NewState returns an empty state.
func NewState(n *Node) *State {
	return &State{node: n, Out: 1, Saved: make(map[string]*messages.SessionRecord), ran: make(map[string]bool)}
}

type frozen struct {
	Out    uint64
	Log    []string
	Saved  [][]byte
	Epochs [][]byte
	Chain  uint64
}

func (s *State) save() []byte {
	f := frozen{Out: s.Out, Log: s.Log, Chain: s.chain}
	for _, k := range slices.Sorted(maps.Keys(s.Saved)) {
		b, err := proto.Marshal(s.Saved[k])
		if err != nil {
			panic(err)
		}
		f.Saved = append(f.Saved, b)
	}
	for _, c := range s.Epochs {
		b, err := proto.Marshal(c)
		if err != nil {
			panic(err)
		}
		f.Epochs = append(f.Epochs, b)
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(f); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func (s *State) load(b []byte) {
	if len(b) == 0 {
		return
	}
	var f frozen
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&f); err != nil {
		panic(err)
	}
	s.Out, s.Log, s.chain = f.Out, f.Log, f.Chain
	clear(s.Saved)
	clear(s.ran)
	s.Epochs = nil
	for _, b := range f.Epochs {
		c := &messages.Configuration{}
		if err := proto.Unmarshal(b, c); err != nil {
			panic(err)
		}
		s.Epochs = append(s.Epochs, c)
	}
	for _, op := range s.Log {
		s.ran[op] = true
	}
	for _, b := range f.Saved {
		rec := &messages.SessionRecord{}
		if err := proto.Unmarshal(b, rec); err != nil {
			panic(err)
		}
		s.Saved[keyOf(rec)] = rec
	}
}

func keyOf(r *messages.SessionRecord) string { return fmt.Sprintf("%d/%020d", r.Client, r.Slot) }

// SlotOut is the first slot not executed.
func (s *State) SlotOut() uint64 { return s.Out }

// Configurations lists what was committed.
func (s *State) Configurations() []*messages.Configuration { return s.Epochs }

// configurations are those that were committed.
func (s *State) configurations() (all []actors.Configuration) {
	if s == nil {
		return nil
	}
	for _, m := range s.Epochs {
		all = append(all, actors.ConfigurationOf(m))
	}
	return all
}

// latest is the last of them.
func (s *State) latest() (c actors.Configuration) {
	for _, c = range s.configurations() {
	}
	return c
}

// incarnation is the highest of a client that the sessions know.
func (s *State) incarnation(client uint32) (highest uint64) {
	for _, r := range s.Saved {
		if r.Client == client {
			highest = max(highest, r.Incarnation)
		}
	}
	return highest
}

// Chain is what was committed.
func (s *State) Chain() uint64 { return s.chain }

// Sessions lists the saved records.
func (s *State) Sessions() []*messages.SessionRecord {
	var all []*messages.SessionRecord
	for _, k := range slices.Sorted(maps.Keys(s.Saved)) {
		all = append(all, proto.Clone(s.Saved[k]).(*messages.SessionRecord))
	}
	return all
}

// Execute notes the operations and answers each with its place in the log.
func (s *State) Execute(slot uint64, operations [][]byte) [][]byte {
	var results [][]byte
	for _, op := range operations {
		s.staged = append(s.staged, string(op))
		results = append(results, fmt.Append(nil, len(s.Log)+len(s.staged)))
	}
	return results
}

// Commit makes the slot part of the state.
func (s *State) Commit(slot uint64, c actors.Changes) {
	if slot != s.Out {
		s.node.world.broken("R2: %s executes slot %d after %d", s.node.name, slot, s.Out-1)
	}
	s.Log = append(s.Log, s.staged...)
	for _, op := range s.staged {
		s.ran[op] = true
	}
	s.staged = nil
	for _, r := range c.Drop {
		delete(s.Saved, keyOf(r))
	}
	for _, r := range c.Put {
		s.Saved[keyOf(r)] = proto.Clone(r).(*messages.SessionRecord)
	}
	if c.Configurations != nil {
		s.Epochs, s.changed = c.Configurations, s.node.world.Now
	}
	s.chain = orElse(c.Chain, s.chain)
	s.Out = slot + 1
	s.executed++
}

// Snapshot freezes the state.
func (s *State) Snapshot() actors.SnapshotReader {
	s.node.world.Counts["snapshot"]++
	return &reader{bytes.NewReader(s.save())}
}

// Restore begins to take a snapshot.
func (s *State) Restore() actors.SnapshotWriter { return &writer{state: s} }

type reader struct{ *bytes.Reader }

func (r *reader) Next(n int) ([]byte, bool, error) {
	b := make([]byte, min(n, r.Len()))
	_, err := r.Read(b)
	return b, r.Len() == 0, err
}
func (r *reader) Close() {}

type writer struct {
	state *State
	bytes.Buffer
}

func (w *writer) Write(b []byte) error { _, err := w.Buffer.Write(b); return err }
func (w *writer) Close()               {}
func (w *writer) Finish() error {
	w.state.load(w.Bytes())
	w.state.node.world.Counts["restored"]++
	return nil
}

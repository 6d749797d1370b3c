package actors

import (
	"hash/fnv"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// An Event is one thing that a role did, or that was done to it. Those who run roles
// (the shell, the simulator) tell an observer; the roles know nothing of it.
//
// What is done is told before it is done, and what happens to a role before it acts
// on it. So an observer of all nodes sees a message sent before it is received, and a
// record on disk before what waited for that.
type Event struct {
	Kind    Kind
	Self    Addr          // whose; of Opened, the member
	Life    uint64        // of Self in its process: a restart begins another
	Peer    Addr          // the receiver, or the child
	Number  uint64        // of records persisted in this life, from 1
	Message proto.Message // as Kind says; not to be changed
}

// Kind is what an Event is about.
type Kind string

// The kinds of events.
const (
	Opened    Kind = "opened"    // a node's process began: Message is a messages.Opened
	Started   Kind = "started"   // a role begins a life, having been given back its records
	Restored  Kind = "restored"  // it was given back Message, before Started
	Received  Kind = "received"  // a turn begins, with Message
	Sent      Kind = "sent"      // Message leaves for Peer
	Persisted Kind = "persisted" // Message is to be written, as record Number
	Durable   Kind = "durable"   // records up to Number are on disk
	Spawned   Kind = "spawned"   // Peer is spawned
	Exited    Kind = "exited"    // the role ended its own life
	Panicked  Kind = "panicked"  // the turn that had begun did not end
	Executed  Kind = "executed"  // Message is a messages.Executed
	Installed Kind = "installed" // Message is a messages.Installed
)

// Observed returns a State that tells observe what becomes of another.
func Observed(s State, observe func(Kind, proto.Message)) State {
	return &observedState{State: s, observe: observe}
}

type observedState struct {
	State
	observe func(Kind, proto.Message)
	ran     messages.Executed // what the slot under way did
}

func (s *observedState) Execute(slot uint64, operations [][]byte) [][]byte {
	results := s.State.Execute(slot, operations)
	s.ran.Operations, s.ran.Results = digests(operations), digests(results)
	return results
}

func (s *observedState) Commit(slot uint64, c Changes) {
	s.observe(Executed, &messages.Executed{Slot: slot, Operations: s.ran.Operations, Results: s.ran.Results})
	s.ran.Operations, s.ran.Results = nil, nil
	s.State.Commit(slot, c)
}

func (s *observedState) Restore() SnapshotWriter {
	return &observedWriter{SnapshotWriter: s.State.Restore(), of: s}
}

type observedWriter struct {
	SnapshotWriter
	of *observedState
}

func (w *observedWriter) Finish() error {
	err := w.SnapshotWriter.Finish()
	if err == nil {
		w.of.observe(Installed, &messages.Installed{Executed: w.of.SlotOut()})
	}
	return err
}

func digests(all [][]byte) []uint64 {
	sums := make([]uint64, len(all))
	for i, b := range all {
		sums[i] = Digest(b)
	}
	return sums
}

// Digest is how a trace names an operation or a result: its FNV-1a hash.
func Digest(b []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(b) // a hash takes all
	return h.Sum64()
}

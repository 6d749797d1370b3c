package actors

import "github.com/pmmc-go/pmmc/messages"

// State is the application's state, Fig. 1's `state`, with what must change
// together with it. Its methods cannot fail: when the disk does, they panic with a
// Failure, and the node ends.
type State interface {
	// SlotOut is the first slot that is not executed in it.
	SlotOut() uint64
	// Sessions lists the records that were put and not dropped.
	Sessions() []*messages.SessionRecord
	// Configurations lists what was last committed as such, oldest first; none in a
	// state without a history.
	Configurations() []*messages.Configuration
	// Chain returns the hash of all decrees that was last committed; 0 in a state without.
	Chain() uint64
	// Execute applies the operations of one slot, in order: op(state). It returns
	// one result each.
	Execute(slot uint64, operations [][]byte) [][]byte
	// Commit makes one atomic change of what the Execute before it did (if there
	// was one), of the changes, and of SlotOut := slot+1.
	Commit(slot uint64, c Changes)
	// Snapshot begins to read the state as it is now; later slots do not change it.
	Snapshot() SnapshotReader
	// Restore begins to replace the state by a snapshot that comes in parts.
	Restore() SnapshotWriter
}

// Changes are what a slot changes besides what its operations do.
type Changes struct {
	Drop, Put      []*messages.SessionRecord // in this order
	Configurations []*messages.Configuration // in place of the last ones; nil for no change
	Chain          uint64                    // the hash of all decrees, in place of the last one; 0 for no change
}

// SnapshotReader reads a snapshot from its start to its end.
type SnapshotReader interface {
	// Next returns up to n bytes that follow those returned before, and whether
	// they are the last. An error ends the reading.
	Next(n int) (data []byte, last bool, err error)
	Close()
}

// SnapshotWriter takes a snapshot from its start to its end.
type SnapshotWriter interface {
	// Write adds bytes.
	Write(data []byte) error
	// Finish replaces the state, as a whole, or returns an error and leaves it.
	Finish() error
	// Close frees what the writer holds; without Finish the state stays.
	Close()
}

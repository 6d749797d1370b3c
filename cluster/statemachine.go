package cluster

import "io"

// StateMachine is what a cluster replicates. Every replica executes the same
// operations in the same order, so all that Apply does may depend only on the
// state and its arguments: no clock, no random number, no order of a map (S7).
//
// Apply, Snapshot and Restore are never called at the same time, but for what Restore
// says. Query may run beside any of them and beside itself.
type StateMachine interface {
	// Apply executes the operations of one slot, in order, and returns one result
	// each. Operations are bytes that somebody proposed, so they may be malformed:
	// say so in the result. The slices must not be kept or changed.
	Apply(slot uint64, operations [][]byte) [][]byte
	// Query reads.
	Query(query []byte) ([]byte, error)
	// Snapshot returns the state as it is now, to be written out while later
	// operations are applied. If the result is an io.Closer it is closed in the end.
	Snapshot() (io.WriterTo, error)
	// Restore replaces the state by a snapshot, as a whole or, when it fails, not at all.
	// Where the machine is Durable, the others may be called until r has come to its end.
	Restore(r io.Reader) error
}

// DurableStateMachine is a StateMachine that keeps itself on disk and can tell
// how much of it is there. One that isn't Durable is kept by the node, which
// writes a snapshot of it now and then.
//
// What Apply does becomes part of the state with the Commit that follows it.
// Snapshots hold the records and the slot, too.
type DurableStateMachine interface {
	StateMachine
	// Executed is the first slot that was not committed; 1 in a new state.
	Executed() uint64
	// Commit makes one atomic change of the effects of the Apply before it (if
	// there was one: a slot without operations has none), of records, and of the
	// slot: after it, Executed is slot+1. It need not be durable.
	Commit(slot uint64, records []Record) error
	// Records returns the records that were committed and not deleted, by key.
	Records() ([]Record, error)
	// Flush makes durable all that was committed before the call and returns what
	// Executed was then. It may run beside everything else.
	Flush() (below uint64, err error)
	// Close ends the use without a Flush.
	Close() error
}

// Record is a piece of the node's own bookkeeping that must change together with
// the state. A nil Value deletes.
type Record struct {
	Key   string
	Value []byte
}

package journal

import (
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/actors/runtime/measure"
	"github.com/pmmc-go/pmmc/messages"
)

// Journal is what the runtime writes to and restarts roles from.
type Journal interface {
	// Append queues rec, which must not be changed any more, and returns without
	// waiting for the disk. done, unless nil, is called from the writer's goroutine
	// once rec and all that was appended before it is on disk; it must not block
	// or call Replay, Close or Crash, but may call Append. The order of Append is the order on
	// disk and of the calls of done. After a failure, Close or Crash, rec is dropped
	// and done is never called.
	//
	// The queue has no limit of its own: what a role may have in flight (WINDOW
	// slots of one decree each) is its limit, and [Stats] shows when it grows.
	Append(rec *messages.Record, done func())
	// Replay waits until what was appended before is on disk, and calls f with what
	// is still live of the owner's records: first forgotten and the highest ballot,
	// then every pvalue of a slot that is not forgotten (of a slot that was accepted
	// under several ballots, all of them), then the decided runs, the highest round
	// last. Pvalues come in order of Append, but those that were moved come again, or
	// only, where they were moved to. Appending goes on meanwhile.
	//
	// It returns a *CorruptError for what cannot be read, ErrClosed after Close or
	// Crash, and the first failure after one.
	Replay(owner string, f func(*messages.Record)) error
	// Recall calls f with the owner's live pvalues of slots first to last, as Replay does,
	// until f returns false, and with others that lie beside them. It waits for no write:
	// it leaves out what is not on disk yet and, while the front is being cut, all, so ask
	// again. It returns what Replay does.
	Recall(owner string, first, last uint64, f func(*messages.PValue) bool) error
	// Owners lists the owners of live pvalues, in alphabetical order, as far as what they
	// appended is on disk.
	Owners() []string
	// Owner is what the last Own wrote; zero in a new journal.
	Owner() Owner
	// Own makes durable to whom the journal belongs. It is called before the first Append.
	Own(Owner) error
	// Stats tells how the journal is doing.
	Stats() Stats
	// Close writes what is queued and ends the use.
	Close() error
}

// Owner says to which data directory a journal belongs, and how far that directory was when
// a node last started on it (S11, S13).
type Owner struct {
	Salt        uint64 // drawn once for the directory; 0 if not known
	Incarnation uint64 // of the last start
	Executed    uint64 // the first slot that was not in the state on disk at that start
}

// Options are what a journal needs to know.
type Options struct {
	// Dir is where the files are. It is made when it is not there. A [Memory] has none.
	Dir string
	// Existing refuses, with a *MissingError, to make a new journal.
	Existing bool
	// SegmentBytes is the size of a segment, in which the front is cut: at least
	// 1 KiB, at most 1 GiB; 0 stands for 16 MiB.
	SegmentBytes int
	// Failed is told, once and from the writer's goroutine, of the first write or
	// fsync that failed. Nothing is written or acknowledged after that: what is in
	// the page cache may be trusted no more. The node must end. Required.
	Failed func(error)
	// Logger hears of changes of state. Nil is silence.
	Logger hclog.Logger
}

// Stats is how a journal is doing. What counts from Open says so.
type Stats struct {
	DiskBytes int64  // the size of all files, preallocated space included
	Segments  int    // segments on disk
	Entries   uint64 // batches on disk; each was one write and one fsync
	First     uint64 // index of the oldest batch on disk
	Last      uint64 // index of the newest; batches are counted from 1

	Records uint64 // records made durable, since Open
	Bytes   uint64 // bytes of batches made durable, since Open
	Syncs   uint64 // batches made durable, since Open
	Cuts    uint64 // how often the front was cut, since Open

	Queued        int           // records appended and not yet durable
	OldestWaiting time.Time     // when the oldest of them was appended; zero if there is none
	FullSince     time.Time     // when the disk was found to be full; zero while it is not
	LastSync      time.Duration // how long the last write and fsync took
	LastDurable   time.Time     // when it ended; zero if there was none since Open

	SyncTimes  measure.Distribution // seconds of each write and fsync, since Open
	BatchSizes measure.Distribution // records that were made durable by each, since Open
}

const (
	defaultSegmentBytes = 16 << 20
	minSegmentBytes     = 1 << 10
	maxSegmentBytes     = 1 << 30

	// batchBytes is where a batch ends although more waits: one fsync of this much
	// costs little more than the bytes themselves.
	batchBytes = 4 << 20
	// maxRecordBytes is the largest record. raft-wal reads no entry above 64 MiB,
	// though it would write one.
	maxRecordBytes = 32 << 20
	// settleEvery is how long the mark of what was acknowledged may be younger in
	// memory than on disk; see the package's section on damage.
	settleEvery = time.Second
)

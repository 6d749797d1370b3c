package journal

import "time"

// store is where batches are kept: a [disk] or a [Memory]. Its methods are called
// by one goroutine at a time, but for read and usage, which may run beside write.
type store interface {
	// salt is what the heads of the batches are summed with.
	salt() salt
	// bounds are the first and the last batch; the last is first-1 in an empty store.
	bounds() (first, last uint64, err error)
	// acknowledged is a batch that is known to have been acknowledged, with the
	// checksum of its head; none when index is 0.
	acknowledged() (index uint64, chain uint32)
	// recovered says that all batches up to index were read and will be answered for.
	recovered(index uint64, chain uint32) error
	// write adds the batch behind the last one and returns when it is durable. It
	// must not keep b. After an error nothing more may be written.
	write(index uint64, chain uint32, b []byte) error
	// settle makes durable what acknowledged returns after a restart.
	settle() error
	// read returns a batch, or a *CorruptError.
	read(index uint64) ([]byte, error)
	// cutPoint is up to where the front can be cut in whole segments while live
	// and all behind it stays; 0 when there is nothing to cut.
	cutPoint(live uint64) uint64
	// cut removes the batches up to through, which cutPoint returned.
	cut(through uint64) error
	usage() (bytes int64, segments int)
	// segments is how many there are, the one that is being filled among them.
	segments() int
	// owner is what own made durable last; zero in a new store.
	owner() Owner
	own(Owner) error
	// corrupt is the error for a batch that doesn't make sense.
	corrupt(index uint64, why string) error
	// fullSince is when the disk was found to be full; zero while it is not.
	fullSince() time.Time
	// giveUp ends the waiting for space on a full disk: what waits fails.
	giveUp()
	// abandon makes a write that hangs return, if it can.
	abandon()
	// close ends the use. What was written is not lost by it.
	close() error
}

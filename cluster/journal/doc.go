// Package journal is the stable storage of the acceptors and the leaders of one
// node: an append-only log with group commit, cut at the front as slots are
// forgotten. [Open] keeps it in a directory, [NewMemory] in memory, for tests.
//
// # What it guarantees
//
//  1. done is called only when the record, and all that was appended before it, is
//     on disk (S1). It is called in the order of Append.
//  2. Whatever done was called for is replayed, as long as it is live; or Open or
//     Replay returns a [CorruptError]; it is never left out. "Damage" below has the
//     exceptions. A record that done was not called for may be replayed, too: it
//     was on disk, and its writer died before it could tell.
//  3. What is replayed is on disk: what an earlier process wrote and did not live to
//     sync is written and synced again first.
//  4. A failed write or fsync is told once, and nothing is acknowledged after it.
//  5. A pvalue is live until its owner appends a forgotten above its slot (S5). The
//     highest ballot, of ballots and of pvalues, forgotten or not, and the highest
//     round and forgotten are live for ever, a decided run until it lies below
//     forgotten. An owner that is done for good appends a forgotten of the highest
//     slot there is.
//  6. The directory holds the segments from that of the first live pvalue on, the
//     last one preallocated, and at most about twice what is live and four segments.
//     Memory holds a few words for each batch from there on that has pvalues and for
//     each live decided run, and what waits to be written.
//  7. One process has a directory open, and another one is refused at once.
//
// # How it works
//
// Append queues. One goroutine takes all that waits, encodes it as one batch, hands
// it to raft-wal as one entry, which is one write and one fsync, and calls the
// dones. While that fsync runs the next batch gathers: batches grow with the load by
// themselves and nobody waits for a timer. One entry per batch, not per record, makes
// an entry's index the number of its fsync, which recovery needs, and saves an
// allocation or four for each record.
//
// When all pvalues of whole segments at the front are forgotten, the small facts of
// all owners are written once more, as a checkpoint behind everything else, and
// then the segments are removed. A crash in between leaves both.
//
// On an idle cluster acceptors retain their last slots for ever, while probes go on. When
// more of the log is dead than live, the live pvalues of the front are written once more,
// behind everything else, and then the front is cut. A crash in between leaves both copies,
// and replays both.
//
// # The files
//
//	lock             held while the journal is open
//	segments.json    which segments there are, behind a checksum; replaced as a whole
//	acknowledged     the last batch that was acknowledged, twice
//	<index>-<id>.wal segments in raft-wal's format, preallocated
//
// Of github.com/hashicorp/raft-wal v0.4.0 the format of segments, writing, rotation
// and cutting are used. Its recovery is not relied on: it reads the tail up to the
// first byte that makes no sense and calls that the end; a crash between the write
// that fills a segment and the start of the next one leaves it unable to append;
// a missing tail is made anew; the list of segments has no checksum. So [tail] reads
// the last segment strictly before raft-wal sees it, and [meta] keeps the list.
//
// # Damage
//
// Each batch has a number, a checksum and the checksum of the batch before, and all
// of them are checked by Open. That finds any damage but, possibly, to the end of
// the log: bytes there that make no sense may be the torn write of a batch that
// nobody was told of, which must be cut off, not reported. Two things tell:
//
//   - A batch is written only when the one before is synced. So if a batch number
//     n+2 has begun to be written, n+1 was acknowledged.
//   - After each fsync, before the dones, the file acknowledged is told the batch's
//     number. It is synced by itself within a second, on Close, and on Open.
//
// Hence a process that was killed, or ended by itself, leaves no doubt: any damage
// to anything acknowledged is found. What may stay undetected:
//
//   - After a power cut: damage to the very last batch, if it was acknowledged
//     within about a second before the cut (for as long as acknowledged was not yet
//     on disk) and something else than the power cut damaged it. It looks torn.
//   - Damage to that last batch together with one to the file acknowledged that
//     makes it fall back to its other copy, one batch older.
//   - A directory that as a whole is put back to an earlier state, such as from a
//     backup. S11 is about that.
//   - A disk that says that it synced and did not, if it then loses whole batches
//     and the mark of them.
//   - Changes that keep all checksums: CRC-32C is no signature.
package journal

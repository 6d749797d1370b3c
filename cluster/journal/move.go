package journal

import "github.com/pmmc-go/pmmc/messages"

// This file keeps a few live pvalues at the front from holding all of a log that is otherwise
// dead. Acceptors retain the last slots for those that lag, and on an idle cluster nothing
// replaces them, while every probe of the disk adds a record.

const (
	// spareSegments is how many segments there may be beside twice what is live.
	spareSegments = 2
	// moveBytes and moveBatches are how much is moved at a time: others wait meanwhile.
	moveBytes   = 1 << 20
	moveBatches = 1024
)

// move writes live pvalues of the front once more, behind everything else, when more of the
// log is dead than live. So the front can be cut, and on average a byte is moved at most once
// for each byte that was appended. A crash before the cut leaves both copies.
func (l *Log) move() error {
	crowded := l.store.segments()-1 > spareSegments+2*l.owners.bytes()/l.segment
	if l.stuck || !crowded || l.store.cutPoint(l.owners.firstLive(l.last+1)) > 0 {
		return nil
	}
	var moved []item
	var through uint64
	bytes := 0
	for _, index := range l.owners.oldest(moveBatches) {
		b, err := l.read(index)
		if err == nil {
			err = records(b.bytes, b.count, func(rec *messages.Record) error {
				if v := rec.GetPvalue(); v != nil && v.Slot >= l.owners[rec.Owner].forgotten {
					moved = append(moved, item{rec: rec})
					bytes += len(v.Decree)
				}
				return nil
			})
		}
		if err != nil {
			// What is live in it is lost, unless the owner has it in memory. The journal goes on.
			l.logger.Error("the front cannot be moved and will not be cut", "batch", index, "error", err)
			l.stuck = true
			break
		}
		if through = index; bytes >= moveBytes {
			break
		}
	}
	for rest := moved; len(rest) > 0; {
		n, err := l.gather(rest)
		if err == nil {
			err = l.commit(rest[:n])
		}
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	l.known.Lock()
	defer l.known.Unlock()
	for _, f := range l.owners {
		for len(f.live) > 0 && f.live[0].index <= through {
			f.drop()
		}
	}
	return nil
}

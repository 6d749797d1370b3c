package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pmmc-go/pmmc/messages"
)

// reader reads batches one after the other and checks them.
type reader struct {
	store store
	chain uint32 // the checksum of the last one's head …
	any   bool   // … if there was one
	slot  uint64 // of the last pvalue
}

// next checks a batch and calls f with its records.
func (r *reader) next(index uint64, f func(*messages.Record) error) (head, int, error) {
	b, err := r.store.read(index)
	if err != nil {
		return head{}, 0, r.behind(err)
	}
	h, why := checkBatch(b, r.store.salt(), index)
	if why == "" && r.any && h.prev != r.chain {
		why = fmt.Sprintf("it follows a batch with checksum %08x, not %08x", h.prev, r.chain)
	}
	if why != "" {
		return head{}, 0, r.behind(r.store.corrupt(index, why))
	}
	err = records(b, h.count, func(rec *messages.Record) error {
		if v := rec.GetPvalue(); v != nil {
			r.slot = v.Slot
		}
		return f(rec)
	})
	if err != nil {
		return head{}, 0, r.behind(r.store.corrupt(index, err.Error()))
	}
	r.chain, r.any = h.chain, true
	return h, len(b), nil
}

// behind adds to an error behind which slot it is.
func (r *reader) behind(err error) error {
	var c *CorruptError
	if errors.As(err, &c) {
		c.After = r.slot
	}
	return err
}

// Check reads what the journal holds once more, while it is in use, and returns a
// *CorruptError for the first batch that is not what was written. What of it is not executed
// yet is still in the memory of its owners, and lost with the process. After each batch it waits
// for as long as pause says.
func (l *Log) Check(ctx context.Context, pause func(bytes uint64) time.Duration) error {
	r := &reader{store: l.store}
	l.mu.Lock()
	index, last := l.stats.First, l.stats.Last
	l.mu.Unlock()
	for ; index <= last; index++ {
		n, err := l.checkOne(r, index)
		if err != nil {
			return err
		}
		wait := time.NewTimer(pause(uint64(n)))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return context.Cause(ctx)
		}
	}
	return nil
}

// checkOne checks a batch, unless it was cut off.
func (l *Log) checkOne(r *reader, index uint64) (bytes int, err error) {
	l.uncut.RLock()
	defer l.uncut.RUnlock()
	l.mu.Lock()
	first, p := l.stats.First, l.phase
	l.mu.Unlock()
	switch {
	case p != open:
		return 0, l.reason()
	case index < first:
		return 0, nil
	case index == first:
		r.any = false // what it follows is gone
	}
	_, n, err := r.next(index, func(*messages.Record) error { return nil })
	return n, err
}

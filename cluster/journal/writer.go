package journal

import (
	"fmt"
	"time"
)

// run is the writer.
func (l *Log) run() {
	defer close(l.ended)
	idle := time.NewTimer(settleEvery)
	defer idle.Stop()
	for {
		items, p := l.take()
		if p == crashed || p == draining && len(items) == 0 {
			return
		}
		if err := l.work(items); err != nil {
			l.fail(err)
			return
		}
		if len(items) > 0 {
			continue
		}
		select {
		case <-l.wake:
		case <-idle.C:
			idle.Reset(settleEvery)
		}
	}
}

// take takes what waits, to be finished by work. Two arrays take turns, so that
// none is allocated once they are large enough.
func (l *Log) take() ([]item, phase) {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.taken) // or the array would keep records alive
	l.taken, l.queue = l.queue, l.taken[:0]
	l.inFlight = l.taken
	return l.taken, l.phase
}

// work makes items durable and calls their dones.
func (l *Log) work(items []item) error {
	for len(items) > 0 {
		n, err := l.gather(items)
		if err != nil {
			return err
		}
		if l.encoder.count > 0 {
			if err := l.commit(items[:n]); err != nil {
				return err
			}
		}
		if l.isCrashed() {
			return nil
		}
		for _, it := range items[:n] {
			if it.done != nil {
				it.done()
			}
		}
		items = items[n:]
		l.mu.Lock()
		l.inFlight = items
		l.mu.Unlock()
	}
	if err := l.move(); err != nil {
		return err
	}
	if err := l.cut(); err != nil {
		return err
	}
	return l.settle()
}

// gather encodes as many items as go into one batch and returns their number.
func (l *Log) gather(items []item) (int, error) {
	l.encoder.reset()
	for i, it := range items {
		if it.rec != nil {
			if err := l.encoder.add(it.rec); err != nil {
				return 0, err
			}
		}
		if len(l.encoder.buf) >= batchBytes {
			return i + 1, nil
		}
	}
	return len(items), nil
}

// commit writes the batch that was gathered and takes note of it.
func (l *Log) commit(items []item) error {
	index := l.last + 1
	b, chain := l.encoder.seal(l.store.salt(), index, l.chain)
	start := time.Now()
	if err := l.store.write(index, chain, b); err != nil {
		return fmt.Errorf("journal: write batch %d: %w", index, err)
	}
	end := time.Now()
	l.syncTimes.Took(end.Sub(start))
	l.batchSizes.Observe(uint64(l.encoder.count))
	l.last, l.chain = index, chain
	if l.written.IsZero() {
		l.written = end
	}
	if err := l.note(items, index); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Last = index
	l.stats.Records += uint64(l.encoder.count)
	l.stats.Bytes += uint64(len(b))
	l.stats.Syncs++
	l.stats.LastSync = end.Sub(start)
	l.stats.LastDurable = end
	return nil
}

// note takes in what was committed as a batch.
func (l *Log) note(items []item, index uint64) error {
	l.known.Lock()
	defer l.known.Unlock()
	for _, it := range items {
		if it.rec == nil {
			continue
		}
		if err := l.owners.note(it.rec, index); err != nil {
			return fmt.Errorf("journal: batch %d: %w", index, err)
		}
	}
	return nil
}

// cut removes whole segments that hold no live pvalue. What else they hold is
// repeated in a checkpoint first, so a crash between the two loses nothing. While
// somebody reads batches, the cut waits for a later one.
func (l *Log) cut() error {
	through := l.store.cutPoint(l.owners.firstLive(l.last + 1))
	if through == 0 || !l.uncut.TryLock() {
		return nil
	}
	defer l.uncut.Unlock()
	checkpoint := []item{{rec: l.owners.checkpoint()}}
	if _, err := l.gather(checkpoint); err != nil {
		return err
	}
	if err := l.commit(checkpoint); err != nil {
		return err
	}
	if err := l.store.cut(through); err != nil {
		return fmt.Errorf("journal: cut batches up to %d: %w", through, err)
	}
	l.mu.Lock()
	l.stats.First = through + 1
	l.stats.Cuts++
	l.mu.Unlock()
	l.logger.Debug("cut", "through", through, "last", l.last)
	return nil
}

// settle makes the mark durable when it is due.
func (l *Log) settle() error {
	if l.written.IsZero() || time.Since(l.written) < settleEvery {
		return nil
	}
	l.written = time.Time{}
	if err := l.store.settle(); err != nil {
		return fmt.Errorf("journal: sync the mark: %w", err)
	}
	return nil
}

func (l *Log) isCrashed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phase == crashed
}

// fail ends all writing. Nothing is tried again: a page that the kernel could not
// write may be marked clean, so a second fsync would succeed and mean nothing.
func (l *Log) fail(err error) {
	l.mu.Lock()
	if l.phase == crashed {
		l.mu.Unlock()
		return
	}
	l.phase, l.err, l.queue = failing, err, nil
	l.mu.Unlock()
	l.logger.Error("halting: cannot write", "error", err)
	l.failed(err)
}

// Package diskfull is the one notion of a full disk. A disk is full while an operation fails
// because there is no space, no inode or no quota left for it. It has room when the same
// operation succeeds: no number of free bytes stands for that.
package diskfull

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Is reports whether an error says that a disk is full: of blocks or inodes (ENOSPC), or
// of what a quota allows (EDQUOT).
func Is(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// pause is the interval between two tries.
const pause = 200 * time.Millisecond

// Retrier repeats operations that fail because the disk is full. Only an operation on which
// nothing rests yet may be repeated: a new file, or a write before its fsync. A failed fsync
// must not be: the kernel may have marked the pages clean. To its caller a full disk is a
// disk that hangs.
type Retrier struct {
	logger hclog.Logger

	mu      sync.Mutex
	ended   chan struct{} // closed by GiveUp; nil while operations are not repeated
	waiting int           // number of operations that are being repeated
	since   time.Time     // when the disk was found full; zero while it has room
}

// New returns a Retrier that repeats nothing before Begin. A nil logger is silent.
func New(logger hclog.Logger) *Retrier {
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	return &Retrier{logger: logger}
}

// Begin has operations repeated from now on. Before, at a start, an error is better.
func (r *Retrier) Begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = make(chan struct{})
}

// GiveUp fails the operations that are being repeated. None is repeated from now on.
func (r *Retrier) GiveUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended != nil {
		close(r.ended)
		r.ended = nil
	}
}

// Since is when the disk was found full; zero while it has room.
func (r *Retrier) Since() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since
}

// Try calls do, and repeats it while the disk is full.
func (r *Retrier) Try(operation string, do func() error) error {
	err := do()
	if !Is(err) {
		return err
	}
	ended := r.enter(operation, err)
	if ended == nil {
		return err
	}
	again := time.NewTicker(pause)
	defer again.Stop()
	for Is(err) {
		select {
		case <-ended:
			r.leave(err)
			return err
		case <-again.C:
		}
		err = do()
	}
	r.leave(err)
	return err
}

// enter notes an operation that is to be repeated, and returns what ends that; nil if it must
// not be repeated.
func (r *Retrier) enter(operation string, err error) (ended chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended == nil {
		return nil
	}
	if r.waiting++; r.waiting == 1 {
		r.since = time.Now()
		r.logger.Error("the disk is full: nothing is written until there is room; nothing is lost", "for", operation, "error", err)
	}
	return r.ended
}

// leave notes that an operation is not repeated any more.
func (r *Retrier) leave(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting--; r.waiting > 0 {
		return
	}
	if err == nil {
		r.logger.Warn("the disk has room again", "after", time.Since(r.since).Round(time.Millisecond))
	}
	r.since = time.Time{}
}

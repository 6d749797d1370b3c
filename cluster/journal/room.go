package journal

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// room waits for space on a full disk. Only what nothing rests on yet is tried again: a
// new segment, which is empty, and a new list of segments, whose predecessor stands. To
// those who wait for the journal a full disk is one that hangs.
type room struct {
	logger hclog.Logger

	mu    sync.Mutex
	ended chan struct{} // closed when nobody waits any more; nil while nobody waits yet
	since time.Time     // when the disk was found to be full; zero while it is not
}

// roomPause is between two tries.
const roomPause = 200 * time.Millisecond

// begin has those who find the disk full wait for space. Before, whoever opens the journal
// should rather hear of it.
func (r *room) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = make(chan struct{})
}

// giveUp ends the waiting.
func (r *room) giveUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended != nil {
		close(r.ended)
		r.ended = nil
	}
}

// try does something, again and again while the disk is full.
func (r *room) try(what string, do func() error) error {
	err := do()
	r.mu.Lock()
	ended := r.ended
	if !isFull(err) || ended == nil {
		r.mu.Unlock()
		return err
	}
	r.since = time.Now()
	r.mu.Unlock()
	r.logger.Error("the disk is full: nothing is written until there is room; nothing is lost", "for", what, "error", err)
	pause := time.NewTicker(roomPause)
	defer pause.Stop()
	for isFull(err) {
		select {
		case <-ended:
			return err
		case <-pause.C:
		}
		err = do()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logger.Warn("the disk has room again", "after", time.Since(r.since).Round(time.Millisecond))
	r.since = time.Time{}
	return err
}

// fullSince is when the disk was found to be full; zero while it is not.
func (r *room) fullSince() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

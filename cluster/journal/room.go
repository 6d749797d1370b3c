package journal

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft-wal/types"
)

// room waits for space on a full disk. Only what nothing rests on yet is tried again: a
// new segment, which is empty, a new list of segments, whose predecessor stands, and a write
// that found no room, before it is synced. To those who wait for the journal a full disk is
// one that hangs.
type room struct {
	logger hclog.Logger

	mu      sync.Mutex
	ended   chan struct{} // closed when nobody waits any more; nil while nobody waits yet
	waiting int           // how many wait
	since   time.Time     // when the disk was found to be full; zero while it is not
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
	if !isFull(err) {
		return err
	}
	ended := r.wait(what, err)
	if ended == nil {
		return err
	}
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
	r.goOn(err)
	return err
}

// wait notes that somebody waits from now on, and returns what ends that; nil if nobody may
// wait.
func (r *room) wait(what string, err error) (ended chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended == nil {
		return nil
	}
	if r.waiting++; r.waiting == 1 {
		r.since = time.Now()
		r.logger.Error("the disk is full: nothing is written until there is room; nothing is lost", "for", what, "error", err)
	}
	return r.ended
}

// goOn notes that somebody waits no more: there is room, or something else is wrong.
func (r *room) goOn(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting--; r.waiting == 0 && err == nil {
		r.logger.Warn("the disk has room again", "after", time.Since(r.since).Round(time.Millisecond))
		r.since = time.Time{}
	}
}

// fullSince is when the disk was found to be full; zero while it is not.
func (r *room) fullSince() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// roomy is a file system whose files are written to when there is room. Segments are as long
// as they will be from the beginning, but for raft-wal's last batch and index of each, which
// lie behind that; where nothing can be reserved, any write may have to wait.
type roomy struct {
	types.VFS
	room *room
}

func (v roomy) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := v.VFS.Create(dir, name, size)
	return roomyFile{f, v.room}, err
}

func (v roomy) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := v.VFS.OpenWriter(dir, name)
	return roomyFile{f, v.room}, err
}

type roomyFile struct {
	types.WritableFile
	room *room
}

// WriteAt writes b as a whole: what was written of it before the disk was full is written again.
func (f roomyFile) WriteAt(b []byte, at int64) (n int, err error) {
	err = f.room.try("a batch", func() (err error) {
		n, err = f.WritableFile.WriteAt(b, at)
		return err
	})
	return n, err
}

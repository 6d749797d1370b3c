package kv

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/go-hclog"
)

// room waits for space on a full disk. Pebble asks it to when a write found none, which it
// tries once more afterwards: what it writes is new files, on which nothing rests before
// they are whole. Reads go on, and writes until memory is full.
type room struct {
	fs    vfs.FS
	dir   string
	log   hclog.Logger
	ended chan struct{} // closed when nobody waits any more
	once  sync.Once
	need  uint64 // bytes that have to be free before Pebble goes on
}

// roomPause is between two looks at the space.
const roomPause = 200 * time.Millisecond

func (r *room) wait() {
	r.log.Error("the disk is full: the state is written to it when there is room; nothing is lost", "need", r.need)
	pause := time.NewTicker(roomPause)
	defer pause.Stop()
	for {
		usage, err := r.fs.GetDiskUsage(r.dir)
		if err != nil || usage.AvailBytes >= r.need {
			r.log.Warn("the disk has room again", "bytes", usage.AvailBytes)
			return
		}
		select {
		case <-r.ended:
			return
		case <-pause.C:
		}
	}
}

// giveUp ends the waiting: what waits fails.
func (r *room) giveUp() { r.once.Do(func() { close(r.ended) }) }

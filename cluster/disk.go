package cluster

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// This file watches the disk of a node from the side. Nothing here decides anything: what
// keeps a leader with a disk that hangs out of office is in actors/disk.go, and what has
// writes refused is the gateway's alarm, which is a decree.

// DiskStatus is how the disk of a node is doing.
type DiskStatus struct {
	Waits  time.Duration // for how long the oldest write has been waiting for it
	Free   int64         // bytes; -1 where that is not known
	Files  int64         // number of files that can be made; -1 where that is not known
	Full   bool          // an operation waits for space, an inode or a quota
	Short  bool          // Full, or Free or Files is less than its reserve
	Damage error         // in its files, as the last look at them found; nil is none
	Scarce bool          // and of the acceptors in reach, a majority of all, so many that too few have room
	// Unflushed is for how long the state has not been made durable, which its journal has to
	// make up for; 0 while that takes no longer than it should.
	Unflushed time.Duration
}

// diskLook is how often the disk is looked at.
const diskLook = 250 * time.Millisecond

// roomAgain is how much of the reserve, in percent, has to be free for a disk not to be
// short any more.
const roomAgain = 125

// diskWatch is what watchDisk knows.
type diskWatch struct {
	free  atomic.Int64
	files atomic.Int64
	short atomic.Bool
	hung  time.Time // when what hangs was to be written; zero when nothing does
	stale int       // number of looks in a row that found the state not made durable
}

// diskStatus is what a status shows of the disk.
func (n *Node) diskStatus(s *Status) DiskStatus {
	d := DiskStatus{
		Free: n.disk.free.Load(), Files: n.disk.files.Load(), Full: n.diskIsFull(), Short: n.disk.short.Load(),
		Waits: n.diskWaits(), Unflushed: n.unflushed(),
	}
	if err := n.damage.Load(); err != nil {
		d.Damage = *err
	}
	d.Scarce = d.Short && s.lacksRoom()
	return d
}

// lacksRoom tells whether, of the acceptors in reach of this node, whose own disk is short,
// too few have room. Who is cut off, or has just begun, knows nothing of the others' disks.
func (s *Status) lacksRoom() bool {
	reached, left := 0, 0
	acceptors := s.Configuration.Acceptors()
	for _, a := range acceptors {
		member := a.Member()
		here := member == s.Member
		if !here && !s.Transport.Peers[member].Connected {
			continue
		}
		reached++
		if !here && !s.Replica.Short[actors.ReplicaAddr(member)] {
			left++
		}
	}
	return 2*reached > len(acceptors) && 2*left <= len(acceptors)
}

// diskWaits is how long the oldest write has been waiting for the disk; 0 when none is.
func (n *Node) diskWaits() time.Duration {
	oldest := n.journal.Stats().OldestWaiting
	if oldest.IsZero() {
		return 0
	}
	return time.Since(oldest)
}

// watchDisk looks at the disk until the node ends.
func (n *Node) watchDisk() {
	ticks := time.NewTicker(diskLook)
	defer ticks.Stop()
	for {
		n.seeWhetherItHangs()
		n.seeWhetherItIsFlushed()
		n.measureRoom()
		if m, ok := n.machine.(interface{ Failure() error }); ok && m.Failure() != nil {
			n.fail(fmt.Errorf("cluster: the state machine failed: %w", m.Failure()))
			return
		}
		select {
		case <-n.ending:
			return
		case <-ticks.C:
		}
	}
}

// seeWhetherItHangs says when the disk hangs and when it goes on.
func (n *Node) seeWhetherItHangs() {
	limit, waits, d := n.options.Protocol.DiskTimeout, n.diskWaits(), &n.disk
	switch {
	case limit > 0 && waits > limit && d.hung.IsZero():
		d.hung = time.Now().Add(-waits)
		n.options.Logger.Error("the disk hangs: it completes no write. The others go on without this node, which neither is in office nor runs for it",
			"for", waits.Round(time.Millisecond), "dir", n.options.DataDir)
	case waits <= limit && !d.hung.IsZero():
		n.options.Logger.Warn("the disk completes writes again", "after", time.Since(d.hung).Round(time.Millisecond))
		d.hung = time.Time{}
	}
}

// leastUnflushed is for how long a state must not have been made durable before that is worth a
// word, flushesMissed is the number of flushes that must be missing in a row, and staleLooks that of
// the looks that must find it so: a process that was stopped finds it once.
const (
	leastUnflushed = 20 * time.Second
	flushesMissed  = 5
	staleLooks     = 2
)

// unflushed is for how long the state has not been made durable; 0 while that is as it should be.
func (n *Node) unflushed() time.Duration {
	since := time.Since(n.counts.durableAt())
	if since < max(leastUnflushed, flushesMissed*n.options.Protocol.Flush) {
		return 0
	}
	return since
}

// seeWhetherItIsFlushed says when the state is not made durable, and when it is again.
func (n *Node) seeWhetherItIsFlushed() {
	since, d := n.unflushed(), &n.disk
	switch {
	case since > 0:
		if d.stale++; d.stale == staleLooks {
			n.options.Logger.Error("the state is not made durable: the journal grows until it is", "for", since.Round(time.Second), "disk full", n.diskIsFull(), "dir", n.options.DataDir)
		}
	case d.stale >= staleLooks:
		n.options.Logger.Warn("the state is made durable again")
		fallthrough
	default:
		d.stale = 0
	}
}

// diskIsFull reports whether an operation of the journal, the state or the identity waits for room.
func (n *Node) diskIsFull() bool {
	if m, ok := n.machine.(interface{ FullSince() time.Time }); ok && !m.FullSince().IsZero() {
		return true
	}
	return !n.room.Since().IsZero() || !n.journal.Stats().FullSince.IsZero()
}

// measureRoom says when the disk is short of room, to the operator and, by way of the
// replica, to the other nodes.
func (n *Node) measureRoom() {
	d := &n.disk
	left, err := n.options.room()
	if err != nil {
		left = space{free: -1, files: -1}
	}
	d.free.Store(left.free)
	d.files.Store(left.files)
	short, full := d.short.Load(), n.diskIsFull()
	switch isShort := left.isShort(short, full, n.options.DiskReserve); {
	case isShort && !short:
		n.options.Logger.Warn("the disk is nearly full. Where a majority's are, writes are refused until there is room; where one is full, the others go on without its node",
			"free", left.free, "reserve", n.options.DiskReserve, "files", left.files, "full", full, "dir", n.options.DataDir)
	case short && !isShort:
		n.options.Logger.Info("the disk has room again", "free", left.free)
	default:
		return
	}
	d.short.Store(!short)
	n.tree.Send(actors.ReplicaAddr(n.options.Member), &messages.Flushed{Short: !short})
}

const (
	// leastReserve is the part of a file system, one in so many, that is reserve enough: a
	// small one would have too little room from the start.
	leastReserve = 10
	// filesReserve is the number of files that a disk must have room for, as DiskReserve is of bytes.
	filesReserve = 1000
)

// space is how much room a file system has, and how large it is. A file system that counts no
// inodes has -1 files.
type space struct{ free, total, files, totalFiles int64 }

// isShort reports whether a disk that was short, or was not, is short now: it is full, or less
// than the reserve is known to be left. An unknown number, which is negative, says nothing.
func (s space) isShort(was, full bool, reserve int64) bool {
	reserve, files := min(reserve, s.total/leastReserve), min(filesReserve, s.totalFiles/leastReserve)
	if was {
		reserve, files = reserve/100*roomAgain, files*roomAgain/100
	}
	return full || s.free >= 0 && s.free < reserve || s.files >= 0 && s.files < files
}

// room is how much room the disk of the data directory has.
func (o *Options) room() (space, error) {
	if o.FreeBytes != nil {
		free, err := o.FreeBytes()
		return space{free: free, total: math.MaxInt64, files: -1}, err
	}
	return roomOf(o.DataDir)
}

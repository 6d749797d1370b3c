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
	Short  bool          // Free is less than Options.DiskReserve, or than a tenth of a small disk
	Damage error         // in its files, as the last look at them found; nil is none
	Scarce bool          // and of the acceptors in reach, a majority of all, so many that too few have room
}

// diskLook is how often the disk is looked at.
const diskLook = 250 * time.Millisecond

// roomAgain is how much of the reserve, in percent, has to be free for a disk not to be
// short any more.
const roomAgain = 125

// diskWatch is what watchDisk knows.
type diskWatch struct {
	free  atomic.Int64
	short atomic.Bool
	hung  time.Time // when what hangs was to be written; zero when nothing does
}

// diskStatus is what a status shows of the disk.
func (n *Node) diskStatus(s *Status) DiskStatus {
	d := DiskStatus{Free: n.disk.free.Load(), Short: n.disk.short.Load(), Waits: n.diskWaits()}
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

// measureRoom says when the disk is short of room, to the operator and, by way of the
// replica, to the other nodes.
func (n *Node) measureRoom() {
	d := &n.disk
	free, total, err := n.options.room()
	if err != nil {
		d.free.Store(-1)
		return
	}
	reserve := min(n.options.DiskReserve, total/leastReserve)
	d.free.Store(free)
	short := d.short.Load()
	switch {
	case !short && free < reserve:
		n.options.Logger.Warn("the disk is nearly full. Where a majority's are, writes are refused until there is room; where one is full, the others go on without its node",
			"free", free, "reserve", reserve, "dir", n.options.DataDir)
	case short && free >= reserve/100*roomAgain:
		n.options.Logger.Info("the disk has room again", "free", free)
	default:
		return
	}
	d.short.Store(!short)
	n.tree.Send(actors.ReplicaAddr(n.options.Member), &messages.Flushed{Short: !short})
}

// leastReserve is the part of a file system, one in so many, that is reserve enough: a small
// one would have too little room from the start.
const leastReserve = 10

// room is how much room the disk of the data directory has, and how large it is.
func (o *Options) room() (free, total int64, err error) {
	if o.FreeBytes != nil {
		free, err = o.FreeBytes()
		return free, math.MaxInt64, err
	}
	return roomOf(o.DataDir)
}

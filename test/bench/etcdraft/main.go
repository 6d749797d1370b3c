// Command etcdraft measures etcd-io/raft as the library of pmmc is measured: three nodes
// in one process, TCP on loopback, etcd's own WAL with an fsync for each batch. Proposals
// that wait go into one message, the leader sends while it writes, and frames are of many
// messages.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/test/bench/load"
)

// proposal waits until its entry is applied.
type proposal struct {
	data []byte // with its number in front
	done chan struct{}
}

// node is one node: a goroutine that owns the raft, and one for each peer.
type node struct {
	id      uint64
	raw     *raft.RawNode
	memory  *raft.MemoryStorage
	wal     *wal.WAL
	inbox   chan []*raftpb.Message
	asked   chan *proposal
	peers   map[uint64]*link
	waiting map[uint64]*proposal
	applied int
	leads   atomic.Bool
	stop    chan struct{}
	running sync.WaitGroup
	next    uint64
}

// most is how many proposals go into one message.
const most = 4096

func newNode(id uint64, dir string) (*node, error) {
	w, err := wal.Create(zap.NewNop(), filepath.Join(dir, fmt.Sprint("n", id)), nil)
	if err != nil {
		return nil, err
	}
	n := &node{
		id: id, memory: raft.NewMemoryStorage(), wal: w, inbox: make(chan []*raftpb.Message, 1024), asked: make(chan *proposal, most),
		peers: make(map[uint64]*link), waiting: make(map[uint64]*proposal), stop: make(chan struct{}),
	}
	n.raw, err = raft.NewRawNode(&raft.Config{
		ID: id, ElectionTick: 10, HeartbeatTick: 1, Storage: n.memory, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256,
		MaxUncommittedEntriesSize: math.MaxUint64, PreVote: true, CheckQuorum: true, Logger: silence(),
	})
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return n, n.raw.Bootstrap([]raft.Peer{{ID: 1}, {ID: 2}, {ID: 3}})
}

// run is the loop that raft asks for.
func (n *node) run() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n.raw.Tick()
		case all := <-n.inbox:
			n.step(all)
		case p := <-n.asked:
			n.propose(p)
		case <-n.stop:
			return
		}
		for more := true; more; { // what has come meanwhile costs no fsync of its own
			select {
			case all := <-n.inbox:
				n.step(all)
			default:
				more = false
			}
		}
		for n.raw.HasReady() {
			if err := n.ready(); err != nil {
				fmt.Fprintln(os.Stderr, "etcdraft:", err)
				return
			}
		}
		n.leads.Store(n.raw.BasicStatus().RaftState == raft.StateLeader)
	}
}

func (n *node) step(all []*raftpb.Message) {
	for _, m := range all {
		_ = n.raw.Step(m) // what it drops is sent again
	}
}

// propose takes all that wait.
func (n *node) propose(first *proposal) {
	var entries []*raftpb.Entry
	add := func(p *proposal) {
		n.next++
		binary.LittleEndian.PutUint64(p.data, n.next)
		n.waiting[n.next] = p
		entries = append(entries, &raftpb.Entry{Data: p.data})
	}
	add(first)
	for len(entries) < most {
		select {
		case p := <-n.asked:
			add(p)
			continue
		default:
		}
		break
	}
	_ = n.raw.Step(&raftpb.Message{Type: raftpb.MsgProp.Enum(), From: &n.id, Entries: entries})
}

// ready sends, writes, and applies. A leader sends what it writes at the same time; what
// others say rests on what is on disk.
func (n *node) ready() error {
	rd := n.raw.Ready()
	leads := n.raw.BasicStatus().RaftState == raft.StateLeader
	if leads {
		n.send(rd.Messages)
	}
	if err := n.wal.Save(rd.HardState, rd.Entries); err != nil {
		return err
	}
	if err := n.memory.Append(rd.Entries); err != nil {
		return err
	}
	if !leads {
		n.send(rd.Messages)
	}
	for _, e := range rd.CommittedEntries {
		n.apply(e)
	}
	n.raw.Advance(rd)
	return nil
}

func (n *node) apply(e *raftpb.Entry) {
	switch {
	case e.GetType() == raftpb.EntryConfChange:
		var c raftpb.ConfChange
		if err := proto.Unmarshal(e.Data, &c); err == nil {
			n.raw.ApplyConfChange(&c)
		}
		return
	case len(e.Data) == 0:
		return
	}
	n.applied++
	if len(n.waiting) == 0 {
		return // not the leader
	}
	number := binary.LittleEndian.Uint64(e.Data)
	if p, ok := n.waiting[number]; ok {
		delete(n.waiting, number)
		close(p.done)
	}
}

func (n *node) send(all []*raftpb.Message) {
	for id, l := range n.peers {
		var its []*raftpb.Message
		for _, m := range all {
			if m.GetTo() == id {
				its = append(its, m)
			}
		}
		if len(its) > 0 {
			l.send(its)
		}
	}
}

// Propose is called for the leader.
func (n *node) Propose(ctx context.Context, operation []byte) error {
	p := &proposal{data: append(make([]byte, 8, 8+len(operation)), operation...), done: make(chan struct{})}
	select {
	case n.asked <- p:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func start(dir string) (load.Proposer, func(), error) {
	var all []*node
	stop := func() {
		for _, n := range all {
			close(n.stop)
			for _, l := range n.peers {
				l.close()
			}
		}
		for _, n := range all {
			n.running.Wait()
			_ = n.wal.Close() // it was measured already
		}
	}
	for id := range uint64(3) {
		n, err := newNode(id+1, dir)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, n)
	}
	if err := connect(all); err != nil {
		return nil, nil, err
	}
	for _, n := range all {
		n.running.Go(n.run)
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		for _, n := range all {
			if n.leads.Load() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				err := n.Propose(ctx, []byte("first"))
				if cancel(); err == nil {
					return n, stop, nil
				}
			}
		}
	}
	stop()
	return nil, nil, errors.New("no leader")
}

func main() { load.Library("etcd-io/raft", start) }

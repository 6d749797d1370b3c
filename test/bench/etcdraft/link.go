package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"log"
	"net"
	"sync"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// link is the way to a peer: a connection, and a queue in front of it.
type link struct {
	conn  net.Conn
	queue chan []*raftpb.Message
	once  sync.Once
	ended chan struct{}
}

func (l *link) send(all []*raftpb.Message) {
	select {
	case l.queue <- all:
	default: // raft sends again
	}
}

func (l *link) close() {
	l.once.Do(func() {
		close(l.ended)
		_ = l.conn.Close() // its reader ends
	})
}

// write writes frames: a length, and the message.
func (l *link) write() {
	out := bufio.NewWriterSize(l.conn, 1<<20)
	var frame []byte
	for {
		select {
		case all := <-l.queue:
			for _, m := range all {
				var err error
				if frame, err = (proto.MarshalOptions{}).MarshalAppend(append(frame[:0], 0, 0, 0, 0), m); err != nil {
					return
				}
				binary.LittleEndian.PutUint32(frame, uint32(len(frame)-4))
				if _, err := out.Write(frame); err != nil {
					return
				}
			}
			if len(l.queue) == 0 && out.Flush() != nil {
				return
			}
		case <-l.ended:
			return
		}
	}
}

// read hands what comes to a node.
func read(conn net.Conn, n *node) {
	in := bufio.NewReaderSize(conn, 1<<20)
	var head [4]byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		frame := make([]byte, binary.LittleEndian.Uint32(head[:]))
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		m := &raftpb.Message{}
		if err := proto.Unmarshal(frame, m); err != nil {
			return
		}
		select {
		case n.inbox <- []*raftpb.Message{m}:
		case <-n.stop:
			return
		}
	}
}

// connect connects each node with each other, a connection for each direction.
func connect(all []*node) error {
	for _, to := range all {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		for _, from := range all {
			if from == to {
				continue
			}
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				return err
			}
			accepted, err := l.Accept()
			if err != nil {
				return err
			}
			way := &link{conn: conn, queue: make(chan []*raftpb.Message, 4096), ended: make(chan struct{})}
			from.peers[to.id] = way
			from.running.Go(way.write)
			to.running.Go(func() { read(accepted, to) })
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

func silence() raft.Logger { return &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)} }

package etcd

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/etcd/tests/v3/robustness/model"
	"go.etcd.io/etcd/tests/v3/robustness/report"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster/trace"
	"github.com/pmmc-go/pmmc/messages"
)

// decidedRequests are those that the cluster decided, in the order of their slots, each
// once, as etcd's validators want them. They come from the decisions in the nodes' traces;
// etcd's own reader of its log turns them into what its model knows.
func decidedRequests(t *testing.T, traces []string) []model.EtcdRequest {
	t.Helper()
	decided := make(map[uint64][]byte)
	for _, name := range traces {
		if err := readDecisions(name, decided); err != nil {
			t.Fatal(err)
		}
	}
	operations, err := executed(decided)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := writeWAL(dir, operations); err != nil {
		t.Fatal(err)
	}
	requests, err := report.PersistedRequests(zap.NewNop(), []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	return requests
}

// readDecisions adds the decrees of a trace, by slot. A commander tells the replica beside
// it the whole decision; others are told its name.
func readDecisions(name string, decided map[uint64][]byte) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	for r := trace.NewReader(in, name); ; {
		e, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if d, ok := e.Message.(*messages.Decision); ok && d.Pvalue != nil {
			decided[d.Pvalue.Slot] = d.Pvalue.Decree
		}
	}
}

// told is what replicas know of a client (S6): commands of earlier incarnations, and
// those that it has given up, are not executed any more, nor is one twice.
type told struct {
	incarnation, settled uint64
	seen                 map[uint64]bool
}

// executed lists the operations of the decrees that replicas execute, in their order.
func executed(decided map[uint64][]byte) (operations [][]byte, err error) {
	sessions := make(map[uint32]*told)
	next := uint64(1)
	for _, slot := range slices.Sorted(maps.Keys(decided)) {
		if slot != next {
			return nil, fmt.Errorf("the traces have no decision for slot %d, but one for %d", next, slot)
		}
		next++
		var d messages.Decree
		if err := proto.Unmarshal(decided[slot], &d); err != nil {
			return nil, fmt.Errorf("slot %d: %w", slot, err)
		}
		settled := make(map[*told]uint64) // from the next slot on
		for _, c := range d.Commands {
			s := sessions[c.Client]
			if s == nil || s.incarnation < c.Incarnation {
				s = &told{incarnation: c.Incarnation, seen: make(map[uint64]bool)}
				sessions[c.Client] = s
			}
			if c.Incarnation < s.incarnation || c.Sequence < s.settled || s.seen[c.Sequence] {
				continue
			}
			s.seen[c.Sequence] = true
			settled[s] = max(settled[s], c.Settled)
			if c.Configuration == nil {
				operations = append(operations, c.Operation)
			}
		}
		for s, below := range settled {
			s.settled = max(s.settled, below)
		}
	}
	return operations, nil
}

// writeWAL writes operations as etcd would have logged them. Those that etcd's model does
// not know, of members' own business, are left out.
func writeWAL(dir string, operations [][]byte) error {
	path := filepath.Join(dir, "member", "wal")
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	w, err := wal.Create(zap.NewNop(), path, nil)
	if err != nil {
		return err
	}
	if err := w.SaveSnapshot(&walpb.Snapshot{Index: new(uint64), Term: new(uint64), ConfState: &raftpb.ConfState{}}); err != nil {
		return errors.Join(err, w.Close())
	}
	index := uint64(0)
	var entries []*raftpb.Entry
	for _, o := range operations {
		var op pb.InternalRaftRequest
		if err := proto.Unmarshal(o, &op); err != nil {
			return errors.Join(err, w.Close())
		}
		if op.LeaseCheckpoint != nil || op.Alarm != nil {
			continue
		}
		index++
		entries = append(entries, &raftpb.Entry{Term: proto.Uint64(1), Index: proto.Uint64(index), Type: raftpb.EntryNormal.Enum(), Data: o})
	}
	state := &raftpb.HardState{Term: proto.Uint64(1), Commit: proto.Uint64(index)}
	return errors.Join(w.Save(state, entries), w.Close())
}

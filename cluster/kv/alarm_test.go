package kv_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

func alarm(action pb.AlarmRequest_AlarmAction, member uint64) *pb.InternalRaftRequest {
	return &pb.InternalRaftRequest{Alarm: &pb.AlarmRequest{Action: action, MemberID: member, Alarm: pb.AlarmType_NOSPACE}}
}

func raise(member uint64) *pb.InternalRaftRequest {
	return alarm(pb.AlarmRequest_ACTIVATE, member)
}

func takeBack(member uint64) *pb.InternalRaftRequest {
	return alarm(pb.AlarmRequest_DEACTIVATE, member)
}

func (n *node) wantAlarms(members ...uint64) {
	n.t.Helper()
	got := n.Alarms()
	ok := len(got) == len(members) && n.NoSpace() == (len(members) > 0)
	for i := range members {
		ok = ok && got[i].MemberID == members[i] && got[i].Alarm == pb.AlarmType_NOSPACE
	}
	if !ok {
		n.t.Errorf("alarms = %v, want those of %v", got, members)
	}
}

// While an alarm is raised, by whomever, what takes space is refused, by replicated state
// alone; what makes room is not.
func TestAlarmRefusesWhatTakesSpace(t *testing.T) {
	n := newNode(t)
	n.put("a", "1")
	n.put("a", "2")
	n.mustDo(raise(2))
	n.mustDo(raise(1))
	n.wantAlarms(1, 2)
	nested := func(op *pb.RequestOp) *pb.RequestOp {
		return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{Failure: []*pb.RequestOp{op}}}}
	}
	putOp := &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put("b", "1").Put}}
	delOp := &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: del("none", "").DeleteRange}}
	refused := []*pb.InternalRaftRequest{
		put("b", "1"),
		{Txn: &pb.TxnRequest{Success: []*pb.RequestOp{delOp}, Failure: []*pb.RequestOp{putOp}}},
		{Txn: &pb.TxnRequest{Success: []*pb.RequestOp{nested(putOp)}}},
		{LeaseGrant: &pb.LeaseGrantRequest{ID: 7, TTL: 60}},
	}
	allowed := []*pb.InternalRaftRequest{
		del("a", ""), compact(4), {Txn: &pb.TxnRequest{Success: []*pb.RequestOp{nested(delOp)}}},
	}
	for _, op := range refused {
		if _, err := n.do(op); err != rpctypes.ErrGRPCNoSpace {
			t.Errorf("%v: %v, want %v", op, err, rpctypes.ErrGRPCNoSpace)
		}
	}
	for _, op := range allowed {
		n.mustDo(op)
	}
	n.mustDo(takeBack(2))
	if _, err := n.do(put("b", "1")); err != rpctypes.ErrGRPCNoSpace {
		t.Errorf("a put with one of two alarms taken back: %v", err)
	}
	n.mustDo(takeBack(1))
	for _, op := range refused {
		n.mustDo(op)
	}
}

// As in etcd, an alarm that is raised again is told, one that is taken back again is not,
// and neither is a revision.
func TestAlarmResponses(t *testing.T) {
	n := newNode(t)
	for _, tt := range []struct {
		op   *pb.InternalRaftRequest
		want int
	}{{takeBack(3), 0}, {raise(3), 1}, {raise(3), 1}, {takeBack(3), 1}, {takeBack(3), 0}} {
		r := n.mustDo(tt.op).(*pb.AlarmResponse)
		if len(r.Alarms) != tt.want || r.Header.Revision != 1 || tt.want == 1 && r.Alarms[0].MemberID != 3 {
			t.Errorf("%v: %v, want %d alarms at revision 1", tt.op, r, tt.want)
		}
	}
	for _, bad := range []*pb.AlarmRequest{
		{Action: pb.AlarmRequest_GET, MemberID: 1, Alarm: pb.AlarmType_NOSPACE},
		{Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_NOSPACE},
		{Action: pb.AlarmRequest_ACTIVATE, MemberID: 1, Alarm: pb.AlarmType_NONE},
	} {
		if _, err := n.do(&pb.InternalRaftRequest{Alarm: bad}); err != kv.ErrMalformed {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// Alarms are state: within a slot, after a slot without operations, after a restart and
// in a snapshot.
func TestAlarmsLast(t *testing.T) {
	n := newNode(t)
	results := n.execute(raise(5), put("a", "1"), takeBack(5), put("a", "2"), raise(6))
	if _, err := kv.DecodeResult(results[1]); err != rpctypes.ErrGRPCNoSpace {
		t.Errorf("a put behind an alarm in its slot: %v", err)
	}
	if _, err := kv.DecodeResult(results[3]); err != nil {
		t.Errorf("a put behind the end of an alarm in its slot: %v", err)
	}
	n.wantAlarms(6)
	if err := n.Commit(n.slot, nil); err != nil {
		t.Fatal(err)
	}
	n.slot++
	n.wantAlarms(6)
	n = n.reopened()
	n.wantAlarms(6)
	snapshot, err := n.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := snapshot.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if err := snapshot.(*kv.Snapshot).Close(); err != nil {
		t.Fatal(err)
	}
	other := newNode(t)
	other.mustDo(raise(9))
	if err := other.Restore(&b); err != nil {
		t.Fatal(err)
	}
	other.wantAlarms(6)
}

// noise does not compress.
func noise(random *rand.Rand, size int) string {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

// What is in use grows with what is written, at once, and comes back after a deletion and
// a compaction, while a reader goes on. What was committed says how much it can have grown.
func TestSizeInUse(t *testing.T) {
	n := openNode(t, vfs.NewMem())
	random := rand.New(rand.NewPCG(1, 1))
	const keys, size = 16, 64 << 10
	before, committed := n.SizeInUse(), n.Committed()
	for i := range keys {
		n.put(string(rune('a'+i)), noise(random, size))
	}
	inMemory, grown := n.SizeInUse()-before, n.Committed()-committed
	const twice = 1 << 20 // what Pebble has flushed by itself counts as in memory, too, up to a memtable
	if inMemory < keys*size || inMemory > grown+twice || grown > keys*size*5/4 {
		t.Errorf("%d bytes are written: %d more in use, %d committed", keys*size, inMemory, grown)
	}
	n.flush()
	onDisk := n.SizeInUse() - before
	if onDisk < keys*size || onDisk > keys*size*5/4 {
		t.Errorf("%d bytes are on disk: %d in use", keys*size, onDisk)
	}
	n.delete("a", "\x00")
	n.compact(n.Revision())
	if err := n.Reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.flush()
	if left := n.SizeInUse(); left > size {
		t.Errorf("%d bytes are in use when all is deleted", left)
	}
	n.put("a", "1") // it goes on
}

// CORRUPT is kept beside NOSPACE, also of the same member, and refuses nothing here.
func TestCorruptIsAnAlarmOfItsOwn(t *testing.T) {
	n := newNode(t)
	corrupt := func(action pb.AlarmRequest_AlarmAction) *pb.InternalRaftRequest {
		return &pb.InternalRaftRequest{Alarm: &pb.AlarmRequest{Action: action, MemberID: 3, Alarm: pb.AlarmType_CORRUPT}}
	}
	n.mustDo(corrupt(pb.AlarmRequest_ACTIVATE))
	n.put("a", "1")
	n.mustDo(raise(3))
	n = n.reopened()
	if got := n.Alarms(); len(got) != 2 || !n.NoSpace() || !n.Corrupt() {
		t.Errorf("alarms %v", got)
	}
	n.mustDo(takeBack(3))
	if got := n.Alarms(); len(got) != 1 || n.NoSpace() || !n.Corrupt() {
		t.Errorf("alarms %v", got)
	}
	n.mustDo(corrupt(pb.AlarmRequest_DEACTIVATE))
	if n.Corrupt() {
		t.Error("the alarm was not taken back")
	}
}

package kv_test

import (
	"context"
	"fmt"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

func TestCompact(t *testing.T) {
	n := newNode(t)
	if n.CompactRevision() != -1 {
		t.Errorf("a new store is compacted to %d, want -1", n.CompactRevision())
	}
	for i := range 5 { // revisions 2 to 6
		n.put("a", fmt.Sprint(i))
	}
	tests := []struct {
		rev  int64
		want error
	}{
		{-1, rpctypes.ErrGRPCCompacted},
		{7, rpctypes.ErrGRPCFutureRev},
		{4, nil},
		{4, rpctypes.ErrGRPCCompacted},
		{3, rpctypes.ErrGRPCCompacted},
		{6, nil},
		{6, rpctypes.ErrGRPCCompacted},
	}
	for _, tt := range tests {
		response, err := n.do(compact(tt.rev))
		if err != tt.want {
			t.Errorf("compact %d: %v, want %v", tt.rev, err, tt.want)
		}
		if err == nil && response.(*pb.CompactionResponse).Header.Revision != 6 {
			t.Errorf("compact %d answers %v", tt.rev, response)
		}
	}
	if got := briefs(n.all(6).Kvs); got != "a=4 2/6/5, " {
		t.Errorf("at the compacted revision there is %s", got)
	}
	n = n.reopened()
	if n.CompactRevision() != 6 {
		t.Errorf("after a restart the store is compacted to %d, want 6", n.CompactRevision())
	}
	if _, err := n.Range(context.Background(), &pb.RangeRequest{Key: []byte("a"), Revision: 5}); err != rpctypes.ErrGRPCCompacted {
		t.Errorf("after a restart, at revision 5: %v", err)
	}
}

// What no reader can see any more leaves the disk, and nothing else does.
func TestCompactionRemovesWhatNobodySees(t *testing.T) {
	n := newNode(t)
	for i := range 10 { // 2 to 11
		n.put("a", fmt.Sprint(i))
	}
	n.put("b", "1")    // 12
	n.delete("b", "")  // 13
	n.put("c", "1")    // 14
	n.put("d", "1")    // 15
	n.delete("d", "")  // 16
	n.put("d", "2")    // 17
	n.put("e", "once") // 18
	n.delete("e", "")  // 19
	count := func() int {
		versions, history, err := n.Versions()
		if err != nil {
			t.Fatal(err)
		}
		if versions != history {
			t.Errorf("%d versions, and %d in the history", versions, history)
		}
		return versions
	}
	steps := []struct {
		rev  int64
		want int
	}{
		{5, 18 - 3},   // a keeps its 4th version and later ones
		{12, 18 - 9},  // a, its last; b
		{13, 18 - 10}, // the deletion of b
		{18, 18 - 13}, // a, c, d, e; and the deletion of e
		{19, 4},       // a, c, d; and the deletion of e
	}
	for _, step := range steps {
		want := briefs(n.all(step.rev).Kvs)
		n.compact(step.rev)
		n.sweep()
		if got := count(); got != step.want {
			t.Errorf("compacted to %d: %d versions remain, want %d", step.rev, got, step.want)
		}
		if got := briefs(n.all(step.rev).Kvs); got != want {
			t.Errorf("compacted to %d: there is %s, want %s", step.rev, got, want)
		}
	}
}

// The compactor goes on after a restart where it was, and nobody sees how far it is.
func TestCompactionGoesOnAfterARestart(t *testing.T) {
	n, reference := newNode(t), newNode(t)
	n.StopCompactor()
	for _, m := range []*node{n, reference} {
		var ops []*pb.InternalRaftRequest
		for i := range 3 * 1000 {
			ops = append(ops, put(fmt.Sprint(i%700), fmt.Sprint(i)))
			if i%50 == 0 {
				ops = append(ops, del(fmt.Sprint(i%700), ""))
			}
		}
		m.execute(ops...)
		m.compact(m.Revision() - 100)
	}
	reference.sweep()
	last := n.Revision()
	same := func(when string) {
		t.Helper()
		for _, rev := range []int64{last - 100, last - 50, last} {
			if n.hash(rev) != reference.hash(rev) {
				t.Errorf("%s: hashes at %d differ", when, rev)
			}
			if briefs(n.all(rev).Kvs) != briefs(reference.all(rev).Kvs) {
				t.Errorf("%s: contents at %d differ", when, rev)
			}
		}
	}
	same("before")
	before, _, _ := n.Versions()
	more, err := n.SweepStep()
	if err != nil || !more {
		t.Fatalf("after one step: more = %t, %v", more, err)
	}
	if after, _, _ := n.Versions(); after >= before || before-after > 2*kv.CompactionStep {
		t.Errorf("a step went from %d versions to %d", before, after)
	}
	same("after a step")
	n = n.reopened()
	n.sweep()
	same("after all")
	got, _, _ := n.Versions()
	want, _, _ := reference.Versions()
	if got != want {
		t.Errorf("%d versions remain, want %d", got, want)
	}
}

func TestHashKV(t *testing.T) {
	one, two := newNode(t), newNode(t)
	for i := range 20 {
		key := fmt.Sprint(i % 3)
		one.put(key, fmt.Sprint(i))
		two.put(key, fmt.Sprint(i))
	}
	two.flush()
	for rev := int64(0); rev <= 21; rev++ {
		if one.hash(rev) != two.hash(rev) {
			t.Errorf("hashes at %d differ", rev)
		}
	}
	if one.hash(20) == one.hash(21) {
		t.Error("hashes of two revisions are equal")
	}
	at15 := one.hash(15)
	one.compact(10)
	if one.hash(15) == two.hash(15) {
		t.Error("the hash does not depend on the compacted revision")
	}
	two.compact(10)
	if one.hash(15) != two.hash(15) || one.hash(10) != two.hash(10) {
		t.Error("hashes of stores that are compacted alike differ")
	}
	if one.hash(15) == at15 {
		t.Error("a compaction has not changed the hash")
	}
	hash, compacted, rev, err := one.HashKV(context.Background(), 0)
	if err != nil || compacted != 10 || rev != 21 || hash != one.hash(21) {
		t.Errorf("hash of the newest: %x, %d, %d, %v", hash, compacted, rev, err)
	}
	if _, _, _, err := one.HashKV(context.Background(), 9); err != rpctypes.ErrGRPCCompacted {
		t.Errorf("hash at 9: %v", err)
	}
	if _, _, _, err := one.HashKV(context.Background(), 22); err != rpctypes.ErrGRPCFutureRev {
		t.Errorf("hash at 22: %v", err)
	}
	one.put("0", "x")
	two.put("0", "y")
	if one.hash(0) == two.hash(0) {
		t.Error("hashes of different values are equal")
	}
	one.compact(22)
	two.compact(22)
	if one.hash(22) == two.hash(22) {
		t.Error("hashes of different values are equal once compacted")
	}
}

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestQuota fills the database of one of three nodes, whose quota is the smallest: all
// refuse, also after the node in office was killed and has come back. When the keys are
// deleted and history is compacted, all take writes again.
func TestQuota(t *testing.T) {
	s := newSample(t, 3, "")
	s.write("beta", s.config(1)+"\nlimits {\n  quota = \"2MiB\"\n}\n")
	s.start(names...)
	c, first := s.client(0, 1, 2), s.client(0)
	random := rand.New(rand.NewPCG(1, 1))
	value := make([]byte, 256<<10) // that does not compress
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		for j := range value {
			value[j] = byte(random.Uint32())
		}
		_, err = first.Put(t.Context(), fmt.Sprint("key", i), string(value))
	}
	refused := func() {
		t.Helper()
		for i, name := range names {
			if _, err := s.client(i).Put(t.Context(), "a", "1"); !errors.Is(err, rpctypes.ErrNoSpace) {
				t.Errorf("%s: a put is answered with %v", name, err)
			}
		}
		if r, err := c.AlarmList(t.Context()); err != nil || len(r.Alarms) != 1 || r.Alarms[0].MemberID != 2 {
			t.Errorf("alarms = %v, %v", r, err)
		}
	}
	if !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Fatalf("a put beyond one node's quota: %v", err)
	}
	refused()
	leader := s.leader()
	s.nodes[leader].kill()
	s.start(leader)
	s.waitCaughtUp()
	refused()

	last, err := c.Delete(t.Context(), "key", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Compact(t.Context(), last.Header.Revision); err != nil {
		t.Fatal(err)
	}
	eventually(t, "taking writes again", func() error {
		_, err := c.Put(t.Context(), "a", "1")
		return err
	})
	s.sameKeys(0, 1, 2)
	s.stop()
}

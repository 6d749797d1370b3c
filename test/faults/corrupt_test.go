package faults

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

// TestAReplicaThatSkipsADecree has one replica of three execute one slot as if nothing had been
// decided there. They find out by their hashes, and nothing is answered until an operator has
// taken the alarms back. No member is blamed, though gamma stands alone: a majority can be wrong.
func TestAReplicaThatSkipsADecree(t *testing.T) {
	machines, skip := clustertest.KV(), false
	c := clustertest.NewWith(t, 3, clustertest.Options{Serve: true, Machine: func(member, dir string) (cluster.StateMachine, error) {
		m, err := machines(member, dir)
		if skip && err == nil {
			s := m.(*kv.Store)
			err = s.Commit(s.Executed(), nil)
		}
		return m, err
	}})
	client, ctx, written := c.Client("alpha", "beta"), t.Context(), 0
	put := func() error {
		written++
		_, err := client.Put(ctx, fmt.Sprint("key", written), "value")
		return err
	}
	for range 20 {
		if err := put(); err != nil {
			t.Fatal(err)
		}
	}
	c.WaitAgreement()
	gamma := c.Node("gamma")
	gamma.Stop()
	skip = true
	gamma.Start()
	c.Eventually("a put is refused", func() error {
		if err := put(); !errors.Is(err, rpctypes.ErrCorrupt) {
			return fmt.Errorf("after %d puts: %w", written, err)
		}
		return nil
	})
	c.Eventually("the members of both sides are named", func() error {
		r, err := client.AlarmList(ctx)
		if err != nil {
			return err
		}
		named := make(map[uint64]bool)
		for _, a := range r.Alarms {
			named[a.MemberID] = a.Alarm == pb.AlarmType_CORRUPT
		}
		if !maps.Equal(named, map[uint64]bool{1: true, 2: true, 3: true}) {
			return fmt.Errorf("alarms of %v", named)
		}
		return nil
	})
	c.Eventually("alpha says who agrees with whom", func() error {
		s := c.Node("alpha").Status()
		for _, w := range s.Warnings(s) {
			if strings.HasPrefix(w, "alpha and gamma executed different decrees") && strings.HasSuffix(w, "; alpha agrees with beta") {
				return nil
			}
		}
		return fmt.Errorf("warnings: %q", s.Warnings(s))
	})
	if _, err := client.Get(ctx, "key1"); !errors.Is(err, rpctypes.ErrCorrupt) {
		t.Errorf("a read is answered with %v", err)
	}
	d := c.Node("alpha").Status().Replica.Diverged
	if len(d) != 1 || d[0].With != "gamma/replica" || d[0].First >= d[0].Below || d[0].Below-d[0].First > 64 {
		t.Errorf("alpha says: %v", d)
	}
}

package faults

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
)

// TestDisksNearlyFull fills the disks of one, two and all of three nodes. While a majority
// has room, writes go on, and there is no alarm; when it has none, writes are refused before
// the disks are full, and reads and deletions go on; when there is room again, the alarm
// ends by itself, and nothing that was acknowledged is missing.
func TestDisksNearlyFull(t *testing.T) {
	const reserve = 1 << 20
	free := make(map[string]*atomic.Int64)
	for _, name := range clustertest.Names[:3] {
		free[name] = new(atomic.Int64)
		free[name].Store(2 * reserve)
	}
	c := watched(t, 3, clustertest.Options{Machine: clustertest.KV(), Serve: true, Change: func(o *cluster.Options) {
		room := free[o.Member]
		o.DiskReserve = reserve
		o.FreeBytes = func() (int64, error) { return room.Load(), nil }
	}})
	client, ctx := c.Client(), t.Context()
	written := 0
	put := func() error {
		_, err := client.Put(ctx, fmt.Sprintf("key%04d", written), "value")
		if err == nil {
			written++
		}
		return err
	}
	free["alpha"].Store(reserve / 2)
	waitShort(c, "alpha")
	for range 50 {
		if err := put(); err != nil {
			t.Fatalf("one disk of three is nearly full: %v", err)
		}
	}
	waitAlarms(t, c, client, 0)

	free["beta"].Store(reserve / 2)
	waitAlarms(t, c, client, 2)
	free["gamma"].Store(reserve / 2)
	waitAlarms(t, c, client, 3)
	for _, name := range clustertest.Names[:3] {
		if _, err := c.Client(name).Put(ctx, "x", "y"); !errors.Is(err, rpctypes.ErrNoSpace) {
			t.Errorf("all disks are nearly full, and a put at %s is answered with %v", name, err)
		}
	}
	_, get := client.Get(ctx, "key0000")
	_, deletion := client.Delete(ctx, "nothing")
	if err := errors.Join(get, deletion); err != nil {
		t.Error(err)
	}

	for _, room := range free {
		room.Store(2 * reserve)
	}
	waitAlarms(t, c, client, 0)
	c.Eventually("writes are taken again", put)
	r, err := client.Get(context.Background(), "key", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil || r.Count != int64(written) {
		t.Errorf("%d keys, %v; %d were written", r.Count, err, written)
	}
}

// waitAlarms waits for a number of alarms, all of which are NOSPACE.
func waitAlarms(t *testing.T, c *clustertest.Cluster, client *clientv3.Client, want int) {
	t.Helper()
	c.Eventually(fmt.Sprintf("%d alarms", want), func() error {
		r, err := client.AlarmList(t.Context())
		if err != nil {
			return err
		}
		for _, a := range r.Alarms {
			if a.Alarm != pb.AlarmType_NOSPACE {
				t.Errorf("alarm %v", a)
			}
		}
		if len(r.Alarms) != want {
			return fmt.Errorf("there are %v", r.Alarms)
		}
		return nil
	})
}

// waitShort waits until all know that the disk of a member is nearly full.
func waitShort(c *clustertest.Cluster, name string) {
	c.Eventually("all know that the disk of "+name+" is nearly full", func() error {
		for _, n := range c.Running() {
			s := n.Status()
			if n.Name != name && !s.Replica.Short[actors.ReplicaAddr(name)] || n.Name == name && !s.Disk.Short {
				return fmt.Errorf("%s does not", n.Name)
			}
		}
		return nil
	})
}

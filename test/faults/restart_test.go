package faults

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
)

// unflushed is a cluster whose states are not made durable by themselves, so that a node that
// is killed comes back with the state of its first start.
func unflushed(t *testing.T) *clustertest.Cluster {
	p := cluster.DefaultProtocol()
	p.Flush = time.Hour
	return clustertest.NewWith(t, 3, clustertest.Options{Serve: true, Disk: true, Machine: clustertest.KV(), Protocol: &p})
}

// count writes the numbers 1 to n under one key and returns the last revision.
func count(t *testing.T, client *clientv3.Client, n int) (revision int64) {
	t.Helper()
	for i := 1; i <= n; i++ {
		r, err := client.Put(t.Context(), "count", strconv.Itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		revision = r.Header.Revision
	}
	return revision
}

// A node acknowledges writes, is killed and starts again. Nothing that it serves from then on
// is older than what it acknowledged, however early it is asked.
func TestARestartedNodeServesNothingOlderThanItAcknowledged(t *testing.T) {
	const n = 100
	c := unflushed(t)
	acknowledged := count(t, c.Client("beta"), n)
	for range 5 {
		c.Node("beta").Restart()
		client, ctx := c.Client("beta"), t.Context() // its first request finds the node at its beginning
		watch := client.Watch(ctx, "count", clientv3.WithCreatedNotify())
		r, err := client.Get(ctx, "count", clientv3.WithSerializable())
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Kvs) != 1 || string(r.Kvs[0].Value) != strconv.Itoa(n) || r.Header.Revision < acknowledged {
			t.Errorf("a serializable read: %v at revision %d, want %d at %d", r.Kvs, r.Header.Revision, n, acknowledged)
		}
		txn, err := client.Txn(ctx).Then(clientv3.OpGet("count", clientv3.WithSerializable())).Commit()
		if err != nil || txn.Header.Revision < acknowledged {
			t.Errorf("a transaction that reads: %v, %v", txn, err)
		}
		if w := <-watch; !w.Created || w.Header.Revision < acknowledged {
			t.Errorf("a watch was created at revision %d, want %d: %v", w.Header.Revision, acknowledged, w.Err())
		}
	}
}

// A snapshot that is saved from a node that has just started holds all that it acknowledged.
func TestASnapshotOfARestartedNodeHoldsWhatItAcknowledged(t *testing.T) {
	c := unflushed(t)
	acknowledged := count(t, c.Client("beta"), 100)
	c.Node("beta").Restart()
	stream, err := pb.NewMaintenanceClient(c.Client("beta").ActiveConnection()).Snapshot(t.Context(), &pb.SnapshotRequest{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if got := first.Header.Revision; got < acknowledged {
		t.Errorf("the snapshot is of revision %d, want %d", got, acknowledged)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	if !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// A node that has restarted and reaches no majority refuses to read, with an error on which
// etcd's clients turn to another node, which serves them. It still shows itself.
func TestARestartedNodeWithoutAMajorityReadsNothing(t *testing.T) {
	c := unflushed(t)
	count(t, c.Client("beta"), 100)
	c.WaitAgreement()
	c.Node("gamma").Kill()
	c.Node("beta").Kill()
	c.Isolate("beta")
	c.Node("beta").Start()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a watch that is served never ends by itself
	defer cancel()
	alone := c.Client("beta")

	conn := alone.ActiveConnection() // beside the client's retries
	_, err := pb.NewKVClient(conn).Range(ctx, &pb.RangeRequest{Key: []byte("count"), Serializable: true})
	wantUnavailable(t, "a serializable read", err)
	_, err = pb.NewKVClient(conn).Txn(ctx, &pb.TxnRequest{})
	wantUnavailable(t, "a transaction that only reads", err)
	snapshot, err := pb.NewMaintenanceClient(conn).Snapshot(ctx, &pb.SnapshotRequest{})
	if err == nil {
		_, err = snapshot.Recv()
	}
	wantUnavailable(t, "a snapshot", err)
	watch, err := pb.NewWatchClient(conn).Watch(ctx)
	if err == nil {
		_, err = watch.Recv()
	}
	wantUnavailable(t, "a watch", err)

	if _, err := alone.Status(ctx, c.Node("beta").Endpoint()); err != nil {
		t.Errorf("Status: %v", err)
	}
	if r, err := alone.MemberList(ctx, clientv3.WithSerializable()); err != nil || len(r.Members) != 3 {
		t.Errorf("MemberList: %v, %v", r, err)
	}
	for path, want := range map[string]int{"/livez": 200, "/metrics": 200, "/readyz": 503, "/health": 503} {
		if got := code(ctx, t, "http://"+c.Node("beta").HTTP()+path); got != want {
			t.Errorf("%s answers %d, want %d", path, got, want)
		}
	}

	r, err := c.Client("beta", "alpha").Get(ctx, "count", clientv3.WithSerializable())
	if err != nil || len(r.Kvs) != 1 || string(r.Kvs[0].Value) != "100" {
		t.Errorf("a client that also knows alpha: %v, %v", r, err)
	}
	c.Heal()
	r, err = alone.Get(ctx, "count", clientv3.WithSerializable())
	if err != nil || len(r.Kvs) != 1 || string(r.Kvs[0].Value) != "100" {
		t.Errorf("with a majority: %v, %v", r, err)
	}
}

func wantUnavailable(t *testing.T, what string, err error) {
	t.Helper()
	if status.Code(err) != codes.Unavailable {
		t.Errorf("%s: %v, want Unavailable", what, err)
	}
}

func code(ctx context.Context, t *testing.T, url string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	return resp.StatusCode
}

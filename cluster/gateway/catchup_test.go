package gateway

import (
	"errors"
	"net/http"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// behind starts a gateway whose node has just started and reaches no majority; catchUp is what
// ends that.
func behind(t *testing.T, change ...func(*Options)) (f *fixture, catchUp func()) {
	f = start(t, change...)
	f.put("key", "value")
	release := f.node.hold()
	f.node.change(func() { f.node.started = true })
	t.Cleanup(release)
	return f, func() {
		f.node.change(func() { f.node.started = false })
		release()
	}
}

// Requests that come before the node has caught up wait for it, and go on when it has.
func TestRequestsWaitUntilTheNodeHasCaughtUp(t *testing.T) {
	f, catchUp := behind(t)
	done := make(chan error, 3)
	go func() { _, err := f.Put(t.Context(), "key", "next"); done <- err }()
	go func() { _, err := f.Get(t.Context(), "key", clientv3.WithSerializable()); done <- err }()
	go func() { created := <-f.Watch(t.Context(), "key", clientv3.WithCreatedNotify()); done <- created.Err() }()
	f.node.waitHeld(t, 4) // and the gateway's own
	catchUp()
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	barriers := func() (n int) { f.node.change(func() { n = f.node.barriers }); return n }
	before := barriers()
	for range 10 {
		if _, err := f.Get(t.Context(), "key", clientv3.WithSerializable()); err != nil {
			t.Error(err)
		}
	}
	if n := barriers() - before; n != 0 {
		t.Errorf("%d barriers for serializable reads of a node that has caught up", n)
	}
}

// A request that waited for too long gets Unavailable, and its write was not proposed.
// Whatever shows the node is answered meanwhile.
func TestANodeThatIsBehindRefusesAndShowsItself(t *testing.T) {
	f, _ := behind(t, func(o *Options) { o.Limits.Timeout = 300 * time.Millisecond })
	raw := pb.NewKVClient(f.ActiveConnection()) // without the client's retries
	if _, err := raw.Range(t.Context(), &pb.RangeRequest{Key: []byte("key"), Serializable: true}); status.Code(err) != codes.Unavailable {
		t.Errorf("a read: %v", err)
	}
	var before, after int
	f.node.change(func() { before = f.node.proposed })
	if _, err := raw.Put(t.Context(), &pb.PutRequest{Key: []byte("key")}); status.Code(err) != codes.Unavailable {
		t.Errorf("a put: %v", err)
	}
	f.node.change(func() { after = f.node.proposed })
	if after != before {
		t.Error("the put was proposed")
	}
	if _, err := f.Status(t.Context(), f.gateway.ClientAddr()); err != nil {
		t.Errorf("Status: %v", err)
	}
	if _, err := f.HashKV(t.Context(), f.gateway.ClientAddr(), 0); err != nil {
		t.Errorf("HashKV: %v", err)
	}
	if _, err := f.MemberList(t.Context(), clientv3.WithSerializable()); err != nil {
		t.Errorf("MemberList: %v", err)
	}
	for path, want := range map[string]int{"/livez": http.StatusOK, "/metrics": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		if code, body := f.web(path); code != want {
			t.Errorf("%s: %d, want %d: %s", path, code, want, body)
		}
	}
}

// The alarm CORRUPT counts also where this node executes it only while a request waits.
func TestAnAlarmThatIsExecutedWhileANodeCatchesUp(t *testing.T) {
	f, catchUp := behind(t)
	done := make(chan error, 2)
	go func() { _, err := f.Put(t.Context(), "key", "next"); done <- err }()
	go func() { _, err := f.Get(t.Context(), "key"); done <- err }()
	f.node.waitHeld(t, 3)
	alarm, err := kv.Encode(&pb.InternalRaftRequest{Alarm: &pb.AlarmRequest{
		Action: pb.AlarmRequest_ACTIVATE, MemberID: 2, Alarm: pb.AlarmType_CORRUPT,
	}})
	if err != nil {
		t.Fatal(err)
	}
	f.node.change(func() { // another node proposed it
		f.node.slot++
		f.node.store.Apply(f.node.slot, [][]byte{alarm})
		err = f.node.store.Commit(f.node.slot, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	catchUp()
	for range cap(done) {
		if err := <-done; !errors.Is(err, rpctypes.ErrCorrupt) {
			t.Errorf("%v, want %v", err, rpctypes.ErrCorrupt)
		}
	}
}

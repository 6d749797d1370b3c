package gateway

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/messages/admin"
)

// A flood is refused with ResourceExhausted, at once and beyond a bound that holds;
// when it is over, everybody is served again. An operator can look meanwhile.
func TestFlood(t *testing.T) {
	const bound, flood = 16, 400
	f := start(t, func(o *Options) { o.Limits.InFlight = bound })
	release := f.node.hold()
	defer release()
	var refused, served atomic.Int64
	var clients sync.WaitGroup
	others := []*clientv3.Client{f.Client, f.dial(), f.dial(), f.dial()}
	for i := range flood {
		clients.Go(func() {
			ctx, c := t.Context(), others[i%len(others)]
			var err error
			if i%2 == 0 {
				_, err = c.Put(ctx, "a", "1")
			} else {
				_, err = c.Get(ctx, "a")
			}
			switch {
			case err == nil:
				served.Add(1)
			case errors.Is(err, rpctypes.ErrTooManyRequests):
				refused.Add(1)
			default:
				t.Errorf("a request of the flood: %v", err)
			}
		})
	}
	eventually(t, "all but those that have a place to be refused", func() bool { return refused.Load() == flood-bound })
	f.node.waitHeld(t, bound)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := admin.NewAdminClient(f.ActiveConnection()).Status(ctx, &admin.StatusRequest{}); err != nil {
		t.Errorf("an operator's look at a flooded node: %v", err)
	}
	release()
	clients.Wait()
	if served.Load() != bound || f.node.most != bound {
		t.Errorf("served %d, at most %d at the node, want %d", served.Load(), f.node.most, bound)
	}
	f.put("a", "1")
}

// The bytes of the writes under way are bounded, too, and given back.
func TestFloodOfBytes(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.InFlightBytes = 3 << 20 })
	release := f.node.hold()
	defer release()
	value := strings.Repeat("x", 1<<20)
	failed := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := f.Put(t.Context(), "a", value)
			failed <- err
		}()
	}
	f.node.waitHeld(t, 2)
	if _, err := f.Put(t.Context(), "a", value); !errors.Is(err, rpctypes.ErrTooManyRequests) {
		t.Errorf("a write beyond the bound: %v", err)
	}
	release()
	for range 2 {
		if err := <-failed; err != nil {
			t.Errorf("a write within the bound: %v", err)
		}
	}
	if n := f.gateway.bytes.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

// A client that never sends the body of its request gives its place back when it goes,
// and loses it in time when it does not.
func TestPlaceOfASilentStream(t *testing.T) {
	within := func(timeout time.Duration) (f *fixture, taken func(n int)) {
		f = start(t, func(o *Options) { o.Limits.InFlight, o.Limits.Timeout = 1, timeout })
		return f, func(n int) {
			t.Helper()
			eventually(t, "the place to be free or taken", func() bool { return f.gateway.requests.count() == n })
		}
	}
	f, taken := within(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := f.ActiveConnection().NewStream(ctx, &putStream, pb.KV_Put_FullMethodName); err != nil {
		t.Fatal(err)
	}
	taken(1)
	if _, err := f.Put(t.Context(), "a", "1"); !errors.Is(err, rpctypes.ErrTooManyRequests) {
		t.Errorf("a request without a place: %v", err)
	}
	cancel()
	taken(0)
	f.put("a", "1")
	taken(0)

	f, taken = within(time.Second)
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	silent, err := f.ActiveConnection().NewStream(ctx, &putStream, pb.KV_Put_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	if err := silent.RecvMsg(&pb.PutResponse{}); status.Code(err) != codes.Canceled { // by the gateway
		t.Errorf("a stream that stays silent: %v, want its end", err)
	}
	taken(0)
	f.put("a", "2")
	taken(0)
}

// Connections are bounded: who comes too late is cut off and can try elsewhere.
func TestConnections(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.Connections = 1 })
	f.put("a", "1")
	conn, err := net.Dial("tcp", f.gateway.ClientAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var netErr net.Error
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.As(err, &netErr) && netErr.Timeout() {
		t.Errorf("read on a connection over the bound: %v, want its end", err)
	}
	f.put("a", "2")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f.Client = f.dial() // in the place that is free now
	f.put("a", "3")
}

// The node's own time limit has etcd's text; leaderless requests say so when asked to.
func TestTimeouts(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.Timeout = 50 * time.Millisecond })
	release := f.node.hold()
	defer release()
	ctx := t.Context()
	_, err := f.Put(ctx, "a", "1")
	if !errors.Is(err, rpctypes.ErrTimeout) {
		t.Errorf("put: %v, want %v", err, rpctypes.ErrTimeout)
	}
	f.node.change(func() { f.node.leader = false })
	f.gateway.look()
	if _, err = f.Put(ctx, "a", "1"); !errors.Is(err, rpctypes.ErrTimeout) {
		t.Errorf("put without a leader: %v, want %v", err, rpctypes.ErrTimeout)
	}
	if _, err = f.Put(clientv3.WithRequireLeader(ctx), "a", "1"); !errors.Is(err, rpctypes.ErrNoLeader) {
		t.Errorf("put that requires a leader: %v, want %v", err, rpctypes.ErrNoLeader)
	}
	// Reads are tried again by etcd's client, until its own time is over.
	brief, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if _, err = f.Get(brief, "a"); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, rpctypes.ErrTimeout) {
		t.Errorf("get: %v", err)
	}
	if _, err := f.Get(ctx, "a", clientv3.WithSerializable()); err != nil {
		t.Errorf("serializable get without a leader: %v", err)
	}
}

// Limits.Timeout is for requests that wait for the cluster, not for streams that live
// longer.
func TestStreamOutlivesTimeout(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.Timeout = 50 * time.Millisecond })
	watch, err := healthpb.NewHealthClient(f.ActiveConnection()).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	release := f.node.hold()
	defer release()
	if _, err := f.Put(t.Context(), "a", "1"); !errors.Is(err, rpctypes.ErrTimeout) { // it began later
		t.Fatalf("put: %v", err)
	}
	f.node.change(func() { f.node.leader = false })
	for {
		r, err := watch.Recv()
		if err != nil {
			t.Fatalf("the stream ended before its client wanted it: %v", err)
		}
		if r.Status == healthpb.HealthCheckResponse_NOT_SERVING {
			return
		}
	}
}

// What the node answers has etcd's words.
func TestTranslation(t *testing.T) {
	f := start(t)
	tests := []struct {
		from error
		want error
	}{
		{cluster.ErrBusy, rpctypes.ErrTooManyRequests},
		{cluster.ErrStopped, rpctypes.ErrStopped},
		{cluster.ErrSessionEnded, rpctypes.ErrStopped},
	}
	for _, tt := range tests {
		f.node.change(func() { f.node.fails = tt.from })
		if _, err := f.Put(t.Context(), "a", "1"); !errors.Is(err, tt.want) {
			t.Errorf("%v became %v, want %v", tt.from, err, tt.want)
		}
	}
	f.node.change(func() { f.node.fails = errors.New("disk on fire") })
	if _, err := f.Put(t.Context(), "a", "1"); status.Code(err) != codes.Unknown || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("a failure became %v, want Unknown with its text", err)
	}
}

// A panic ends the request and nothing else.
func TestPanic(t *testing.T) {
	f := start(t)
	f.node.change(func() { f.node.panics = true })
	if _, err := f.Put(t.Context(), "a", "1"); status.Code(err) != codes.Internal || strings.Contains(err.Error(), "planted") {
		t.Errorf("put: %v, want Internal without what is in the log", err)
	}
	f.node.change(func() { f.node.panics = false })
	f.put("a", "1")
	if n := f.gateway.requests.count(); n > 1 {
		t.Errorf("%d places are taken", n)
	}
}

// SetLimits changes what the next request is held to, and leaves alone what the gateway
// was built by.
func TestLimitsChangeWhileTheGatewayRuns(t *testing.T) {
	f := start(t)
	two := func() error {
		_, err := f.Txn(t.Context()).Then(clientv3.OpPut("a", "1"), clientv3.OpPut("b", "1")).Commit()
		return err
	}
	if err := two(); err != nil {
		t.Fatal(err)
	}
	f.gateway.SetLimits(Limits{TxnOps: 1, Quota: 1 << 20, RequestBytes: 1, InFlight: 1})
	if err := two(); !errors.Is(err, rpctypes.ErrTooManyOps) {
		t.Errorf("two operations where one is allowed: %v", err)
	}
	f.put("a", strings.Repeat("x", 1000)) // longer than the bytes that are not taken over
	r, err := f.Status(t.Context(), f.gateway.ClientAddr())
	if err != nil || r.DbSizeQuota != 1<<20 {
		t.Errorf("the quota is %d, %v", r.DbSizeQuota, err)
	}
	if n := f.gateway.requests.limit; n != f.gateway.limits.Load().InFlight {
		t.Errorf("%d requests may be under way, and %d are said to", n, f.gateway.limits.Load().InFlight)
	}
}

// Clients may compress what they ask for. What that unfolds to is bounded as all requests are.
func TestCompressedRequests(t *testing.T) {
	f := start(t)
	put := func(bytes int) error {
		r := &pb.PutRequest{Key: []byte("a"), Value: make([]byte, bytes)}
		_, err := pb.NewKVClient(f.ActiveConnection()).Put(t.Context(), r, grpc.UseCompressor("gzip"), grpc.MaxCallSendMsgSize(1<<30))
		return err
	}
	if err := put(1000); err != nil {
		t.Errorf("compressed: %v", err)
	}
	if err := put(4 << 20); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("4 MiB of nothing: %v", err)
	}
}

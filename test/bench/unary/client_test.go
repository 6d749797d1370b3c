package unary

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kvServer answers a put with its own key and value, but for some keys.
type kvServer struct {
	pb.UnimplementedKVServer
	asked   chan struct{} // of "never"
	stopped chan struct{} // the call of "never", by its client
}

func (s *kvServer) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	switch string(r.Key) {
	case "refused":
		return nil, status.Error(codes.ResourceExhausted, "100% full: größer geht nicht")
	case "never":
		close(s.asked)
		<-ctx.Done()
		close(s.stopped)
		return nil, ctx.Err()
	}
	return &pb.PutResponse{PrevKv: &mvccpb.KeyValue{Key: r.Key, Value: r.Value}}, nil
}

// serve serves at an address until stop.
func serve(t *testing.T, address string, options ...grpc.ServerOption) (s *kvServer, at string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s = &kvServer{asked: make(chan struct{}), stopped: make(chan struct{})}
	server := grpc.NewServer(append(options, grpc.MaxRecvMsgSize(32<<20))...)
	pb.RegisterKVServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	return s, l.Addr().String(), func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

func newClient(t *testing.T, address string, timeout time.Duration) pb.KVClient {
	c := New(address, nil, timeout)
	t.Cleanup(func() { _ = c.Close() }) // always nil
	return pb.NewKVClient(c)
}

func put(ctx context.Context, c pb.KVClient, key, value string) (string, error) {
	r, err := c.Put(ctx, &pb.PutRequest{Key: []byte(key), Value: []byte(value)})
	return string(r.GetPrevKv().GetValue()), err
}

// Calls of all sizes at the same time, beyond what the server takes at once, each get
// their own answer.
func TestCalls(t *testing.T) {
	_, address, stop := serve(t, "127.0.0.1:0", grpc.MaxConcurrentStreams(10), grpc.StaticConnWindowSize(4<<20))
	defer stop()
	c := newClient(t, address, time.Minute)
	var callers sync.WaitGroup
	for i := range 20 {
		callers.Go(func() {
			for size := range 8 {
				value := strings.Repeat(string(rune('a'+i)), size*size*size*300)
				if i == 0 {
					value = strings.Repeat(value, 20)
				}
				if got, err := put(t.Context(), c, "a", value); err != nil || got != value {
					t.Errorf("%d bytes came back as %d, %v", len(value), len(got), err)
				}
			}
		})
	}
	callers.Wait()
}

// Errors are those of the server, with their texts.
func TestErrors(t *testing.T) {
	_, address, stop := serve(t, "127.0.0.1:0")
	defer stop()
	c := newClient(t, address, time.Minute)
	for range 3 { // the headers come from a table by then
		_, err := put(t.Context(), c, "refused", "")
		if s := status.Convert(err); s.Code() != codes.ResourceExhausted || s.Message() != "100% full: größer geht nicht" {
			t.Errorf("refused: %v", err)
		}
	}
	if _, err := c.Range(t.Context(), &pb.RangeRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("a method that there is not: %v", err)
	}
	if got, err := put(t.Context(), c, "a", "1"); err != nil || got != "1" {
		t.Errorf("after errors: %q, %v", got, err)
	}
}

// A call ends when its time is over, or its context, and the server hears of it.
func TestGivingUp(t *testing.T) {
	for what, timeout := range map[string]time.Duration{"the time limit": 100 * time.Millisecond, "the context": time.Minute} {
		s, address, stop := serve(t, "127.0.0.1:0")
		c := newClient(t, address, timeout)
		ctx, cancel := context.WithCancel(t.Context())
		want := codes.DeadlineExceeded
		if timeout == time.Minute {
			want = codes.Canceled
			go func() {
				<-s.asked
				cancel()
			}()
		}
		if _, err := put(ctx, c, "never", ""); status.Code(err) != want {
			t.Errorf("%s: %v, want %s", what, err, want)
		}
		select {
		case <-s.asked:
			<-s.stopped
		default: // the time was over before the server was asked
		}
		cancel()
		stop()
	}
}

// A server that goes is missed, and found when it is back.
func TestServerComesBack(t *testing.T) {
	_, address, stop := serve(t, "127.0.0.1:0")
	c := newClient(t, address, time.Minute)
	if _, err := put(t.Context(), c, "a", "1"); err != nil {
		t.Fatal(err)
	}
	stop()
	for range 2 { // on the connection that is no more, and on a new one
		if _, err := put(t.Context(), c, "a", "2"); status.Code(err) != codes.Unavailable {
			t.Errorf("while it is gone: %v", err)
		}
	}
	_, _, stop = serve(t, address)
	defer stop()
	if got, err := put(t.Context(), c, "a", "3"); err != nil || got != "3" {
		t.Errorf("when it is back: %q, %v", got, err)
	}
}

// A closed client says so.
func TestClose(t *testing.T) {
	_, address, stop := serve(t, "127.0.0.1:0")
	defer stop()
	c := New(address, nil, time.Minute)
	if _, err := put(t.Context(), pb.NewKVClient(c), "a", "1"); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := put(t.Context(), pb.NewKVClient(c), "a", "1"); status.Code(err) != codes.Unavailable || errors.Is(err, context.Canceled) {
		t.Errorf("a call of a closed client: %v", err)
	}
}

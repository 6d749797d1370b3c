package gateway

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// putStream calls Put as a stream, so that the body can be left out.
var putStream = grpc.StreamDesc{ClientStreams: true}

// heldPut begins a put that waits in the node until it is released.
func (f *fixture) heldPut() (failed chan error, release func()) {
	release, failed = f.node.hold(), make(chan error, 1)
	go func() {
		_, err := f.Put(f.t.Context(), "a", "1")
		failed <- err
	}()
	f.node.waitHeld(f.t, 1)
	return failed, release
}

// Stop lets a request that is under way end, and takes no other.
func TestStopGracefully(t *testing.T) {
	f := start(t)
	failed, release := f.heldPut()
	defer release()
	stopped := make(chan error, 1)
	go func() { stopped <- f.gateway.Stop(t.Context()) }()
	<-f.gateway.life.Done()
	release()
	if err := <-failed; err != nil {
		t.Errorf("the request under way: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := f.Put(ctx, "a", "2"); err == nil {
		t.Error("a stopped gateway served a request")
	}
}

// Stop cuts off what does not end in time, and says so.
func TestStopHard(t *testing.T) {
	f := start(t)
	failed, release := f.heldPut()
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := f.gateway.Stop(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 requests under way") {
		t.Errorf("stop: %v", err)
	}
	if err := <-failed; status.Code(err) != codes.Unavailable {
		t.Errorf("the request that was cut off: %v, want Unavailable", err)
	}
	f.node.waitHeld(t, 0)
}

// Neither who watches the health nor who never speaks holds up the end.
func TestStopWithIdleClients(t *testing.T) {
	f := start(t)
	var silent []net.Conn
	for _, address := range []string{f.gateway.ClientAddr(), f.gateway.HTTPAddr()} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		silent = append(silent, conn)
	}
	watch, err := healthpb.NewHealthClient(f.ActiveConnection()).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := watch.Recv(); err != nil || r.Status != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("health = %v, %v", r, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := f.gateway.Stop(ctx); err != nil || ctx.Err() != nil {
		t.Errorf("stop with %d silent connections: %v (%v)", len(silent), err, ctx.Err())
	}
	for err == nil {
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the watch ended with %v, want Unavailable", err)
	}
}

// A node that begins to end, as after a failed write, lets its clients go: they find others,
// while this one could only refuse.
func TestANodeThatEndsLetsItsClientsGo(t *testing.T) {
	f := start(t)
	failed, release := f.heldPut()
	defer release()
	silent, err := net.Dial("tcp", f.gateway.ClientAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	close(f.node.ending)
	if err := <-failed; status.Code(err) != codes.Unavailable {
		t.Errorf("the request under way: %v, want Unavailable", err)
	}
	// The listener was closed before the request was cut off.
	if conn, err := net.Dial("tcp", f.gateway.ClientAddr()); err == nil {
		t.Error("new clients are let in", conn.Close())
	}
}

// Start does not wait for a node that takes long to show itself.
func TestStartDoesNotWait(t *testing.T) {
	f := start(t)
	o := f.gateway.options
	o.Client, o.HTTP = "127.0.0.1:0", ""
	var begun *Gateway
	f.node.change(func() { // its status waits for the same lock
		var err error
		if begun, err = Start(o); err != nil {
			t.Error(err)
		}
	})
	if begun != nil {
		if err := begun.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// An address that is in use is named, with what to do.
func TestAddressInUse(t *testing.T) {
	f := start(t)
	for name, change := range map[string]func(*Options){
		"client": func(o *Options) { o.Client = f.gateway.ClientAddr() },
		"http":   func(o *Options) { o.HTTP = f.gateway.HTTPAddr() },
	} {
		o := f.gateway.options
		o.Client, o.HTTP = "127.0.0.1:0", "127.0.0.1:0"
		change(&o)
		_, err := Start(o)
		var listen *ListenError
		if !errors.As(err, &listen) || !strings.Contains(listen.Hint(), "another node") || !strings.Contains(err.Error(), listen.Address) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, o := range []Options{{}, {Client: "127.0.0.1:0"}, {Client: "127.0.0.1:0", Node: f.node}} {
		if _, err := Start(o); err == nil || !strings.Contains(err.Error(), "is missing") {
			t.Errorf("options without all that is required: %v", err)
		}
	}
}

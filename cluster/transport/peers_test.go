package transport

import (
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"

	"github.com/pmmc-go/pmmc/messages"
)

// proxy passes bytes on until the machine behind it vanishes: then neither side hears
// of the other any more, not even that it closed the connection.
func proxy(t *testing.T, to string) (address string, vanish func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var vanished atomic.Bool
	var passing sync.WaitGroup
	over := make(chan struct{})
	pass := func(from, to net.Conn) {
		defer passing.Done()
		buffer := make([]byte, 4096)
		for {
			n, err := from.Read(buffer)
			switch {
			case vanished.Load() && err != nil:
				<-over
			case vanished.Load():
				continue
			case err == nil:
				_, err = to.Write(buffer[:n])
			}
			if err != nil {
				_, _ = from.Close(), to.Close()
				return
			}
		}
	}
	accept := func() {
		defer passing.Done()
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			passing.Add(2)
			go pass(in, out)
			go pass(out, in)
		}
	}
	passing.Add(1)
	go accept()
	t.Cleanup(func() { _ = listener.Close(); close(over); passing.Wait() })
	return listener.Addr().String(), func() { vanished.Store(true); _ = listener.Close() }
}

// deaf is a peer that welcomes everyone and then listens no more, until it is cured:
// then it hears all, and tells how many messages there were and how the stream ended.
type deaf struct {
	remote.UnimplementedRemotingServer
	end, cured chan struct{}
	heard      chan int
	last       chan error
}

func (d *deaf) Receive(stream remote.Remoting_ReceiveServer) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	err := stream.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectResponse{
		ConnectResponse: &remote.ConnectResponse{},
	}})
	select {
	case <-d.end:
		return err
	case <-d.cured:
	}
	for n := 0; ; {
		m, err := stream.Recv()
		if err != nil {
			d.heard <- n
			d.last <- err
			return nil
		}
		n += len(m.GetMessageBatch().GetEnvelopes())
	}
}

func startDeaf(t *testing.T, address string) *deaf {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s, d := grpc.NewServer(grpc.WaitForHandlers(true)), &deaf{
		end: make(chan struct{}), cured: make(chan struct{}), heard: make(chan int, 1), last: make(chan error, 1),
	}
	remote.RegisterRemotingServer(s, d)
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	t.Cleanup(func() { close(d.end); s.Stop(); <-served })
	return d
}

// stockAt, in the environment, makes the test binary a process with protoactor's own
// remote, at that address. It needs a process because it replaces gRPC's logger.
const stockAt = "PMMC_TRANSPORT_TEST_STOCK"

// stock answers each CatchUp with one for the next slot, until its input ends.
func stock(address string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		panic(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		panic(err)
	}
	system := actor.NewActorSystem()
	remote.NewRemote(system, remote.Configure(host, number)).Start()
	_, err = system.Root.SpawnNamed(actor.PropsFromFunc(func(ctx actor.Context) {
		if m, ok := ctx.Message().(*messages.CatchUp); ok {
			ctx.Send(actor.NewPID(os.Getenv(stockAt+"_PEER"), "node/replica"), catchUp("beta", m.Slot+1))
		}
	}), "node/replica")
	if err != nil {
		panic(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // its end is what counts
}

// A node and one with protoactor's own remote understand each other.
func TestSpeaksProtoactorsRemoteProtocol(t *testing.T) {
	n, peer := alone(t)
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), stockAt+"="+peer, stockAt+"_PEER="+n.Address())
	input, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	other.Stderr = n.log
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	n.connected("beta")
	n.say(peer, catchUp("alpha", 1))
	n.hears(2)
	_ = input.Close()
	if err := other.Wait(); err != nil {
		t.Error(err)
	}
}

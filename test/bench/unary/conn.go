package unary

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"net"
	"runtime"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	// window is how much the server may send unasked, in bytes, in a call and in all.
	window = 1 << 30
	// defaultWindow and defaultFrame are HTTP/2's, until the server says otherwise.
	defaultWindow = 65535
	defaultFrame  = 16384
	// prefix is before each message of gRPC: is it compressed, and how long is it?
	prefix = 5
	// readBuffer is how much is read at a time, in bytes.
	readBuffer = 64 << 10
	// looks is how often calls are looked at within their time limit.
	looks = 8
)

// conn is a connection: a goroutine reads, one writes what callers have put into out, and
// one looks for calls that take too long.
type conn struct {
	net.Conn
	address string
	scheme  string
	ended   chan struct{}  // closed when all three have ended
	looker  chan struct{}  // closed to end the one that looks
	running sync.WaitGroup // the three

	mu      sync.Mutex
	changed sync.Cond // anything of what follows
	err     error     // why there are no calls any more
	leaving bool      // the server wants no more of them
	out     bytes.Buffer
	framer  *http2.Framer // into out
	encoder *hpack.Encoder
	headers bytes.Buffer // of the encoder
	calls   map[uint32]*call
	last    uint32 // stream
	look    int    // counts the looks

	window, callWindow int64  // how much the server takes, of all and of a new call
	maxCalls           uint32 // at a time; none until the server has said what it wants
	maxFrame           int
	unread             int // bytes that the server was not told to be read
}

// call is one under way.
type call struct {
	id     uint32
	window int64
	look   int // when it began
	body   []byte
	code   codes.Code
	text   string
	err    error
	done   chan struct{}
}

func newConn(raw net.Conn, address string, timeout time.Duration, secure bool) (*conn, error) {
	c := &conn{
		Conn: raw, address: address, scheme: "http", ended: make(chan struct{}), looker: make(chan struct{}),
		calls: make(map[uint32]*call), last: 1<<32 - 1, // the first is 1
		window: defaultWindow, callWindow: defaultWindow, maxFrame: defaultFrame,
	}
	if secure {
		c.scheme = "https"
	}
	c.changed.L = &c.mu
	c.encoder = hpack.NewEncoder(&c.headers)
	c.out.WriteString(http2.ClientPreface)
	c.framer = http2.NewFramer(&c.out, bufio.NewReaderSize(raw, readBuffer))
	c.framer.SetReuseFrames()
	if err := c.framer.WriteSettings(
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}, http2.Setting{ID: http2.SettingEnablePush, Val: 0}); err != nil {
		return nil, err
	}
	if err := c.framer.WriteWindowUpdate(0, window-defaultWindow); err != nil {
		return nil, err
	}
	c.running.Go(c.read)
	c.running.Go(c.write)
	c.running.Go(func() { c.lookAtCalls(timeout / looks) })
	go func() {
		c.running.Wait()
		close(c.ended)
	}()
	return c, nil
}

func (c *conn) works() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err == nil && !c.leaving
}

// fail ends the connection and its calls.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = status.Errorf(codes.Unavailable, "connection to %s: %v", c.address, err)
	for _, call := range c.calls {
		c.end(call, c.err)
	}
	close(c.looker)
	_ = c.Close() // who reads and who writes see it
	c.changed.Broadcast()
}

// end ends a call; the lock is held.
func (c *conn) end(call *call, err error) {
	if c.calls[call.id] != call {
		return
	}
	delete(c.calls, call.id)
	call.err = err
	close(call.done)
	if uint32(len(c.calls))+1 == c.maxCalls {
		c.changed.Broadcast()
	}
}

// giveUp ends a call that has no answer, and tells the server.
func (c *conn) giveUp(call *call, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[call.id] != call || c.err != nil {
		return
	}
	_ = c.framer.WriteRSTStream(call.id, http2.ErrCodeCancel) // into memory
	c.end(call, err)
	c.changed.Broadcast()
}

// begin sends a request.
func (c *conn) begin(method string, request proto.Message) (*call, error) {
	body, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, prefix, prefix+proto.Size(request)), request)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	binary.BigEndian.PutUint32(body[1:], uint32(len(body)-prefix))
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil && uint32(len(c.calls)) >= c.maxCalls {
		c.changed.Wait()
	}
	if c.err != nil {
		return nil, c.err
	}
	c.last += 2
	call := &call{id: c.last, window: c.callWindow, look: c.look, code: codes.Unknown, text: "no status", done: make(chan struct{})}
	c.calls[call.id] = call
	c.headers.Reset()
	for _, h := range [...]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: c.scheme}, {Name: ":path", Value: method}, {Name: ":authority", Value: c.address},
		{Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
	} {
		_ = c.encoder.WriteField(h) // into memory, as the frames
	}
	_ = c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: call.id, BlockFragment: c.headers.Bytes(), EndHeaders: true})
	for len(body) > 0 && c.calls[call.id] == call {
		n := int(min(int64(len(body)), int64(c.maxFrame), c.window, call.window))
		if n > 0 {
			c.window -= int64(n)
			call.window -= int64(n)
			_ = c.framer.WriteData(call.id, n == len(body), body[:n])
			body = body[n:]
		}
		c.changed.Broadcast()
		if len(body) > 0 && n <= 0 {
			c.changed.Wait()
		}
	}
	return call, nil
}

// write writes what is in out. While it does, more comes together.
func (c *conn) write() {
	var writing bytes.Buffer
	for {
		c.mu.Lock()
		for c.err == nil && c.out.Len() == 0 {
			c.changed.Wait()
		}
		c.mu.Unlock()
		runtime.Gosched() // others may have something to say by then
		c.mu.Lock()
		if c.err != nil {
			c.mu.Unlock()
			return
		}
		writing, c.out = c.out, writing
		c.mu.Unlock()
		if _, err := c.Write(writing.Bytes()); err != nil {
			c.fail(err)
			return
		}
		writing.Reset()
	}
}

// lookAtCalls ends the calls that took too long.
func (c *conn) lookAtCalls(pause time.Duration) {
	again := time.NewTicker(max(pause, time.Millisecond))
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-c.looker:
			return
		}
		var late []*call
		c.mu.Lock()
		c.look++
		for _, call := range c.calls {
			if c.look-call.look > looks {
				late = append(late, call)
			}
		}
		c.mu.Unlock()
		for _, call := range late {
			c.giveUp(call, status.Error(codes.DeadlineExceeded, "no answer in time"))
		}
	}
}

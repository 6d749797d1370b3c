// Package unary makes unary gRPC calls for a load generator. grpc-go's client costs as
// much as a server's part in a call, and would take it from the processors that the
// servers are measured on. This one writes what several callers have to say in one piece,
// and has neither a timer nor a context of its own for a call. It offers nothing but
// [Client.Invoke] on one connection: no compression, no metadata, no retries.
package unary

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Client is a grpc.ClientConnInterface for unary calls. It connects when it is asked
// something, and again after its connection broke.
type Client struct {
	address string
	tls     *tls.Config
	timeout time.Duration

	mu     sync.Mutex // guards what follows, and is held while it connects
	conn   *conn
	failed time.Time // when it last could not connect
	closed bool
}

var _ grpc.ClientConnInterface = (*Client)(nil)

// New returns a client of the server at an address. A call that takes longer than timeout
// fails with DeadlineExceeded, some time later: nobody looks at it all the time.
func New(address string, secure *tls.Config, timeout time.Duration) *Client {
	if secure != nil {
		secure = secure.Clone()
		secure.NextProtos = []string{"h2"}
	}
	return &Client{address: address, tls: secure, timeout: timeout}
}

// Invoke makes a call.
func (c *Client) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	conn, err := c.connected(ctx)
	if err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	call, err := conn.begin(method, args.(proto.Message))
	if err != nil {
		return err
	}
	select {
	case <-call.done:
	case <-ctx.Done():
		conn.giveUp(call, status.FromContextError(ctx.Err()).Err())
		<-call.done
	}
	if call.err != nil {
		return call.err
	}
	return call.decode(reply.(proto.Message))
}

// NewStream is not offered.
func (c *Client) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "unary: no streams")
}

// Close ends the connection and all calls.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn != nil {
		c.conn.fail(net.ErrClosed)
		<-c.conn.ended
	}
	return nil
}

// connectPause is between two attempts to connect.
const connectPause = 100 * time.Millisecond

// connected returns a connection that works, as far as is known.
func (c *Client) connected(ctx context.Context) (*conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil && c.conn.works() {
		return c.conn, nil
	}
	if c.closed {
		return nil, net.ErrClosed
	}
	wait := time.NewTimer(time.Until(c.failed.Add(connectPause)))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	raw, err := c.dial(ctx)
	if err == nil {
		c.conn, err = newConn(raw, c.address, c.timeout, c.tls != nil)
	}
	if err != nil {
		c.failed = time.Now()
		return nil, fmt.Errorf("connect to %s: %w", c.address, err)
	}
	return c.conn, nil
}

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	if c.tls == nil {
		return (&net.Dialer{}).DialContext(ctx, "tcp", c.address)
	}
	return (&tls.Dialer{Config: c.tls}).DialContext(ctx, "tcp", c.address)
}

package gateway

import (
	"net"
	"sync"
	"sync/atomic"
)

// listener bounds the connections of clients, and can close those that gRPC does not
// know yet: it waits for their first words for long, and would at the end, too.
type listener struct {
	net.Listener
	limit func() int

	refused        *counter // connections
	received, sent *counter // bytes

	mu   sync.Mutex
	open map[*connection]struct{}
}

func newListener(l net.Listener, limit func() int, refused *counter) *listener {
	return &listener{
		Listener: l, limit: limit, refused: refused, received: new(counter), sent: new(counter), open: make(map[*connection]struct{}),
	}
}

// Accept accepts the next connection that there is a place for, and closes those
// before it.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &connection{Conn: conn, listener: l}
		l.mu.Lock()
		full := len(l.open) >= l.limit()
		if !full {
			l.open[c] = struct{}{}
		}
		l.mu.Unlock()
		if !full {
			return c, nil
		}
		_ = conn.Close() // nothing was said on it
		l.refused.Add(1)
	}
}

// count counts the connections that are open.
func (l *listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// closeSilent closes the connections on which nothing was said.
func (l *listener) closeSilent() { l.closeIf(func(c *connection) bool { return !c.spoke.Load() }) }

// closeAll closes all connections.
func (l *listener) closeAll() { l.closeIf(func(*connection) bool { return true }) }

func (l *listener) closeIf(chosen func(*connection) bool) {
	var closing []*connection
	l.mu.Lock()
	for c := range l.open {
		if chosen(c) {
			closing = append(closing, c)
		}
	}
	l.mu.Unlock()
	for _, c := range closing {
		_ = c.Close() // whoever reads from it sees the end
	}
}

// connection tells its listener when it is closed.
type connection struct {
	net.Conn
	listener *listener
	spoke    atomic.Bool
}

// Read notes that somebody spoke, and how much.
func (c *connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.listener.received.Add(uint64(n))
	if n > 0 && !c.spoke.Load() {
		c.spoke.Store(true)
	}
	return n, err
}

// Write notes how much was answered.
func (c *connection) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.listener.sent.Add(uint64(n))
	return n, err
}

// Close closes the connection and frees its place.
func (c *connection) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.open, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

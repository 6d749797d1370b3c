package gateway

import (
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// handshakes is TLS for all connections but those from inside of the process, which
// nobody else can reach. Failed hears of handshakes that came to nothing.
type handshakes struct {
	credentials.TransportCredentials
	failed func(remote net.Addr, err error)
}

// ServerHandshake is part of credentials.TransportCredentials.
func (h handshakes) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if _, inside := conn.(insideConn); inside {
		return insecure.NewCredentials().ServerHandshake(conn)
	}
	secure, info, err := h.TransportCredentials.ServerHandshake(conn)
	if c, ok := conn.(*connection); err != nil && (!ok || c.spoke.Load()) { // who only looks whether the port is open says nothing
		h.failed(conn.RemoteAddr(), err)
	}
	return secure, info, err
}

// Clone is part of credentials.TransportCredentials.
func (h handshakes) Clone() credentials.TransportCredentials {
	return handshakes{h.TransportCredentials.Clone(), h.failed}
}

// handshakeEvery is the time between two lines about handshakes: who fails tries again and again.
const handshakeEvery = 10 * time.Second

// failures counts what fails, and tells when it is time to say so again.
type failures struct {
	counter
	said atomic.Int64 // when it was said last, in nanoseconds
}

func (f *failures) add() (say bool) {
	f.Add(1)
	now, said := time.Now().UnixNano(), f.said.Load()
	return now-said >= int64(handshakeEvery) && f.said.CompareAndSwap(said, now)
}

// handshakeFailed tells that a client could not speak TLS with this node.
func (g *Gateway) handshakeFailed(remote net.Addr, err error) {
	if g.metrics.handshakes.add() {
		g.log.Warn("a client cannot be let in: its TLS handshake failed", "remote", remote, "error", err, "so far", g.metrics.handshakes.Load())
	}
}

package certs

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/grpc/credentials"
)

// Credentials are gRPC's, with a configuration of its own for each handshake.
func Credentials(fresh Source) credentials.TransportCredentials {
	return handshakes{credentials.NewTLS(fresh()), fresh}
}

// handshakes are gRPC's credentials at first, for all that does not change: the name of
// the server that is wanted, too, which gRPC asks for once.
type handshakes struct {
	credentials.TransportCredentials
	fresh Source
}

// ClientHandshake is part of credentials.TransportCredentials.
func (h handshakes) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(h.fresh()).ClientHandshake(ctx, authority, conn)
}

// ServerHandshake is part of credentials.TransportCredentials.
func (h handshakes) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(h.fresh()).ServerHandshake(conn)
}

// Clone is part of credentials.TransportCredentials.
func (h handshakes) Clone() credentials.TransportCredentials { return h }

// Listen is TLS on a listener, with a configuration of its own for each handshake.
func Listen(inner net.Listener, fresh Source) net.Listener {
	return tls.NewListener(inner, &tls.Config{
		MinVersion:         tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return fresh(), nil },
	})
}

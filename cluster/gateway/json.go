package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"time"

	gwruntime "github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"go.etcd.io/etcd/api/v3/etcdserverpb/gw"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	// insideBuffer is how much of the gateway's connection to itself is on its way, in bytes.
	insideBuffer = 1 << 20
	// jsonOverhead is what a JSON request may have beyond the base64 of its bytes.
	jsonOverhead = 64 << 10
)

// jsonGateway serves etcd's API as JSON. It calls the gateway's own gRPC server over a
// connection inside of the process, so a request has the same limits, metrics and
// errors as one that comes over gRPC.
type jsonGateway struct {
	g      *Gateway
	conn   *grpc.ClientConn
	inside *bufconn.Listener
	mux    *gwruntime.ServeMux
	places chan struct{} // one for each request whose body is being read
	mutual bool          // a client needs a certificate
}

// newJSON makes the handlers, with a connection that is made when it is first needed.
func newJSON(g *Gateway) (*jsonGateway, error) {
	marshaller := &gwruntime.HTTPBodyMarshaler{Marshaler: &gwruntime.JSONPb{
		MarshalOptions:   protojson.MarshalOptions{UseProtoNames: true},
		UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: true},
	}}
	j := &jsonGateway{
		g: g, inside: bufconn.Listen(insideBuffer), places: make(chan struct{}, g.options.Limits.InFlight),
		mux:    gwruntime.NewServeMux(gwruntime.WithMarshalerOption(gwruntime.MIMEWildcard, marshaller)),
		mutual: g.options.TLS != nil && needsCertificate(g.options.TLS()),
	}
	var err error
	j.conn, err = grpc.NewClient("passthrough:///inside",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return j.inside.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	if err != nil {
		return nil, fmt.Errorf("gateway: connect to itself: %w", err)
	}
	for _, register := range []func(context.Context, *gwruntime.ServeMux, *grpc.ClientConn) error{
		gw.RegisterKVHandler, gw.RegisterWatchHandler, gw.RegisterLeaseHandler,
		gw.RegisterClusterHandler, gw.RegisterMaintenanceHandler, gw.RegisterAuthHandler,
	} {
		if err := register(g.life, j.mux, j.conn); err != nil {
			_ = j.conn.Close() // nothing was asked on it
			return nil, fmt.Errorf("gateway: serve JSON: %w", err)
		}
	}
	return j, nil
}

// serve has the gRPC server answer the connection.
func (j *jsonGateway) serve() {
	if err := j.g.grpc.Serve(insideListener{j.inside}); err != nil {
		j.g.log.Error("JSON is not served any more", "error", err)
	}
}

// close ends the connection. Those who are still served over it get an error.
func (j *jsonGateway) close() {
	_ = j.inside.Close() // it has no error
	_ = j.conn.Close()   // and neither has this, but that it is closed
}

// handler refuses what a page of another site makes a browser send.
func (j *jsonGateway) handler() http.Handler { return http.NewCrossOriginProtection().Handler(j) }

// What the paths of streams do not share with those of calls.
var (
	// answersLong are those whose answers may take longer than the server's time-out.
	answersLong = map[string]bool{"/v3/watch": true, "/v3/lease/keepalive": true, "/v3/maintenance/snapshot": true}
	// asksLong are those that go on asking while they are answered.
	asksLong = map[string]bool{"/v3/watch": true, "/v3/lease/keepalive": true}
)

// ServeHTTP serves one request.
func (j *jsonGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := j.receive(w, r); err != nil {
		_, out := gwruntime.MarshalerForRequest(j.mux, r)
		gwruntime.HTTPError(r.Context(), j.mux, out, w, r, err)
		return
	}
	j.mux.ServeHTTP(w, r)
}

// receive reads the body of a call, within its bounds, or readies a stream.
func (j *jsonGateway) receive(w http.ResponseWriter, r *http.Request) error {
	if !j.known(r) {
		return status.Error(codes.Unauthenticated, "pmmc: a client certificate is required")
	}
	control := http.NewResponseController(w)
	if answersLong[r.URL.Path] {
		if err := control.SetWriteDeadline(time.Time{}); err != nil {
			return err
		}
	}
	if asksLong[r.URL.Path] {
		return control.EnableFullDuplex()
	}
	select {
	case j.places <- struct{}{}:
		defer func() { <-j.places }()
	default:
		return rpctypes.ErrGRPCRequestTooManyRequests
	}
	if err := control.SetReadDeadline(time.Now().Add(j.g.limits.Load().Timeout)); err != nil {
		return err
	}
	most := int64(j.g.options.Limits.RequestBytes)/3*4 + jsonOverhead
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		return rpctypes.ErrGRPCRequestTooLarge
	}
	if err != nil {
		return status.Errorf(codes.DeadlineExceeded, "pmmc: the body did not come: %v", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return control.SetReadDeadline(time.Time{}) // or a long answer would be cut off
}

// known tells whether the client has shown the certificate that it needs for gRPC, too.
func (j *jsonGateway) known(r *http.Request) bool {
	return !j.mutual || r.TLS != nil && len(r.TLS.VerifiedChains) > 0
}

func needsCertificate(c *tls.Config) bool { return c.ClientAuth == tls.RequireAndVerifyClientCert }

// insideListener marks the connections that come from inside of the process.
type insideListener struct{ *bufconn.Listener }

// Accept accepts the gateway's own next connection.
func (l insideListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return insideConn{conn}, nil
}

type insideConn struct{ net.Conn }

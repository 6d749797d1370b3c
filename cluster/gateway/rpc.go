package gateway

import (
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/actors/runtime/measure"
)

// codeCount is how many codes gRPC has.
const codeCount = codes.Unauthenticated + 1

type counter = atomic.Uint64

// rpc is what is counted of the requests by one method.
type rpc struct {
	service, name string
	kind          string // as etcd's metrics have it: unary, server_stream, client_stream or bidi_stream
	begun         counter
	ended         [codeCount]counter
	seconds       *measure.Histogram
}

// rpcsOf makes one for each method that a server offers.
func rpcsOf(s *grpc.Server) map[string]*rpc {
	all := make(map[string]*rpc)
	for service, info := range s.GetServiceInfo() {
		for _, m := range info.Methods {
			all["/"+service+"/"+m.Name] = &rpc{service: service, name: m.Name, kind: kindOf(m), seconds: measure.Times()}
		}
	}
	return all
}

func kindOf(m grpc.MethodInfo) string {
	switch {
	case m.IsClientStream && m.IsServerStream:
		return "bidi_stream"
	case m.IsClientStream:
		return "client_stream"
	case m.IsServerStream:
		return "server_stream"
	}
	return "unary"
}

// begin counts a request that has a place.
func (c *rpc) begin() time.Time {
	c.begun.Add(1)
	return time.Now()
}

// end counts its outcome.
func (c *rpc) end(began time.Time, err *error) {
	c.outcome(*err)
	c.seconds.Took(time.Since(began))
}

func (c *rpc) outcome(err error) { c.ended[codeOf(err)].Add(1) }

// codeOf is the code of an error; one that gRPC does not know is Unknown.
func codeOf(err error) codes.Code {
	if c := status.Code(err); c < codeCount {
		return c
	}
	return codes.Unknown
}

// outcomes calls f with each outcome that there was, and with OK.
func (c *rpc) outcomes(f func(code string, n uint64)) {
	for code := range codeCount {
		if n := c.ended[code].Load(); n > 0 || code == codes.OK {
			f(code.String(), n)
		}
	}
}

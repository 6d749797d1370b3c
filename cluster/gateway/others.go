package gateway

import (
	"context"
	"path"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// unoffered says why methods, or all methods of a service but those of offered, are
// not there. docs/etcd-api.md lists them.
var (
	unoffered = map[string]string{
		"/etcdserverpb.Auth": "users and roles are not offered; TLS with client certificates keeps strangers out",

		pb.Maintenance_Downgrade_FullMethodName: "there is no version to go down to",
	}
	offered = map[string]bool{
		pb.Auth_AuthStatus_FullMethodName:   true,
		pb.Auth_Authenticate_FullMethodName: true,
	}
)

// notOffered says why a method is not there, if so.
func notOffered(method string) error {
	why, no := unoffered[method]
	if !no {
		why, no = unoffered[path.Dir(method)]
	}
	if no && !offered[method] {
		return unimplemented(why)
	}
	return nil
}

func unimplemented(why string) error { return status.Errorf(codes.Unimplemented, "pmmc: %s", why) }

// authServer is etcd's Auth service where nobody has enabled it.
type authServer struct {
	pb.UnimplementedAuthServer
	g *Gateway
}

// AuthStatus says that authentication is not enabled.
func (s *authServer) AuthStatus(context.Context, *pb.AuthStatusRequest) (*pb.AuthStatusResponse, error) {
	return &pb.AuthStatusResponse{Header: s.g.header(s.g.options.Store.Revision())}, nil
}

// Authenticate says that there is no need to. Etcd's clients then go on without.
func (s *authServer) Authenticate(context.Context, *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	return nil, rpctypes.ErrGRPCAuthNotEnabled
}

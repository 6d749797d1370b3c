package transport

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"strconv"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// service is the receiving side of protoactor's remote protocol.
type service struct {
	remote.UnimplementedRemotingServer
	t *Transport
}

// window is how much a peer may send that is not read yet, in bytes. gRPC would find a
// size by itself, with a ping for every few messages.
const window = 8 << 20

// maxHeaders is how long the headers of a call may be, in bytes.
const maxHeaders = 8 << 10

// minPing is how long peers must wait between two tests of a connection.
const minPing = leastKeepAlive / 2

// newServer makes the gRPC server that peers talk to.
func (t *Transport) newServer() *grpc.Server {
	l := t.options.Limits
	garbled := func(err error) { t.refusals.add(RefusedGarbled, "why", err) }
	s := grpc.NewServer(
		grpc.Creds(t.door),
		grpc.ForceServerCodecV2(newCodec(l.BatchMessages, garbled)),
		grpc.MaxRecvMsgSize(l.wireBytes()),
		grpc.MaxConcurrentStreams(1),
		experimental.BufferPool(buffers),
		grpc.StaticStreamWindowSize(window), grpc.StaticConnWindowSize(window),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.ConnectionTimeout(2*l.Introduction), // the door is faster, and counts
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: l.KeepAlive, Timeout: l.Silence}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(t.refuseCall),
		grpc.WaitForHandlers(true),
	)
	remote.RegisterRemotingServer(s, &service{t: t})
	return s
}

// refuseCall answers protoactor's diagnostics, which would panic.
func (t *Transport) refuseCall(ctx context.Context, _ any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
	t.refusals.add(RefusedCall, "method", info.FullMethod, "remote", remoteOf(ctx))
	return nil, status.Error(codes.Unimplemented, "transport: peers only send messages")
}

// Receive takes what one peer says, until it has no more to say.
func (s *service) Receive(stream remote.Remoting_ReceiveServer) (err error) {
	t, from := s.t, remoteOf(stream.Context())
	refuse := func(why Reason, details ...any) {
		t.refusals.add(why, append([]any{"remote", from}, details...)...)
	}
	defer func() {
		if r := recover(); r != nil {
			refuse(RefusedPanic, "panic", r, "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "transport: panic")
		}
	}()
	m, err := stream.Recv()
	if err != nil {
		return err // the door, or the codec, has counted it
	}
	l, err := t.introduced(stream, m.GetConnectRequest().GetServerConnection())
	if err != nil {
		refuse(RefusedIntroduction, "why", status.Convert(err).Message())
		return err
	}
	l.heard.Add(1)
	defer l.heard.Add(-1)
	l.wake()
	g := &guard{
		address: t.Address(), prefix: l.prefix(), messages: t.options.Limits.BatchMessages,
		targets: t.options.Targets, refuse: refuse,
		deliver: func(target *actor.PID, m proto.Message) { t.system.Root.Send(target, m) },
	}
	return t.listen(stream, l, g)
}

// listen takes batches from a peer that has introduced itself.
func (t *Transport) listen(stream remote.Remoting_ReceiveServer, l *link, g *guard) error {
	for {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case status.Code(err) == codes.ResourceExhausted:
			g.refuse(RefusedLength, "error", err)
			return err
		case err != nil:
			return err
		case t.peering.Load().byAddress[l.address] != l:
			g.refuse(RefusedIntroduction, "why", "no longer a member")
			return status.Error(codes.PermissionDenied, "transport: no longer a member")
		}
		if m.GetConnectRequest() != nil {
			if err := stream.Send(t.welcome()); err != nil {
				return err
			}
			continue
		}
		batch, ok := m.MessageType.(*remote.RemoteMessage_MessageBatch)
		if !ok {
			g.refuse(RefusedGarbled, "why", "neither a batch nor the first")
			return status.Error(codes.InvalidArgument, "transport: want a batch")
		}
		for _, e := range batch.MessageBatch.GetEnvelopes() {
			l.bytesIn.Add(uint64(len(e.GetMessageData())))
		}
		l.messagesIn.Add(uint64(len(batch.MessageBatch.GetEnvelopes())))
		if err := g.batch(batch.MessageBatch); err != nil {
			return err
		}
	}
}

// introduced welcomes a peer that says at which address it is, if it may be there. It
// returns the link back to that peer. One whose very name is unknown is told so: it may
// have been removed while it was away.
func (t *Transport) introduced(stream remote.Remoting_ReceiveServer, who *remote.ServerConnection) (*link, error) {
	address, peers := who.GetAddress(), t.peering.Load()
	if address == "" {
		return nil, status.Error(codes.InvalidArgument, "transport: want a ConnectRequest with a ServerConnection")
	}
	if err := t.sameCluster(stream); err != nil {
		return nil, err
	}
	l, ok := peers.byAddress[address]
	if _, known := peers.byName[who.GetSystemId()]; !ok && !known {
		blocked := &remote.ConnectResponse{Blocked: true, MemberId: strconv.FormatUint(peers.epoch, 10)}
		if err := stream.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectResponse{ConnectResponse: blocked}}); err != nil {
			return nil, err
		}
	}
	if !ok {
		return nil, status.Errorf(codes.PermissionDenied, "transport: %q is no member's address", address)
	}
	arrival, tls := passOf(stream.Context())
	member := l.member
	if isUnknown(member) {
		member = who.GetSystemId() // it is whoever it says it is, if its certificate says so, too
	}
	if t.options.TLS != nil && (tls == nil || !certified(tls.State, member)) {
		return nil, status.Errorf(codes.PermissionDenied, "transport: the certificate is not that of %q, which is at %s", member, address)
	}
	if isUnknown(l.member) && t.options.Named != nil && !t.options.Named(address, who.GetSystemId()) {
		return nil, status.Errorf(codes.Unavailable, "transport: the member at %s has no name yet; it is given that of %q", address, who.GetSystemId())
	}
	arrival.introduce(l.member)
	if err := stream.SetHeader(echoes); err != nil {
		return nil, err
	}
	return l, stream.Send(t.welcome())
}

// welcome is what a peer hears when it introduces itself, and when it does so again.
func (t *Transport) welcome() *remote.RemoteMessage {
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectResponse{
		ConnectResponse: &remote.ConnectResponse{MemberId: t.system.ID},
	}}
}

// sameCluster refuses a peer of another cluster, or of one with other members, and tells it
// which one this is.
func (t *Transport) sameCluster(stream remote.Remoting_ReceiveServer) error {
	if t.options.Cluster == nil {
		return nil
	}
	here, there := t.options.Cluster(), callerOf(stream.Context())
	if here.Meets(there) {
		return nil
	}
	stream.SetTrailer(here.metadata())
	return status.Errorf(codes.FailedPrecondition, "transport: %s", here.Differs(there))
}

// remoteOf is where a call comes from.
func remoteOf(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok {
		return p.Addr.String()
	}
	return "unknown"
}

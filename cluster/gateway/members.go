package gateway

import (
	"context"
	"errors"
	"net"
	"net/url"
	"regexp"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
)

// What `pmmc member` says beside etcd's requests, as metadata of the call.
const (
	MetadataName        = "pmmc-name"        // of the member to add, …
	MetadataClient      = "pmmc-client"      // … where its clients will reach it, …
	MetadataRoles       = "pmmc-role"        // … and its roles, one each, which it then has at once
	MetadataReplacement = "pmmc-replacement" // the learner that is promoted in the step that removes another
)

// clusterServer is etcd's Cluster service. A member that is added is a learner, and
// becomes a leader and an acceptor by itself, unless it is added as a learner.
type clusterServer struct {
	pb.UnimplementedClusterServer
	g *Gateway
}

// MemberList lists the members.
func (s *clusterServer) MemberList(ctx context.Context, r *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	c := s.g.options.Node.Configuration()
	if r.Linearizable {
		if err := s.g.patiently(ctx, func(ctx context.Context) (err error) {
			c, err = s.g.options.Node.LatestConfiguration(ctx)
			return err
		}); err != nil {
			return nil, err
		}
	}
	return &pb.MemberListResponse{Header: s.header(), Members: s.all(c)}, nil
}

// MemberAdd adds a member, under the next number.
func (s *clusterServer) MemberAdd(ctx context.Context, r *pb.MemberAddRequest) (*pb.MemberAddResponse, error) {
	m, err := newcomer(ctx, r)
	if err != nil {
		return nil, err
	}
	next, err := s.reconfigure(ctx, func(latest actors.Configuration) (actors.Configuration, error) {
		added := m
		added.ID = latest.LastID + 1
		if added.Name == "" {
			added.Name = actors.Placeholder(added.ID)
		}
		if other, ok := latest.Named(added.Name); ok {
			return latest, status.Errorf(codes.AlreadyExists, "pmmc: there is a member %q already, with the id %d", other.Name, other.ID)
		}
		if at(latest, added.Peer) >= 0 {
			return latest, rpctypes.ErrGRPCPeerURLExist
		}
		latest.Members = append(latest.Members, added)
		return latest, nil
	})
	if err != nil {
		return nil, err
	}
	added := s.shown(next.Members[at(next, m.Peer)])
	return &pb.MemberAddResponse{Header: s.header(), Member: added, Members: s.all(next)}, nil
}

// MemberRemove removes a member. If the call names a replacement, a learner takes its
// place in the same step.
func (s *clusterServer) MemberRemove(ctx context.Context, r *pb.MemberRemoveRequest) (*pb.MemberRemoveResponse, error) {
	replacement := said(ctx, MetadataReplacement)
	next, err := s.reconfigure(ctx, func(latest actors.Configuration) (actors.Configuration, error) {
		i, err := find(latest, r.ID)
		if err != nil {
			return latest, err
		}
		if replacement != "" {
			m, ok := latest.Named(replacement)
			if !ok {
				return latest, status.Errorf(codes.NotFound, "pmmc: there is no member %q to take the place of %q", replacement, latest.Members[i].Name)
			}
			if err := s.promote(latest, uint64(m.ID)); err != nil {
				return latest, err
			}
		}
		latest.Members = slices.Delete(latest.Members, i, i+1)
		return latest, nil
	})
	if errors.Is(err, cluster.ErrRefused) && !errors.Is(err, cluster.ErrNoMajority) {
		err = rpctypes.ErrGRPCMemberNotEnoughStarted // a role would be nobody's
	}
	if err != nil {
		return nil, err
	}
	return &pb.MemberRemoveResponse{Header: s.header(), Members: s.all(next)}, nil
}

// MemberUpdate changes where the others reach a member, which must be started anew with
// its new address.
func (s *clusterServer) MemberUpdate(ctx context.Context, r *pb.MemberUpdateRequest) (*pb.MemberUpdateResponse, error) {
	peer, err := addressOf(r.PeerURLs)
	if err != nil {
		return nil, err
	}
	next, err := s.reconfigure(ctx, func(latest actors.Configuration) (actors.Configuration, error) {
		i, err := find(latest, r.ID)
		if err != nil {
			return latest, err
		}
		if other := at(latest, peer); other >= 0 && other != i {
			return latest, rpctypes.ErrGRPCPeerURLExist
		}
		latest.Members[i].Peer = peer
		return latest, nil
	})
	if err != nil {
		return nil, err
	}
	return &pb.MemberUpdateResponse{Header: s.header(), Members: s.all(next)}, nil
}

// MemberPromote makes a learner that keeps up a leader and an acceptor.
func (s *clusterServer) MemberPromote(ctx context.Context, r *pb.MemberPromoteRequest) (*pb.MemberPromoteResponse, error) {
	next, err := s.reconfigure(ctx, func(latest actors.Configuration) (actors.Configuration, error) {
		return latest, s.promote(latest, r.ID)
	})
	if err != nil {
		return nil, err
	}
	return &pb.MemberPromoteResponse{Header: s.header(), Members: s.all(next)}, nil
}

// promote gives a learner of a configuration all roles.
func (s *clusterServer) promote(c actors.Configuration, id uint64) error {
	i, err := find(c, id)
	switch {
	case err != nil:
		return err
	case !c.Members[i].IsLearner():
		return rpctypes.ErrGRPCMemberNotLearner
	case !s.g.options.Node.Status().KeepsUp(c.Members[i].Name):
		return rpctypes.ErrGRPCLearnerNotReady
	}
	c.Members[i].Leader, c.Members[i].Acceptor, c.Members[i].Promote = true, true, false
	return nil
}

func (s *clusterServer) reconfigure(ctx context.Context, change cluster.Change) (next actors.Configuration, err error) {
	err = s.g.patiently(ctx, func(ctx context.Context) error {
		next, err = s.g.options.Node.Reconfigure(ctx, change)
		return err
	})
	if errors.Is(err, cluster.ErrRefused) {
		s.g.log.Warn("a change of members is refused", "why", err) // etcd's errors say less
	}
	return next, err
}

// header is that of the service's responses: without a revision, as in etcd.
func (s *clusterServer) header() *pb.ResponseHeader { return s.g.header(0) }

func (s *clusterServer) all(c actors.Configuration) (all []*pb.Member) {
	for _, m := range c.Members {
		all = append(all, s.shown(m))
	}
	return all
}

// shown is a member as etcd shows it: without a name before its node has said it.
func (s *clusterServer) shown(m actors.Member) *pb.Member {
	shown := &pb.Member{
		ID: uint64(m.ID), Name: m.Name, IsLearner: m.IsLearner(),
		PeerURLs:   urls(m.Peer, s.g.options.PeerTLS != nil),
		ClientURLs: urls(m.Client, s.g.options.TLS != nil),
	}
	if m.IsUnnamed() {
		shown.Name = ""
	}
	return shown
}

func urls(address string, secure bool) []string {
	switch {
	case address == "":
		return nil
	case secure:
		return []string{"https://" + address}
	}
	return []string{"http://" + address}
}

// addressOf is the host:port of the only URL of a member.
func addressOf(urls []string) (string, error) {
	if len(urls) != 1 {
		return "", rpctypes.ErrGRPCMemberBadURLs
	}
	u, err := url.Parse(urls[0])
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" || !isAddress(u.Host) {
		return "", rpctypes.ErrGRPCMemberBadURLs
	}
	return u.Host, nil
}

func isAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	return err == nil && host != "" && port != ""
}

var namePattern = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)

// newcomer is the member that a call asks to add. Etcd's clients say only where it is.
func newcomer(ctx context.Context, r *pb.MemberAddRequest) (actors.Member, error) {
	m := actors.Member{Name: said(ctx, MetadataName), Client: said(ctx, MetadataClient), Replica: true}
	var err error
	m.Peer, err = addressOf(r.PeerURLs)
	roles := metadata.ValueFromIncomingContext(ctx, MetadataRoles)
	switch {
	case err != nil:
		return m, err
	case m.Name != "" && !namePattern.MatchString(m.Name):
		return m, status.Errorf(codes.InvalidArgument, "pmmc: %q is no name: want 1 to 63 of a-z, 0-9 and -", m.Name)
	case m.Client != "" && !isAddress(m.Client):
		return m, status.Errorf(codes.InvalidArgument, "pmmc: %q is no client address: want host:port", m.Client)
	case len(roles) == 0:
		m.Promote = !r.IsLearner
		return m, nil
	}
	m.Replica, m.Leader, m.Acceptor = slices.Contains(roles, "replica"), slices.Contains(roles, "leader"), slices.Contains(roles, "acceptor")
	return m, nil
}

// said is what a call has as metadata under a key, or "".
func said(ctx context.Context, key string) string {
	if values := metadata.ValueFromIncomingContext(ctx, key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// at is the place of the member with a peer address, or -1.
func at(c actors.Configuration, peer string) int {
	return slices.IndexFunc(c.Members, func(m actors.Member) bool { return m.Peer == peer })
}

// find is the place of a member.
func find(c actors.Configuration, id uint64) (int, error) {
	i := slices.IndexFunc(c.Members, func(m actors.Member) bool { return uint64(m.ID) == id })
	if i < 0 {
		return i, rpctypes.ErrGRPCMemberNotFound
	}
	return i, nil
}

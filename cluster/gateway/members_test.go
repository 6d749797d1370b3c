package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/cluster"
)

func local(port string) []string { return []string{"http://127.0.0.1:" + port} }

// The office moves by etcd's call, from the leader only.
func TestMoveLeader(t *testing.T) {
	f := start(t)
	for _, c := range []struct {
		to   uint64
		want error
	}{
		{0, rpctypes.ErrBadLeaderTransferee},
		{3, rpctypes.ErrBadLeaderTransferee},
		{1<<32 + 2, rpctypes.ErrBadLeaderTransferee},
		{2, nil},
		{1, rpctypes.ErrNotLeader},
	} {
		if _, err := f.MoveLeader(t.Context(), c.to); !errors.Is(err, c.want) {
			t.Errorf("to %d: %v, want %v", c.to, err, c.want)
		}
	}
}

// A member goes through its life by etcd's calls alone.
func TestMemberByEtcdsAPI(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	added, err := f.MemberAddAsLearner(ctx, local("7003"))
	if err != nil {
		t.Fatal(err)
	}
	if m := added.Member; m.ID != 3 || m.Name != "" || !m.IsLearner || m.PeerURLs[0] != "http://127.0.0.1:7003" || len(m.ClientURLs) != 0 {
		t.Errorf("added %+v, want a learner without a name, number 3", m)
	}
	if len(added.Members) != 3 {
		t.Errorf("%d members, want 3", len(added.Members))
	}
	if m := f.node.Configuration().Members[2]; m.Name != "new-3" || m.Promote {
		t.Errorf("added %+v, want a placeholder that is not promoted by itself", m)
	}
	if _, err := f.MemberPromote(ctx, 3); !errors.Is(err, rpctypes.ErrMemberLearnerNotReady) {
		t.Errorf("promote who is not connected: %v", err)
	}
	f.put("a", "1", "b", "2", "c", "3", "d", "4", "e", "5", "f", "6", "g", "7", "h", "8", "i", "9")
	f.node.change(func() { f.node.behind = map[string]uint64{"new-3": 8} })
	if _, err := f.MemberPromote(ctx, 3); !errors.Is(err, rpctypes.ErrMemberLearnerNotReady) {
		t.Errorf("promote who is WINDOW behind: %v", err)
	}
	f.node.change(func() { f.node.behind["new-3"] = 7 })
	promoted, err := f.MemberPromote(ctx, 3)
	if err != nil || promoted.Members[2].IsLearner {
		t.Errorf("promoted: %+v, %v", promoted, err)
	}
	updated, err := f.MemberUpdate(ctx, 3, []string{"https://delta:7009"})
	if err != nil || updated.Members[2].PeerURLs[0] != "http://delta:7009" {
		t.Errorf("updated: %+v, %v", updated, err)
	}
	removed, err := f.MemberRemove(ctx, 3)
	if err != nil || len(removed.Members) != 2 {
		t.Errorf("removed: %+v, %v", removed, err)
	}
	if again, err := f.MemberAdd(ctx, local("7003")); err != nil || again.Member.ID != 4 {
		t.Errorf("added again: %+v, %v, want the number 4", again, err)
	}
	if m := f.node.Configuration().Members[2]; !m.Promote || !m.IsLearner() {
		t.Errorf("added %+v, want a learner that is promoted by itself", m)
	}
}

// What cannot be has etcd's error.
func TestMemberErrors(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	direct := pb.NewClusterClient(f.ActiveConnection()) // etcd's client looks at URLs itself
	for _, urls := range [][]string{nil, {"127.0.0.1:7003"}, {"unix://x"}, {"http://"}, {"http://x"}, {"http://x:1/path"}, {"http://x:1", "http://y:1"}} {
		if _, err := direct.MemberAdd(ctx, &pb.MemberAddRequest{PeerURLs: urls}); !errors.Is(rpctypes.Error(err), rpctypes.ErrMemberBadURLs) {
			t.Errorf("add %q: %v", urls, err)
		}
	}
	_, exists := f.MemberAdd(ctx, local("7002"))
	_, moved := f.MemberUpdate(ctx, 1, local("7002"))
	_, badly := f.MemberUpdate(ctx, 1, []string{"http://a:1", "http://b:1"})
	_, updated := f.MemberUpdate(ctx, 9, local("7009"))
	_, removed := f.MemberRemove(ctx, 9)
	_, promoted := f.MemberPromote(ctx, 9)
	_, voter := f.MemberPromote(ctx, 2)
	f.node.change(func() { f.node.refuses = cluster.ErrNoMajority })
	_, unhealthy := f.MemberRemove(ctx, 2)
	f.node.change(func() { f.node.refuses = errors.New("nobody is a replica") })
	_, started := f.MemberRemove(ctx, 2)
	f.node.change(func() { f.node.refuses = nil })
	for _, tt := range []struct{ got, want error }{
		{exists, rpctypes.ErrPeerURLExist}, {moved, rpctypes.ErrPeerURLExist}, {badly, rpctypes.ErrMemberBadURLs},
		{updated, rpctypes.ErrMemberNotFound}, {removed, rpctypes.ErrMemberNotFound}, {promoted, rpctypes.ErrMemberNotFound},
		{voter, rpctypes.ErrMemberNotLearner}, {unhealthy, rpctypes.ErrUnhealthy}, {started, rpctypes.ErrMemberNotEnoughStarted},
	} {
		if !errors.Is(tt.got, tt.want) {
			t.Errorf("got %v, want %v", tt.got, tt.want)
		}
	}
}

// `pmmc member` says more than etcd's requests can hold.
func TestMemberWithMetadata(t *testing.T) {
	f := start(t)
	with := func(pairs ...string) context.Context {
		return metadata.NewOutgoingContext(t.Context(), metadata.Pairs(pairs...))
	}
	added, err := f.MemberAddAsLearner(with(MetadataName, "gamma", MetadataClient, "127.0.0.1:2399"), local("7003"))
	if err != nil || added.Member.Name != "gamma" || added.Member.ClientURLs[0] != "http://127.0.0.1:2399" {
		t.Fatalf("added %+v, %v", added, err)
	}
	if m := f.node.Configuration().Members[2]; m.Promote || !m.IsLearner() {
		t.Errorf("added %+v, want a learner that waits", m)
	}
	witness, err := f.MemberAdd(with(MetadataName, "delta", MetadataRoles, "acceptor"), local("7004"))
	if m := f.node.Configuration().Members[3]; err != nil || m.Replica || m.Leader || !m.Acceptor || witness.Member.IsLearner {
		t.Errorf("added %+v, %v, want an acceptor alone", m, err)
	}
	for want, pairs := range map[string][]string{
		`a member "gamma" already`: {MetadataName, "gamma"},
		`"Gamma" is no name`:       {MetadataName, "Gamma"},
		`no client address`:        {MetadataName, "e", MetadataClient, "here"},
		`has no role`:              {MetadataName, "e", MetadataRoles, "watcher"},
	} {
		if _, err := f.MemberAdd(with(pairs...), local("7009")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", pairs, err, want)
		}
	}
	replace := with(MetadataReplacement, "gamma")
	if _, err := f.MemberRemove(replace, 2); !errors.Is(err, rpctypes.ErrMemberLearnerNotReady) {
		t.Errorf("replaced by who is not connected: %v", err)
	}
	f.node.change(func() { f.node.behind = map[string]uint64{"gamma": 0} })
	if r, err := f.MemberRemove(replace, 2); err != nil || len(r.Members) != 3 || r.Members[1].IsLearner {
		t.Errorf("replaced: %+v, %v", r, err)
	}
	if _, err := f.MemberRemove(with(MetadataReplacement, "zeta"), 1); status.Code(err) != codes.NotFound {
		t.Errorf("replaced by nobody: %v", err)
	}
	var list *clientv3.MemberListResponse
	if list, err = f.MemberList(t.Context()); err != nil || list.Members[1].Name != "gamma" || list.Members[1].ID != 3 {
		t.Errorf("listed %+v, %v", list, err)
	}
}

// Who has no state does not answer from it, however old an answer may be.
func TestSerializableReadsNeedAReplica(t *testing.T) {
	f := start(t)
	read := func() error {
		one, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := pb.NewKVClient(f.ActiveConnection()).Range(one, &pb.RangeRequest{Key: []byte("a"), Serializable: true})
		return err
	}
	if err := read(); err != nil {
		t.Error(err)
	}
	f.node.change(func() { f.node.members.Members[0].Replica = false })
	if err := read(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "no replica") {
		t.Errorf("of a witness: %v", err)
	}
	f.node.change(func() { f.node.members.Members = nil })
	if err := read(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "not a member yet") {
		t.Errorf("of a node that waits: %v", err)
	}
}

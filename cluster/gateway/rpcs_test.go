package gateway

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/pmmc-go/pmmc/actors"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the table of docs/etcd-api.md")

const (
	apiDoc     = "../../docs/etcd-api.md"
	tableBegin = "<!-- the table of rpcs: made by `make generate` -->\n"
	tableEnd   = "<!-- end of the table of rpcs -->\n"
)

// rpcs are requests that succeed where the rpc is offered, and how it differs from etcd's.
// Those that are not here are asked with nothing.
var rpcs = map[string]struct {
	request string
	differs string
	code    codes.Code // of the answer, if it is no success
}{
	"KV/Range":          {request: `{"key": "YQ=="}`},
	"KV/RangeStream":    {request: `{"key": "YQ=="}`, differs: "reads all, then sends it in parts"},
	"KV/Put":            {request: `{"key": "YQ=="}`},
	"KV/DeleteRange":    {request: `{"key": "YQ=="}`},
	"KV/Txn":            {request: `{"success": [{"request_put": {"key": "YQ=="}}]}`},
	"KV/Compact":        {request: `{"revision": 2}`},
	"Watch/Watch":       {request: `{"create_request": {"key": "YQ=="}}`},
	"Lease/LeaseGrant":  {request: `{"TTL": 60}`},
	"Lease/LeaseRevoke": {request: `{"ID": 7}`},

	"Lease/LeaseKeepAlive":  {request: `{"ID": 7}`, differs: "a renewal is a decree"},
	"Lease/LeaseTimeToLive": {request: `{"ID": 7, "keys": true}`, differs: "by the clock of the node that is asked"},

	"Cluster/MemberAdd":     {request: `{"peerURLs": ["http://127.0.0.1:7009"]}`, differs: "a learner, which becomes a voter by itself"},
	"Cluster/MemberRemove":  {request: `{"ID": 3}`},
	"Cluster/MemberUpdate":  {request: `{"ID": 2, "peerURLs": ["http://127.0.0.1:7009"]}`, differs: "the node is started again"},
	"Cluster/MemberPromote": {request: `{"ID": 3}`},

	"Maintenance/Alarm":      {request: `{"action": "ACTIVATE", "memberID": 2, "alarm": "NOSPACE"}`, differs: "NOSPACE ends by itself when there is room; CORRUPT is of decrees"},
	"Maintenance/Status":     {differs: "slots are the indexes, rounds the terms"},
	"Maintenance/Defragment": {differs: "reads and writes go on; it is seldom of use"},
	"Maintenance/Hash":       {differs: "HashKV at the newest revision"},
	"Maintenance/HashKV":     {differs: "another function of the same keys"},
	"Maintenance/Snapshot":   {differs: "a file of pmmc's own format"},
	"Maintenance/MoveLeader": {request: `{"targetID": 2}`},

	"Auth/AuthStatus":   {differs: "always: not enabled"},
	"Auth/Authenticate": {differs: "always: authentication is not enabled", code: codes.FailedPrecondition},
}

// TestRPCs holds the table of docs/etcd-api.md to what a gateway answers to each rpc of
// the services of etcd's API module. -rewrite writes it.
func TestRPCs(t *testing.T) {
	var table strings.Builder
	n, offered := 0, 0
	known := make(map[string]bool)
	for _, service := range []string{"KV", "Watch", "Lease", "Cluster", "Maintenance", "Auth"} {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("etcdserverpb." + service))
		if err != nil {
			t.Fatal(err)
		}
		methods := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range methods.Len() {
			m, name := methods.Get(i), fmt.Sprintf("%s/%s", service, methods.Get(i).Name())
			known[name] = true
			how, ok := answered(t, m, name)
			n++
			if ok {
				offered++
			}
			fmt.Fprintf(&table, "| %s | %s | %s |\n", service, m.Name(), how)
		}
	}
	for name := range rpcs {
		if !known[name] {
			t.Errorf("%s is no rpc", name)
		}
	}
	head := fmt.Sprintf("Of its %d rpcs, %d are offered.\n\n| service | rpc | |\n|---|---|---|\n", n, offered)
	compareTable(t, "\n"+head+table.String()+"\n")
}

// answered says how an rpc is answered, and whether it is offered.
func answered(t *testing.T, m protoreflect.MethodDescriptor, name string) (how string, offered bool) {
	t.Helper()
	rpc := rpcs[name]
	err := call(t, m, rpc.request)
	said := status.Convert(err)
	switch {
	case said.Code() == codes.Unimplemented:
		if rpc.differs != "" {
			t.Errorf("%s is not offered, and is said to differ: %s", name, rpc.differs)
		}
		return fmt.Sprintf("not offered: %v, %q", said.Code(), said.Message()), false
	case said.Code() != rpc.code:
		t.Errorf("%s: %v, want %v", name, err, rpc.code)
	case rpc.differs != "":
		return "differs: " + rpc.differs, true
	}
	return "works", true
}

// call calls an rpc of a gateway in front of a store with a key, a lease and, besides the
// members, a learner that keeps up, and returns with the first answer.
func call(t *testing.T, m protoreflect.MethodDescriptor, request string) error {
	t.Helper()
	f := start(t)
	f.node.change(func() {
		learner := actors.Member{ID: 3, Name: "gamma", Peer: "127.0.0.1:7003", Replica: true}
		f.node.members.Members, f.node.members.LastID = append(f.node.members.Members, learner), 3
		f.node.behind = map[string]uint64{"gamma": 0}
	})
	f.put("a", "1")
	leases := pb.NewLeaseClient(f.ActiveConnection())
	if _, err := leases.LeaseGrant(t.Context(), &pb.LeaseGrantRequest{ID: 7, TTL: 60}); err != nil {
		t.Fatal(err)
	}
	message := func(d protoreflect.MessageDescriptor) proto.Message {
		made, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
		if err != nil {
			t.Fatal(err)
		}
		return made.New().Interface()
	}
	asked := message(m.Input())
	if err := protojson.Unmarshal([]byte(cmp.Or(request, "{}")), asked); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context()) // streams would go on
	defer cancel()
	desc := &grpc.StreamDesc{ClientStreams: m.IsStreamingClient(), ServerStreams: m.IsStreamingServer()}
	stream, err := f.ActiveConnection().NewStream(ctx, desc, fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()))
	if err != nil {
		return err
	}
	if err := stream.SendMsg(asked); err != nil {
		return err
	}
	return stream.RecvMsg(message(m.Output()))
}

func compareTable(t *testing.T, want string) {
	t.Helper()
	doc, err := os.ReadFile(apiDoc)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(doc), tableBegin)
	got, after, ends := strings.Cut(rest, tableEnd)
	switch {
	case !begins || !ends:
		t.Fatalf("%s has no place for the table", apiDoc)
	case got == want:
	case *rewrite && !t.Failed():
		if err := os.WriteFile(apiDoc, []byte(before+tableBegin+want+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what is answered; `make generate` writes it\ngot\n%s\nwant\n%s", apiDoc, got, want)
	}
}

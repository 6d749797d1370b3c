package gateway

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/api/v3/version"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// Maintenance's Status is this member's; slots are etcd's indexes, rounds its terms.
func TestMaintenanceStatus(t *testing.T) {
	f := start(t)
	f.put("a", "1", "b", "2")
	r, err := f.Status(t.Context(), f.gateway.ClientAddr())
	if err != nil {
		t.Fatal(err)
	}
	if r.Version != version.Version || r.StorageVersion != "3.7.0" || r.Leader != 2 || r.RaftTerm != 7 ||
		r.RaftAppliedIndex != 2 || r.RaftIndex != 9 || r.IsLearner || len(r.Errors) != 0 || r.Header.Revision != 3 {
		t.Errorf("status = %+v", r)
	}
	f.node.change(func() { f.node.leader = false })
	r, err = f.Status(t.Context(), f.gateway.ClientAddr())
	if err != nil || len(r.Errors) != 1 || r.Errors[0] != "etcdserver: no leader" || r.Leader != 0 {
		t.Errorf("status without a leader = %+v, %v", r, err)
	}
	if last(0) != 0 || last(1) != 0 || last(2) != 1 {
		t.Error("the slot before the first is 0")
	}
}

// Hashes are of what is stored, so equal stores have equal ones.
func TestHashes(t *testing.T) {
	f, same := start(t), start(t)
	for _, s := range []*fixture{f, same} {
		s.put("a", "1", "b", "2")
	}
	ctx := t.Context()
	one, err := f.HashKV(ctx, f.gateway.ClientAddr(), 0)
	if err != nil || one.HashRevision != 3 || one.Header.Revision != 3 {
		t.Fatalf("hash = %+v, %v", one, err)
	}
	two, err := same.HashKV(ctx, same.gateway.ClientAddr(), 3)
	if err != nil || one.Hash != two.Hash || one.CompactRevision != two.CompactRevision {
		t.Errorf("hashes of equal stores: %+v and %+v, %v", one, two, err)
	}
	all, err := pb.NewMaintenanceClient(f.ActiveConnection()).Hash(ctx, &pb.HashRequest{})
	if err != nil || all.Hash != one.Hash {
		t.Errorf("Hash = %+v, %v, want HashKV's %d", all, err, one.Hash)
	}
	if _, err := f.HashKV(ctx, f.gateway.ClientAddr(), 99); !errors.Is(err, rpctypes.ErrFutureRev) {
		t.Errorf("hash of a future revision: %v", err)
	}
}

// A snapshot ends with its checksum, has the length by which etcd's tools tell a
// whole file, and a store is restored from it as it is.
func TestSnapshot(t *testing.T) {
	f := start(t)
	f.put("a", "1", "b", strings.Repeat("x", 300<<10))
	r, err := f.SnapshotWithVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Snapshot.Close()
	file, err := io.ReadAll(r.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if len(file)%512 != sha256.Size {
		t.Errorf("length %d is %d beyond a multiple of 512, want %d", len(file), len(file)%512, sha256.Size)
	}
	body := file[:len(file)-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], file[len(body):]) || r.Version != "3.7.0" {
		t.Errorf("the checksum is wrong, or version %q is", r.Version)
	}
	store, err := kv.Open(kv.Options{Dir: "restored", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Restore(bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	if store.Revision() != 3 {
		t.Errorf("restored revision = %d, want 3", store.Revision())
	}
}

// The rest of Maintenance and Cluster that is there.
func TestMaintenanceAndCluster(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	if r, err := f.AlarmList(ctx); err != nil || len(r.Alarms) != 0 {
		t.Errorf("alarms = %v, %v", r, err)
	}
	if r, err := f.AlarmDisarm(ctx, &clientv3.AlarmMember{MemberID: 1, Alarm: pb.AlarmType_NOSPACE}); err != nil || len(r.Alarms) != 0 {
		t.Errorf("an alarm taken back = %v, %v", r, err)
	}
	if _, err := f.Defragment(ctx, f.gateway.ClientAddr()); err != nil {
		t.Errorf("defragment: %v", err)
	}
	before := f.node.barriers
	r, err := f.MemberList(ctx)
	if err != nil || len(r.Members) != 2 || f.node.barriers != before+1 {
		t.Fatalf("members = %v, %v, after %d barriers", r, err, f.node.barriers-before)
	}
	alpha, beta := r.Members[0], r.Members[1]
	if alpha.ID != 1 || alpha.Name != "alpha" || alpha.ClientURLs[0] != "http://127.0.0.1:2379" ||
		alpha.PeerURLs[0] != "http://127.0.0.1:7001" || len(beta.ClientURLs) != 0 || alpha.IsLearner {
		t.Errorf("members = %v", r.Members)
	}
	if _, err := f.MemberList(ctx, clientv3.WithSerializable()); err != nil || f.node.barriers != before+1 {
		t.Errorf("serializable list of members: %v, after %d barriers", err, f.node.barriers-before)
	}
	if got := urls("a:1", true); got[0] != "https://a:1" {
		t.Errorf("with TLS, a URL is %s", got[0])
	}
	if s, err := f.AuthStatus(ctx); err != nil || s.Enabled {
		t.Errorf("auth = %v, %v", s, err)
	}
	if _, err := f.Authenticate(ctx, "root", "secret"); !errors.Is(err, rpctypes.ErrAuthNotEnabled) {
		t.Errorf("authenticate: %v", err)
	}
}

// What is not offered says so.
func TestUnimplemented(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	_, down := f.Downgrade(ctx, clientv3.DowngradeValidate, "3.6")
	_, user := f.UserAdd(ctx, "a", "b")
	_, role := f.RoleList(ctx)
	tests := []struct {
		name string
		err  error
		text string
	}{
		{"downgrade", down, "pmmc: there is no version"},
		{"user", user, "pmmc: users and roles are not offered"},
		{"role", role, "pmmc: users and roles are not offered"},
	}
	for _, tt := range tests {
		if tt.err == nil || !strings.Contains(tt.err.Error(), tt.text) {
			t.Errorf("%s: %v, want %q", tt.name, tt.err, tt.text)
		}
		if s, ok := status.FromError(tt.err); ok && s.Code() != codes.Unimplemented {
			t.Errorf("%s: code %v", tt.name, s.Code())
		}
	}
}

// While a member is said to be corrupt, nothing is written and nothing is read afresh, until
// an operator takes the alarm back.
func TestCorrupt(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	corrupt := func(action pb.AlarmRequest_AlarmAction) {
		t.Helper()
		r, err := pb.NewMaintenanceClient(f.ActiveConnection()).Alarm(ctx, &pb.AlarmRequest{Action: action, MemberID: 1, Alarm: pb.AlarmType_CORRUPT})
		if err != nil || len(r.Alarms) != 1 || r.Alarms[0].Alarm != pb.AlarmType_CORRUPT {
			t.Fatalf("%v: %v, %v", action, r, err)
		}
	}
	look := func(want error) {
		t.Helper()
		_, put := f.Put(ctx, "a", "1")
		_, get := f.Get(ctx, "a")
		_, lease := f.Grant(ctx, 60)
		for _, err := range []error{put, get, lease} {
			if !errors.Is(err, want) {
				t.Errorf("answered with %v, want %v", err, want)
			}
		}
		if _, err := f.Get(ctx, "a", clientv3.WithSerializable()); err != nil {
			t.Error(err)
		}
		if code, body := f.web("/health"); (code == http.StatusServiceUnavailable && strings.Contains(body, "ALARM CORRUPT")) != (want != nil) {
			t.Errorf("/health = %d %s", code, body)
		}
	}
	corrupt(pb.AlarmRequest_ACTIVATE)
	look(rpctypes.ErrCorrupt)
	corrupt(pb.AlarmRequest_DEACTIVATE)
	look(nil)
}

// Every method that the services have is either answered by its own code or listed.
func TestEveryMethodIsOfferedOrNot(t *testing.T) {
	f := start(t)
	for method := range unoffered {
		if strings.Count(method, "/") == 2 && f.gateway.metrics.rpcs[method] == nil {
			t.Errorf("%s is said not to be offered, and nobody has it", method)
		}
	}
	for method := range f.gateway.metrics.rpcs {
		if notOffered(method) != nil || looksOnly(method) || lasts(method) || strings.HasSuffix(method, "/Snapshot") {
			continue
		}
		var answer pb.PutResponse // any message: its fields are not looked at
		err := f.ActiveConnection().Invoke(t.Context(), method, &pb.StatusRequest{}, &answer)
		if status.Code(err) == codes.Unimplemented {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// The standard health service follows the node, for all services.
func TestHealthService(t *testing.T) {
	f := start(t)
	health := healthpb.NewHealthClient(f.ActiveConnection())
	is := func(service string, want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		eventually(t, service+" "+want.String(), func() bool {
			r, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
			return err == nil && r.Status == want
		})
	}
	is("", healthpb.HealthCheckResponse_SERVING)
	is("etcdserverpb.KV", healthpb.HealthCheckResponse_SERVING)
	f.node.change(func() { f.node.leader = false })
	is("", healthpb.HealthCheckResponse_NOT_SERVING)
	f.node.change(func() { f.node.leader = true })
	is("etcdserverpb.KV", healthpb.HealthCheckResponse_SERVING)
	close(f.node.done)
	eventually(t, "let go", func() bool {
		_, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{})
		return status.Code(err) == codes.Unavailable
	})
}

// What is served over HTTP: health as in etcd, the version, and nothing else.
func TestHTTP(t *testing.T) {
	f := start(t)
	is := func(path string, code int, body string) {
		t.Helper()
		gotCode, got := f.web(path)
		if gotCode != code || strings.TrimSpace(got) != body {
			t.Errorf("%s: %d %q, want %d %q", path, gotCode, got, code, body)
		}
	}
	is("/health", http.StatusOK, `{"health":"true","reason":""}`)
	is("/version", http.StatusOK, `{"etcdserver":"`+version.Version+`","etcdcluster":"3.7.0","storage":"3.7.0"}`)
	is("/secrets", http.StatusNotFound, "404 page not found")

	release := f.node.hold()
	f.node.change(func() { f.node.leader = false })
	f.gateway.look()
	began := time.Now()
	is("/health", http.StatusServiceUnavailable, `{"health":"false","reason":"etcdserver: no leader"}`)
	if took := time.Since(began); took > 10*healthPatience {
		t.Errorf("/health took %s", took)
	}
	is("/health?serializable=true", http.StatusOK, `{"health":"true","reason":""}`)
	release()
	close(f.node.done)
	is("/health?serializable=true", http.StatusServiceUnavailable, `{"health":"false","reason":"etcdserver: server stopped"}`)
}

// Numbers are in a registry of the gateway's own, and two gateways do not mix.
func TestMetrics(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.InFlight = 1 })
	other := start(t)
	f.put("a", "1")
	release := f.node.hold()
	defer release()
	failed := make(chan error, 1)
	go func() {
		_, err := f.Put(t.Context(), "a", "2")
		failed <- err
	}()
	f.node.waitHeld(t, 1)
	if _, err := f.Put(t.Context(), "a", "3"); !errors.Is(err, rpctypes.ErrTooManyRequests) {
		t.Fatalf("put beyond the bound: %v", err)
	}
	_ = f.ActiveConnection().Invoke(t.Context(), "/made.Up/Name", &pb.PutRequest{}, &pb.PutResponse{}) // refused
	f.gateway.look()
	_, numbers := f.web("/metrics")
	for _, want := range []string{
		`pmmc_requests_total{code="OK",method="/etcdserverpb.KV/Put"} 1`,
		`pmmc_requests_total{code="ResourceExhausted",method="/etcdserverpb.KV/Put"} 1`,
		`pmmc_requests_refused_total{code="ResourceExhausted"} 2`,
		`pmmc_request_seconds_count{method="/etcdserverpb.KV/Put"} 1`,
		`pmmc_requests_under_way 1`, `pmmc_connections_refused_total 0`, `pmmc_revision 2`, `pmmc_slot_in 2`,
		`pmmc_slot_out 2`, `pmmc_slots_behind 7`, `pmmc_ballot_round 7`, `pmmc_is_leader 0`, `pmmc_has_leader 1`,
		`grpc_server_started_total{grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 2`,
		`grpc_server_handled_total{grpc_code="OK",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 1`,
		`pmmc_journal_bytes 4096`, `pmmc_database_bytes `, `pmmc_actor_restarts_total{actor="epoch-*/acceptor"} 3`, `go_goroutines `,
	} {
		if !strings.Contains(numbers, "\n"+want) {
			t.Errorf("no %q in the metrics", want)
		}
	}
	if strings.Contains(numbers, "made.Up") {
		t.Error("a name that a client made up is a label")
	}
	if _, numbers := other.web("/metrics"); !strings.Contains(numbers, `pmmc_requests_total{code="OK",method="/etcdserverpb.KV/Put"} 0`) {
		t.Error("the other gateway counts this one's requests")
	}
	release()
	if err := <-failed; err != nil {
		t.Errorf("the put that had a place: %v", err)
	}
}

// Each metric is in the table, which test/monitoring makes of what a live node shows.
func TestEveryMetricIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.Contains(string(doc), "| `"+f.name+"` |") {
			t.Errorf("%s is not in docs/metrics.md: make generate", f.name)
		}
	}
}

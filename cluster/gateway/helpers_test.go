package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/kv"
	"github.com/pmmc-go/pmmc/cluster/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lonely is a Node without a network: what is proposed is executed at once.
type lonely struct {
	store                 *kv.Store
	leaving, ending, done chan struct{}

	mu       sync.Mutex
	slot     uint64
	proposed int           // calls of Propose so far
	barriers int           // calls of Barrier so far
	waiting  int           // calls that are held
	most     int           // of them, ever
	held     chan struct{} // calls wait until it is closed; nil holds none
	leader   bool
	office   string // who is in office, if there is a leader; beta if empty
	members  actors.Configuration
	behind   map[string]uint64 // slots that learners are behind; who is not there is not connected
	refuses  error             // changes of configuration
	fails    error             // of all calls
	panics   bool
	started  bool // … and has not caught up yet

	looks int                                           // calls of Status so far
	show  atomic.Pointer[func() []byte]                 // to other members
	asked func(context.Context, string) ([]byte, error) // another member
}

// begin is the part that Propose and Barrier share.
func (n *lonely) begin(ctx context.Context, count *int) error {
	n.mu.Lock()
	*count++
	held, fails := n.held, n.fails
	if n.panics {
		n.mu.Unlock()
		panic("a planted bug")
	}
	if held != nil {
		n.waiting++
		n.most = max(n.most, n.waiting)
	}
	n.mu.Unlock()
	if fails != nil {
		return fails
	}
	if held == nil {
		return nil
	}
	defer func() { n.mu.Lock(); n.waiting--; n.mu.Unlock() }()
	select {
	case <-held:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cluster: propose: %w", context.Cause(ctx))
	}
}

func (n *lonely) Propose(ctx context.Context, operation []byte) (cluster.Result, error) {
	if err := n.begin(ctx, &n.proposed); err != nil {
		return cluster.Result{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.slot++
	results := n.store.Apply(n.slot, [][]byte{operation})
	return cluster.Result{Slot: n.slot, Output: results[0]}, n.store.Commit(n.slot, nil)
}

func (n *lonely) Barrier(ctx context.Context) error { return n.begin(ctx, &n.barriers) }

func (n *lonely) CaughtUp() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.started
}

func (n *lonely) Leaving() <-chan struct{} { return n.leaving }

func (n *lonely) Ending() <-chan struct{} { return n.ending }

func (n *lonely) Done() <-chan struct{} { return n.done }

func (n *lonely) Status() cluster.Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.looks++
	s := cluster.Status{Member: "alpha", ID: 1, CaughtUp: !n.started, Restarts: map[string]int{"epoch-*/acceptor": 3}}
	s.Replica.SlotIn, s.Replica.SlotOut, s.Replica.Ahead = n.slot+1, n.slot+1, n.slot+8
	s.Journal.DiskBytes = 4096
	s.Configuration = n.copied()
	s.Replica.Executed, s.Transport.Peers = make(map[actors.Addr]uint64), make(map[string]transport.PeerStats)
	for learner, behind := range n.behind {
		s.Replica.Executed[actors.ReplicaAddr(learner)] = s.Replica.SlotOut - min(behind, s.Replica.SlotOut)
		s.Transport.Peers[learner] = transport.PeerStats{Connected: true}
	}
	if n.leader {
		s.Ready, s.InOffice, s.Replica.Office = true, cmp.Or(n.office, "beta"), actors.Ballot{Round: 7, Leader: 2}
	}
	return s
}

func (n *lonely) Configuration() actors.Configuration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.copied()
}

// copied returns the configuration apart from the one that tests change in place.
func (n *lonely) copied() actors.Configuration {
	c := n.members
	c.Members = slices.Clone(c.Members)
	return c
}

func (n *lonely) Reconfigure(_ context.Context, change cluster.Change) (actors.Configuration, error) {
	next, err := change(n.Configuration())
	if err != nil {
		return next, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	next.Epoch++
	if err := errors.Join(n.refuses, next.Follows(n.members)); err != nil {
		return next, fmt.Errorf("%w: %w", cluster.ErrRefused, err)
	}
	for _, m := range next.Members {
		next.LastID = max(next.LastID, m.ID)
	}
	n.members = next
	return next, nil
}

func (n *lonely) LatestConfiguration(ctx context.Context) (actors.Configuration, error) {
	return n.Configuration(), n.Barrier(ctx)
}

// MoveLeader succeeds where this member, number 1, hands over to the other leader.
func (n *lonely) MoveLeader(_ context.Context, to uint32) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case !n.leader:
		return cluster.ErrNotInOffice
	case to > 2:
		return cluster.ErrRefused
	}
	n.leader = to == 1
	return nil
}

// Present keeps what would be shown to others. Some tests hold the lock meanwhile.
func (n *lonely) Present(show func() []byte) { n.show.Store(&show) }

// Ask has no answer, unless a test has.
func (n *lonely) Ask(ctx context.Context, member string) ([]byte, error) {
	n.mu.Lock()
	asked := n.asked
	n.mu.Unlock()
	if asked == nil {
		return nil, errors.New("cluster: no connection")
	}
	return asked(ctx, member)
}

// change changes the node while it is in use.
func (n *lonely) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// hold makes calls wait until the result is called.
func (n *lonely) hold() (release func()) {
	held := make(chan struct{})
	n.change(func() { n.held = held })
	return sync.OnceFunc(func() { n.change(func() { n.held = nil }); close(held) })
}

// waitHeld waits until that many calls are held.
func (n *lonely) waitHeld(t testing.TB, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d calls at the node", want), func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.waiting == want
	})
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(20 * time.Second); !is(); <-poll.C {
		if time.Now().After(end) {
			t.Fatalf("still waiting for %s", what)
		}
	}
}

// fixture is a gateway in front of a lonely node, and a client.
type fixture struct {
	*clientv3.Client
	t       testing.TB
	node    *lonely
	gateway *Gateway
}

// twoMembers is the configuration of a lonely node's cluster, as it begins.
func twoMembers() actors.Configuration {
	c := actors.Configuration{Epoch: 1, First: 1, Window: 8, LastID: 2, Members: []actors.Member{
		{ID: 1, Name: "alpha", Peer: "127.0.0.1:7001", Client: "127.0.0.1:2379"},
		{ID: 2, Name: "beta", Peer: "127.0.0.1:7002"},
	}}
	for i := range c.Members {
		c.Members[i].Replica, c.Members[i].Leader, c.Members[i].Acceptor = true, true, true
	}
	return c
}

// start starts a gateway with a client. Some tests change the options.
func start(t testing.TB, change ...func(*Options)) *fixture {
	t.Helper()
	store, err := kv.Open(kv.Options{Dir: "state", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, node: &lonely{store: store, done: make(chan struct{}), leaving: make(chan struct{}), ending: make(chan struct{}), leader: true, members: twoMembers()}}
	o := Options{
		Client: "127.0.0.1:0", HTTP: "127.0.0.1:0", Node: f.node, Store: store, Cluster: "test", Member: "alpha",
	}
	for _, c := range change {
		c(&o)
	}
	if f.gateway, err = Start(o); err != nil {
		t.Fatal(err)
	}
	f.gateway.look()
	f.Client = f.dial()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := f.gateway.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return f
}

// dial makes another client, with a connection of its own.
func (f *fixture) dial() *clientv3.Client {
	f.t.Helper()
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{f.gateway.ClientAddr()}, DialTimeout: 10 * time.Second, Logger: zap.NewNop(),
		MaxCallSendMsgSize: 8 << 20,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = c.Close() }) // its context's end is no news
	return c
}

// put writes keys, each with a revision of its own.
func (f *fixture) put(pairs ...string) {
	f.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if _, err := f.Put(f.t.Context(), pairs[i], pairs[i+1]); err != nil {
			f.t.Fatal(err)
		}
	}
}

// web asks over HTTP.
func (f *fixture) web(path string) (code int, body string) {
	f.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + f.gateway.HTTPAddr() + path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

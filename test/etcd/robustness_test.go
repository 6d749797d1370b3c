// Package etcd runs etcd's own robustness tests against pmmc: its traffic, its model and
// its validators (go.etcd.io/etcd/tests/v3/robustness), with our faults.
package etcd

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/tests/v3/robustness/client"
	"go.etcd.io/etcd/tests/v3/robustness/identity"
	"go.etcd.io/etcd/tests/v3/robustness/report"
	"go.etcd.io/etcd/tests/v3/robustness/traffic"
	"go.etcd.io/etcd/tests/v3/robustness/validate"
	"go.uber.org/zap"
)

var whole = flag.Bool("whole", false, "every profile with every fault")

// pmmc is the program under test.
var pmmc string

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "robustness-")
	if err != nil {
		panic(err)
	}
	pmmc = filepath.Join(dir, "pmmc")
	build := exec.Command("go", "build", "-o", pmmc, "./cmd/pmmc")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("build pmmc: %v\n%s", err, out))
	}
	go watchMemory()
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// maxMemory is what the validators may take, in bytes. A history that cannot be
// linearized may take all that there is, long before it has taken its time.
const maxMemory = 8 << 30

// watchMemory ends the tests before the machine does.
func watchMemory() {
	var m runtime.MemStats
	for ; ; pause(100 * time.Millisecond) {
		if runtime.ReadMemStats(&m); m.Sys-m.HeapReleased > maxMemory {
			panic(fmt.Sprintf("the tests take %d MiB of memory: a history cannot be linearized", m.Sys>>20))
		}
	}
}

// How long there is traffic before a fault and after it.
const around = time.Second

// TestRobustness: what clients saw is linearizable, watches and stale reads tell of the
// same history, under each fault.
func TestRobustness(t *testing.T) {
	for i, p := range profiles {
		for j, f := range faults {
			if !*whole && (i != 0 || j != 0) {
				continue
			}
			t.Run(p.name+"/"+f.name, func(t *testing.T) { robust(t, p, f) })
		}
	}
}

func robust(t *testing.T, p profile, f fault) {
	c := startProcesses(t, pmmc)
	reports := c.drive(p, f)
	c.killAll() // what one node has yet to write down, another may have heard already
	requests := decidedRequests(t, c.traces())
	config := validate.Config{ExpectRevisionUnique: p.traffic.ExpectUniqueRevision()}
	result := validate.ValidateAndReturnVisualize(zap.NewNop(), config, reports, requests, 5*time.Minute)
	if err := result.Error(); err != nil {
		t.Error(err)
		c.keep(reports, result.Linearization.Visualize)
	}
	c.command(append([]string{"audit"}, c.traces()...)...) // the referee has its say, too
	count(t, reports, len(requests))
}

// keep keeps what is needed to find out why a run failed.
func (c *processes) keep(reports []report.ClientReport, visualize func(*zap.Logger, string) error) {
	dir, err := os.MkdirTemp("", "robustness-kept-")
	if err != nil {
		c.t.Error(err)
		return
	}
	r, err := report.NewTestReport(zap.NewNop(), filepath.Join(dir, "reports"), map[string]string{"all": c.dir}, nil)
	if err == nil {
		r.SetClientReports(reports)
		err = r.SaveEtcdData()
	}
	c.t.Logf("all of it is kept in %s (%v, %v)", dir, err, visualize(zap.NewNop(), filepath.Join(dir, "history.html")))
}

// drive has a cluster serve traffic and watches while a fault comes and goes.
func (c *processes) drive(p profile, f fault) []report.ClientReport {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	ids, base := identity.NewIDProvider(), time.Now()
	set, watches := client.NewSet(ids, base), client.NewSet(ids, base)
	defer set.Close()
	defer watches.Close()
	endpoints := c.endpoints()
	if err := traffic.CheckEmptyDatabaseAtStart(ctx, zap.NewNop(), endpoints, set); err != nil {
		c.t.Fatal(err)
	}
	last := make(chan int64, 1)
	collected := make(chan error, 1)
	go func() {
		collected <- client.CollectClusterWatchEvents(ctx, client.CollectClusterWatchEventsParam{
			Lg: zap.NewNop(), Endpoints: endpoints, MaxRevisionChan: last, ClientSet: watches,
		})
	}()
	finish := make(chan struct{})
	var running sync.WaitGroup
	c.simulate(ctx, &running, p, set, ids, endpoints, finish)
	pause(around)
	f.inject(c, set)
	pause(around)
	close(finish)
	running.Wait()
	c.lastWrite(ctx, set, endpoints)
	last <- report.OperationsMaxRevision(set.Reports())
	close(last)
	if err := <-collected; err != nil {
		c.t.Error(err)
	}
	return slices.Concat(set.Reports(), watches.Reports())
}

// simulate starts etcd's traffic: puts and reads, watches, compactions.
func (c *processes) simulate(ctx context.Context, running *sync.WaitGroup, p profile, set *client.ClientSet, ids identity.Provider,
	endpoints []string, finish <-chan struct{}) {
	limiter := limiterOf(p.load)
	keys, storage := traffic.NewKeyStore(10, "key"), traffic.NewKubernetesStorage()
	err := traffic.SimulateKeyValueTraffic(ctx, running, &p.load, endpoints, set, p.traffic, traffic.RunTrafficLoopParam{
		QPSLimiter: limiter, IDs: ids, LeaseIDStorage: identity.NewLeaseIDStorage(),
		NonUniqueRequestConcurrencyLimiter: traffic.NewConcurrencyLimiter(p.load.MaxNonUniqueRequestConcurrency),
		KeyStore:                           keys, Storage: storage, Finish: finish,
	})
	if err == nil {
		err = traffic.SimulateWatchTraffic(ctx, running, &traffic.WatchDefault, endpoints, set, p.traffic, traffic.RunWatchLoopParam{
			Config: traffic.WatchDefault, QPSLimiter: limiter, KeyStore: keys, Storage: storage, Finish: finish, Logger: zap.NewNop(),
		})
	}
	if err == nil {
		err = traffic.SimulateCompactionTraffic(ctx, running, &traffic.CompactionDefault, endpoints, set, p.traffic, traffic.RunCompactLoopParam{
			Period: traffic.CompactionDefault.Period, Finish: finish,
		})
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// lastWrite writes once more: the validators take it that the last operation succeeds.
func (c *processes) lastWrite(ctx context.Context, set *client.ClientSet, endpoints []string) {
	pause(around)
	last, err := set.NewClient(endpoints)
	if err != nil {
		c.t.Fatal(err)
	}
	defer last.Close()
	r, err := last.Put(ctx, "tombstone", "true")
	if err != nil {
		c.t.Fatalf("the last write: %v", err)
	}
	c.sameHash(r.Header.Revision)
}

// sameHash wants all nodes to hold the same history up to a revision.
func (c *processes) sameHash(revision int64) {
	var first *clientv3.HashKVResponse
	for _, p := range c.nodes {
		var hash *clientv3.HashKVResponse
		err := c.ask(p, func(ctx context.Context, client *clientv3.Client) (err error) {
			hash, err = client.HashKV(ctx, p.endpoint, revision)
			return err
		})
		if err != nil {
			c.t.Errorf("hash of %s at revision %d: %v", p.name, revision, err)
			continue
		}
		if first == nil {
			first = hash
		}
		if hash.Hash != first.Hash || hash.CompactRevision != first.CompactRevision {
			c.t.Errorf("at revision %d, %s has the hash %d, compacted at %d, and %s has %d, %d", revision,
				c.nodes[0].name, first.Hash, first.CompactRevision, p.name, hash.Hash, hash.CompactRevision)
		}
	}
}

func (c *processes) traces() (all []string) {
	for _, p := range slices.Concat(c.nodes, c.gone) {
		all = append(all, p.trace)
	}
	return all
}

// count says how much there was, and that it was enough to mean something.
func count(t *testing.T, reports []report.ClientReport, decided int) {
	operations, events := 0, 0
	for _, r := range reports {
		operations += len(r.KeyValue)
		events += r.WatchEventCount()
	}
	t.Logf("%d operations, %d decided requests, %d events of watches", operations, decided, events)
	if operations < 100 || decided < 50 || events < 100 {
		t.Error("that is too little to mean anything")
	}
}

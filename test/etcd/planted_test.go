package etcd

import (
	"testing"
	"time"

	"go.etcd.io/etcd/tests/v3/robustness/client"
	"go.etcd.io/etcd/tests/v3/robustness/validate"
	"go.uber.org/zap"
)

// TestPlantedFaults: the validators find what they are there to find. A liar stands before
// one of the nodes; without one, the same traffic passes.
func TestPlantedFaults(t *testing.T) {
	p := profiles[0]
	for name, kind := range map[string]lie{
		"stale read": staleRead, "double apply": doubleApply, "acknowledged write lost": lostWrite, "event of a watch lost": lostEvent,
	} {
		t.Run(name, func(t *testing.T) {
			c := startProcesses(t, pmmc)
			l, endpoint := startLiar(t, kind, c.nodes[0].endpoint)
			c.nodes[0].endpoint = endpoint
			reports := c.drive(p, fault{name, func(*processes, *client.ClientSet) { l.awaitLie() }})
			requests := decidedRequests(t, c.traces())
			config := validate.Config{ExpectRevisionUnique: p.traffic.ExpectUniqueRevision()}
			err := validate.ValidateAndReturnVisualize(zap.NewNop(), config, reports, requests, time.Minute).Error()
			if n := l.lies.Load(); n == 0 {
				t.Error("nobody lied")
			}
			if err == nil {
				t.Errorf("%d lies, and nothing was found", l.lies.Load())
			}
			t.Logf("%d lies; found: %v", l.lies.Load(), err)
		})
	}
}

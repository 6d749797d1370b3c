package faults

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
	"github.com/pmmc-go/pmmc/test/conformance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watched starts a cluster of n nodes under the referee, who is told of an event before
// the test's own observer.
func watched(t *testing.T, n int, o clustertest.Options) *clustertest.Cluster {
	t.Helper()
	referee, then := conformance.Watch(t), o.Observe
	o.Observe = func(e actors.Event) {
		referee(e)
		if then != nil {
			then(e)
		}
	}
	return clustertest.NewWith(t, n, o)
}

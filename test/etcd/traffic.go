package etcd

import (
	"context"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/tests/v3/robustness/client"
	"go.etcd.io/etcd/tests/v3/robustness/traffic"
)

// profile is traffic, and how much of it.
type profile struct {
	name    string
	traffic traffic.Traffic
	load    traffic.KeyValue
}

// profiles are etcd's.
var profiles = []profile{
	{"EtcdPut", compacted{traffic.EtcdPut}, traffic.KeyValueHigh},
	{"EtcdPutDeleteLease", compacted{traffic.EtcdPutDeleteLease}, traffic.KeyValueMedium},
	{"EtcdDelete", compacted{traffic.EtcdDelete}, traffic.KeyValueMedium},
	{"Kubernetes", traffic.Kubernetes, traffic.KeyValueMedium},
	{"KubernetesCreateDelete", traffic.KubernetesCreateDelete, traffic.KeyValueMedium},
}

// compacted is traffic with compactions that do not panic. etcd's own ask one member how
// far it is, and draw a revision from the last one compacted to that: there is none where
// that member has just been started again, or lags a little.
type compacted struct{ traffic.Traffic }

// RunCompactLoop compacts at revisions from the last one to a little beyond the present.
func (c compacted) RunCompactLoop(ctx context.Context, client *client.RecordingClient, p traffic.RunCompactLoopParam) {
	last := int64(2)
	ticks := time.NewTicker(p.Period)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.Finish:
			return
		case <-ticks.C:
		}
		asked, done := context.WithTimeout(ctx, traffic.RequestTimeout)
		status, err := client.Status(asked, client.Endpoints()[0])
		if done(); err != nil || status.Header.Revision+5 <= last {
			continue
		}
		revision := last + rand.Int64N(status.Header.Revision+5-last)
		if _, err := client.Compact(ctx, revision); err == nil {
			last = revision
		}
	}
}

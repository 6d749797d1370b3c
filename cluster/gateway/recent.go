package gateway

import (
	"sync"
	"time"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/messages/admin"
)

const (
	// recentFor is about how long what happened counts for rates.
	recentFor = 10 * time.Second
	// recentPause is between two looks that are kept for that.
	recentPause = time.Second
)

// recent keeps what the node showed within the last seconds.
type recent struct {
	mu   sync.Mutex
	kept []*cluster.Status
}

// keep takes note of a look, and returns the oldest one that is still recent.
func (r *recent) keep(s *cluster.Status) *cluster.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.kept); n == 0 || s.At.Sub(r.kept[n-1].At) >= recentPause {
		r.kept = append(r.kept, s)
	}
	for len(r.kept) > 1 && s.At.Sub(r.kept[0].At) > recentFor {
		r.kept[0] = nil
		r.kept = r.kept[1:]
	}
	return r.kept[0]
}

// ratesOf are what happened between two looks.
func ratesOf(now, earlier *cluster.Status) *admin.Rates {
	seconds := now.At.Sub(earlier.At).Seconds()
	if seconds <= 0 || earlier.At.IsZero() {
		return &admin.Rates{}
	}
	decrees := now.State.Commands.Since(earlier.State.Commands)
	syncs := now.Journal.SyncTimes.Since(earlier.Journal.SyncTimes)
	return &admin.Rates{
		Seconds: seconds,
		Decrees: float64(decrees.Count()) / seconds, Commands: decrees.Sum / seconds,
		Reads:    float64(now.Client.Read-earlier.Client.Read) / seconds,
		Syncs:    float64(syncs.Count()) / seconds,
		SyncMean: syncs.Mean(), SyncP99: syncs.Quantile(0.99),
		ApplyMean: now.State.Applied.Since(earlier.State.Applied).Mean(),
	}
}

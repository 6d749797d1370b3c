package gateway

import (
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
)

const (
	// divergencePause is between two looks at whether replicas executed the same.
	divergencePause = 500 * time.Millisecond
	// divergenceLooks is how many looks there are before somebody is said to be wrong: by
	// then this replica has heard with whom the others agree.
	divergenceLooks = 4
)

// watchDivergence raises the alarm CORRUPT where the replica beside this gateway found that
// another one executed other decrees. Nobody takes it back but an operator, or the end of
// the member's membership: what was answered since may be wrong.
func (g *Gateway) watchDivergence() {
	again := time.NewTicker(divergencePause)
	defer again.Stop()
	looks := make(map[actors.Divergence]int) // how often each was seen
	for {
		select {
		case <-g.life.Done():
			return
		case <-again.C:
		}
		s := g.seen.Load()
		for _, d := range s.Replica.Diverged {
			if looks[d]++; looks[d] != divergenceLooks {
				continue
			}
			g.log.Error("replicas differ: they executed different decrees, so one of them is wrong. Nothing is read or written until that is found out",
				"here", s.Member, "other", d.With.Member(), "first slot", d.First, "below slot", d.Below, "agrees with", s.Replica.Agrees)
			if g.raiseCorrupt(suspects(*s, d)) != nil {
				looks[d] = 0 // again
			}
		}
	}
}

// suspects are the members of whom one is wrong: whoever has fewer on its side, or both.
func suspects(s cluster.Status, d actors.Divergence) (ids []uint64) {
	mine, theirs := len(s.Replica.Agrees)+1, len(s.Replica.Diverged)
	other, ok := s.Configuration.Named(d.With.Member())
	if !ok {
		return nil // it is no member any more
	}
	if mine >= theirs {
		ids = append(ids, uint64(other.ID))
	}
	if mine <= theirs {
		ids = append(ids, uint64(s.ID))
	}
	return ids
}

func (g *Gateway) raiseCorrupt(members []uint64) error {
	for _, id := range members {
		_, err := proposeOwn[*pb.AlarmResponse](g.life, g, &pb.InternalRaftRequest{Alarm: &pb.AlarmRequest{
			Action: pb.AlarmRequest_ACTIVATE, MemberID: id, Alarm: pb.AlarmType_CORRUPT,
		}})
		if err != nil {
			g.log.Debug("an alarm was not raised", "member", id, "error", err)
			return err
		}
	}
	return nil
}

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
	// divergenceLooks is the number of looks before the alarm is raised: by then this
	// replica has compared itself with the others, too.
	divergenceLooks = 4
)

// watchDivergence raises the alarm CORRUPT where the replica beside this gateway found that
// another replica executed other decrees. Only an operator takes it back: answers since then may
// be wrong, and only the data can tell which history is right.
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
			g.log.Error("replicas diverged: they executed different decrees; linearizable reads and all writes are rejected until an operator resolves it",
				"here", s.Member, "other", d.With.Member(), "first slot", d.First, "below slot", d.Below, "agrees with", s.Replica.Agrees,
				"hint", "save the data of every member before you remove any: docs/operations.md, Replicas differ")
			if g.raiseCorrupt(sides(*s, d)) != nil {
				looks[d] = 0 // again
			}
		}
	}
}

// sides are the members of all histories that there are: this one, those that agree with it,
// and those that differ. None is singled out, because a majority can be wrong: two members
// that lost their disks agree with each other, and only the third has what was acknowledged.
func sides(s cluster.Status, d actors.Divergence) (ids []uint64) {
	if _, ok := s.Configuration.Named(d.With.Member()); !ok {
		return nil // it is no member any more
	}
	compared := append([]actors.Addr{actors.ReplicaAddr(s.Member)}, s.Replica.Agrees...)
	for _, other := range s.Replica.Diverged {
		compared = append(compared, other.With)
	}
	for _, a := range compared {
		if m, ok := s.Configuration.Named(a.Member()); ok {
			ids = append(ids, uint64(m.ID))
		}
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

package gateway

import (
	"hash/fnv"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// lookPause is how old the term in a header and the health service's answer may be.
const lookPause = 200 * time.Millisecond

// keepLooking keeps what is seen of the node, and the health service, up to date.
func (g *Gateway) keepLooking() {
	again := time.NewTicker(lookPause)
	defer again.Stop()
	said := healthpb.HealthCheckResponse_UNKNOWN
	leaving, ending := g.options.Node.Leaving(), g.options.Node.Ending()
	for g.life.Err() == nil { // a look may take longer than the pause, and both be ready
		g.look()
		serving := healthpb.HealthCheckResponse_NOT_SERVING
		if g.hasLeader() && g.seen.Load().CaughtUp {
			serving = healthpb.HealthCheckResponse_SERVING
		}
		if serving != said {
			said = serving
			g.health.SetServingStatus("", serving)
			for name := range g.grpc.GetServiceInfo() {
				g.health.SetServingStatus(name, serving)
			}
		}
		select {
		case <-again.C:
		case <-leaving:
			leaving = nil
			g.running.Go(g.turnAway)
		case <-ending:
			ending = nil
			g.letGo()
		case <-g.options.Node.Done():
			g.health.Shutdown()
			g.close() // nothing happens here any more
			g.letGo()
			return
		case <-g.life.Done():
			return
		}
	}
}

// letGo closes the port of clients, and their connections: they would go on to come, and hear
// at once that nothing is done here. Those of a node that leaves the cluster were turned away,
// and are answered what they asked for before.
func (g *Gateway) letGo() {
	select {
	case <-g.options.Node.Leaving():
		return
	default:
	}
	g.running.Go(func() {
		g.clients.closeAll() // gRPC would wait for those who have said nothing
		g.grpc.Stop()
	})
}

func (g *Gateway) look() {
	s := g.options.Node.Status()
	g.seen.Store(&s)
	g.earlier.Store(g.recent.keep(&s))
	g.noteAnswers(s.Roles, s.Silent, s.At)
	if s.Replica.SlotOut > 0 {
		g.metrics.replica.Store(&s.Replica)
	}
	g.term.Store(max(g.term.Load(), s.Replica.Office.Round)) // a busy replica shows none
	g.leader.note(g.hasLeader(), time.Now())
}

func (g *Gateway) hasLeader() bool { return g.seen.Load().InOffice != "" }

// clusterID is a cluster's number, from its name; what it was restored or recovered from
// changes it.
func clusterID(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash takes all
	return h.Sum64()
}

// header is what each response begins with.
func (g *Gateway) header(revision int64) *pb.ResponseHeader {
	me, _ := g.options.Node.Configuration().Named(g.options.Member) // none before it is added
	return &pb.ResponseHeader{
		ClusterId: g.clusterID ^ g.seen.Load().Configuration.Origin, MemberId: uint64(me.ID), Revision: revision,
		RaftTerm: g.term.Load(), // what etcd calls the term
	}
}

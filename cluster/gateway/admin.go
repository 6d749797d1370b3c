package gateway

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/pmmc-go/pmmc/actors/runtime/measure"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/messages/admin"
)

// adminServer shows this node to its operators. It asks nobody else, so it answers
// also where there is no majority.
type adminServer struct {
	admin.UnimplementedAdminServer
	g *Gateway
}

// Status shows the node.
func (s *adminServer) Status(context.Context, *admin.StatusRequest) (*admin.StatusResponse, error) {
	return s.g.describe(s.g.options.Node.Status()), nil
}

// describe says for operators what a node showed of itself.
func (g *Gateway) describe(n cluster.Status) *admin.StatusResponse {
	earlier := g.earlier.Load()
	r := &admin.StatusResponse{
		Cluster: g.options.Cluster, Member: g.options.Member, Id: n.ID, Roles: n.Roles, Ready: n.Ready, InOffice: n.InOffice,
		Process: int64(os.Getpid()), Version: programVersion(),
		Configuration: n.Configuration.Proto(),

		Ballot: n.Leader.Ballot.Proto(), Standing: n.Leader.Standing, Promised: n.Acceptor.Ballot.Proto(),

		SlotIn: n.Replica.SlotIn, SlotOut: n.Replica.SlotOut, Durable: n.Replica.Durable,
		Waiting: uint64(n.Replica.Requests), InFlight: uint64(n.Client.Proposals + n.Client.Reads), Restoring: n.Replica.Restoring,

		Accepted: uint64(n.Acceptor.Accepted), Forgotten: n.Acceptor.Forgotten,
		JournalBytes: n.Journal.DiskBytes, DatabaseBytes: g.options.Store.Size(),

		DiskWaits: n.Disk.Waits.Milliseconds(), DiskFree: n.Disk.Free, DiskShort: n.Disk.Short,

		Commands: n.Replica.Commands, Behind: n.Lag(), Seen: n.At.Sub(g.began).Nanoseconds(),
		Latency: g.metrics.latency(), Sync: times(n.Journal.SyncTimes),
		Http: g.HTTPAddr(), Secure: g.options.TLS != nil,

		Elected: n.Runtime.Office.Elected, Changes: changes(n), Peers: peers(n), Rates: ratesOf(&n, earlier),
		Scouts: uint64(n.Runtime.Kinds["scout"].Alive), Commanders: uint64(n.Runtime.Kinds["commander"].Alive),
		Warnings: slices.Concat(n.Warnings(*earlier), g.spaceWarnings(n), g.certificateWarnings(time.Now())),
	}
	if began := n.Runtime.Began; !began.IsZero() {
		r.Up = n.At.Sub(began).Seconds()
	}
	if since := n.Runtime.Office.Since; !since.IsZero() {
		r.OfficeAge = n.At.Sub(since).Seconds()
	}
	for _, restarts := range n.Restarts {
		r.Restarts += uint64(restarts)
	}
	for _, a := range n.Actors {
		r.Alive = append(r.Alive, a.Path())
	}
	for _, d := range n.Replica.Recent {
		r.Recent = append(r.Recent, &admin.DecreeSeen{
			Slot: d.Slot, Ballot: d.Ballot.Proto(), Kind: d.Kind, Commands: uint64(d.Commands), Bytes: uint64(d.Bytes),
		})
	}
	return r
}

func times(d measure.Distribution) *admin.Times {
	return &admin.Times{Bounds: d.Bounds, Counts: d.Counts}
}

// latency is how long clients' requests for keys took so far.
func (m *metrics) latency() *admin.Times {
	var all measure.Distribution
	for _, method := range []string{pb.KV_Range_FullMethodName, pb.KV_Put_FullMethodName, pb.KV_DeleteRange_FullMethodName, pb.KV_Txn_FullMethodName} {
		all = all.Plus(m.rpcs[method].seconds.Show())
	}
	return times(all)
}

func changes(n cluster.Status) (all []*admin.OfficeChange) {
	for _, c := range n.Runtime.Office.Changes {
		holder, _ := n.Configuration.Member(c.InOffice.Leader)
		all = append(all, &admin.OfficeChange{
			Age: n.At.Sub(c.At).Seconds(), Epoch: c.Epoch, Standing: c.Standing, Ballot: c.InOffice.Proto(), InOffice: holder.Name, Why: string(c.Why),
		})
	}
	return all
}

func peers(n cluster.Status) (all []*admin.Peer) {
	for _, name := range slices.Sorted(maps.Keys(n.Transport.Peers)) {
		p := n.Transport.Peers[name]
		all = append(all, &admin.Peer{Name: name, Connected: p.Connected, Age: n.At.Sub(p.Since).Seconds(), RoundTrip: p.RoundTrip.Seconds()})
	}
	return all
}

// warnQuota is the part of the quota, in percent, from which on its use is worth a warning.
const warnQuota = 80

func (g *Gateway) spaceWarnings(n cluster.Status) (all []string) {
	for _, a := range g.options.Store.Alarms() {
		m, _ := n.Configuration.Member(uint32(a.MemberID))
		if a.Alarm == pb.AlarmType_CORRUPT {
			all = append(all, fmt.Sprintf("%s: alarm CORRUPT: it is one of the members of which at least one is wrong", m.Name))
			continue
		}
		all = append(all, fmt.Sprintf("%s: %s", m.Name, a.Alarm))
	}
	if used := g.options.Store.SizeInUse() * 100 / g.limits.Load().Quota; len(all) == 0 && used >= warnQuota {
		all = append(all, fmt.Sprintf("%s uses %d %% of its quota", n.Member, used))
	}
	return all
}

// programVersion is the version of the module that was built.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return info.Main.Version
}

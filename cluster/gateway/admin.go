package gateway

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"

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
	n, earlier := s.g.options.Node.Status(), s.g.earlier.Load()
	r := &admin.StatusResponse{
		Cluster: s.g.options.Cluster, Member: n.Member, Id: n.ID, Roles: n.Roles, Ready: n.Ready, InOffice: n.InOffice,
		Process: int64(os.Getpid()), Version: programVersion(),
		Configuration: n.Configuration.Proto(),

		Ballot: n.Leader.Ballot.Proto(), Standing: n.Leader.Standing, Promised: n.Acceptor.Ballot.Proto(),

		SlotIn: n.Replica.SlotIn, SlotOut: n.Replica.SlotOut, Durable: n.Replica.Durable,
		Waiting: uint64(n.Replica.Requests), InFlight: uint64(n.Client.Proposals + n.Client.Reads), Restoring: n.Replica.Restoring,

		Accepted: uint64(n.Acceptor.Accepted), Forgotten: n.Acceptor.Forgotten,
		JournalBytes: n.Journal.DiskBytes, DatabaseBytes: s.g.options.Store.Size(),

		Elected: n.Runtime.Office.Elected, Changes: changes(n), Peers: peers(n), Rates: ratesOf(&n, earlier),
		Scouts: uint64(n.Runtime.Kinds["scout"].Alive), Commanders: uint64(n.Runtime.Kinds["commander"].Alive),
		Warnings: append(n.Warnings(*earlier), s.spaceWarnings(n)...),
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
	return r, nil
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

func (s *adminServer) spaceWarnings(n cluster.Status) (all []string) {
	for _, a := range s.g.options.Store.Alarms() {
		m, _ := n.Configuration.Member(uint32(a.MemberID))
		all = append(all, fmt.Sprintf("%s: %s", m.Name, a.Alarm))
	}
	if used := s.g.options.Store.SizeInUse() * 100 / s.g.limits.Load().Quota; len(all) == 0 && used >= warnQuota {
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

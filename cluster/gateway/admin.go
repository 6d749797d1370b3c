package gateway

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/messages/admin"
)

// adminServer shows this node to its operators. It asks nobody else, so it answers
// also where there is no majority.
type adminServer struct {
	admin.UnimplementedAdminServer
	cluster  string // its name
	status   func() cluster.Status
	database func() int64 // bytes on disk
}

// Status shows the node.
func (s *adminServer) Status(context.Context, *admin.StatusRequest) (*admin.StatusResponse, error) {
	n := s.status()
	r := &admin.StatusResponse{
		Cluster: s.cluster, Member: n.Member, Id: n.ID, Roles: n.Roles, Ready: n.Ready, InOffice: n.InOffice,
		Process: int64(os.Getpid()), Version: programVersion(),
		Configuration: n.Configuration.Proto(),

		Ballot: n.Leader.Ballot.Proto(), Standing: n.Leader.Standing, Promised: n.Acceptor.Ballot.Proto(),

		SlotIn: n.Replica.SlotIn, SlotOut: n.Replica.SlotOut, Durable: n.Replica.Durable,
		Waiting: uint64(n.Replica.Requests), InFlight: uint64(n.Client.Proposals + n.Client.Reads), Restoring: n.Replica.Restoring,

		Accepted: uint64(n.Acceptor.Accepted), Forgotten: n.Acceptor.Forgotten,
		JournalBytes: n.Journal.DiskBytes, DatabaseBytes: s.database(),

		DiskWaits: n.Disk.Waits.Milliseconds(), DiskFree: n.Disk.Free, DiskShort: n.Disk.Short,
	}
	for _, restarts := range n.Restarts {
		r.Restarts += uint64(restarts)
	}
	return r, nil
}

// programVersion is the version of the module that was built.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return info.Main.Version
}

package cluster

import (
	"context"
	"time"

	"github.com/pmmc-go/pmmc/actors"
)

// handOverPatience is how long a node that is to end waits for another one to take its
// office: about as long as it takes the others to find out by themselves.
const handOverPatience = time.Second

// HandOver has another member take the office if this one has it. Who is to end does so
// first: then clients wait for a round trip instead of an election.
func (n *Node) HandOver(ctx context.Context) {
	s := n.Status()
	heir, ok := s.heir()
	if s.InOffice != n.options.Member || !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, handOverPatience)
	defer cancel()
	if err := n.MoveLeader(ctx, heir.ID); err != nil {
		n.options.Logger.Warn("the office was not handed over; the others will elect", "error", err)
	}
}

// heir is the other member that is best fit for the office: one that is connected, and
// beside whose leader is the most advanced replica.
func (s Status) heir() (heir actors.Member, found bool) {
	fitness := func(m actors.Member) uint64 { return s.Replica.Executed[actors.ReplicaAddr(m.Name)] }
	for _, m := range s.Configuration.Members {
		if m.Leader && m.Name != s.Member && s.Transport.Peers[m.Name].Connected && (!found || fitness(m) > fitness(heir)) {
			heir, found = m, true
		}
	}
	return heir, found
}

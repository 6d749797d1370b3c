package cluster

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/actors/runtime"
	"github.com/pmmc-go/pmmc/cluster/transport"
)

// This file says of which cluster a node is (S11), and what becomes of one whose peers are of
// another.

// foreigner says that a peer is of another cluster.
type foreigner struct {
	peer  string
	other transport.Cluster
}

// cluster is of which cluster this node is (S11). A node that waits to be added to one
// does not know what it was made from, nor who its members are.
func (n *Node) cluster() transport.Cluster {
	c := transport.Cluster{Name: n.options.Cluster}
	if latest := n.Configuration(); latest.Epoch > 0 {
		c.Origin, c.Epoch, c.Members = originText(latest.Origin), latest.Epoch, membersText(latest)
	}
	return c
}

// longestText is how long a list of members may be, in bytes, to be told as it is.
const longestText = 2 << 10

// membersText shows what the nodes of an epoch must have in common: its window, and of each
// member all but where its clients reach it.
func membersText(c actors.Configuration) string {
	text := fmt.Sprintf("window %d", c.Window)
	for _, m := range slices.SortedFunc(slices.Values(c.Members), func(a, b actors.Member) int { return cmp.Compare(a.ID, b.ID) }) {
		text += fmt.Sprintf(", %d %s at %s (%s)", m.ID, m.Name, m.Peer, rolesText(m))
	}
	if len(text) > longestText {
		text = fmt.Sprintf("SHA-256 %x", sha256.Sum256([]byte(text)))
	}
	return text
}

// rolesText has a letter for each role of a member.
func rolesText(m actors.Member) (text string) {
	for i, has := range []bool{m.Replica, m.Leader, m.Acceptor} {
		if has {
			text += "rla"[i : i+1]
		}
	}
	return text
}

// originText shows what a cluster was made from.
func originText(origin uint64) string {
	if origin == 0 {
		return "none"
	}
	return fmt.Sprintf("%016x", origin)
}

// foreign takes it that a peer is of another cluster.
func (n *Node) foreign(peer string, other transport.Cluster) {
	n.system.Root.Send(actor.NewPID(n.system.Address(), runtime.Root+"/steward"), foreigner{peer, other})
}

// onForeigner ends a node that has promised nothing yet when so many of those at its peers'
// addresses are of another cluster that no majority can welcome it: it was not restored from
// what they were, or its configuration is wrong. Those who have promised something stay.
func (s *steward) onForeigner(m foreigner) {
	here := s.node.cluster()
	restored := here.Name == m.other.Name && here.Origin != originText(0) && m.other.Origin == originText(0)
	if s.id().Admitted || restored || here.Meets(m.other) {
		return
	}
	s.foreign[m.peer] = true
	if members := len(s.node.Configuration().Members); 2*(members-len(s.foreign)) > members {
		return
	}
	fix := restoreAgain
	if here.Origin == m.other.Origin {
		fix = sameForAll
	}
	s.node.fail(&IdentityError{s.dir, fmt.Sprintf("%s says: %s", m.peer, m.other.Differs(here)), fix})
}

// What to do where the nodes of a new cluster were not all told the same.
const (
	sameForAll = "The cluster's name, its members and protocol.window must be the same in the configurations of all nodes: correct the one that is wrong. " + tookNoPart
	tookNoPart = "This directory took part in nothing yet: unless a snapshot was restored into it, remove it before the node starts again."
)

package transport

import (
	"context"
	"fmt"
	"strconv"

	"google.golang.org/grpc/metadata"
)

// Cluster is of which cluster a node is. Nodes of two clusters do not speak with each
// other: the one's messages could undo what the other decided.
type Cluster struct {
	Name   string
	Origin string // what it was made from; empty while the node does not know, and meets any

	Epoch   uint64 // of its latest configuration; 0 if it knows of none …
	Members string // … and who takes part in that, in words that are the same for the same; "" meets any
}

// String shows it as an operator knows it.
func (c Cluster) String() string {
	if c.Origin == "" {
		return fmt.Sprintf("%q", c.Name)
	}
	return fmt.Sprintf("%q (origin %s)", c.Name, c.Origin)
}

// Meets tells whether a node of c may speak with one of other.
func (c Cluster) Meets(other Cluster) bool { return c.isThat(other) && c.agrees(other) }

// isThat tells whether the two have the name and the origin in common.
func (c Cluster) isThat(other Cluster) bool {
	return c.Name == other.Name && (c.Origin == "" || other.Origin == "" || c.Origin == other.Origin)
}

// agrees tells whether both have the same members take part in an epoch. Where they have not,
// two majorities need not have a member in common.
func (c Cluster) agrees(other Cluster) bool {
	return c.Epoch != other.Epoch || c.Members == "" || other.Members == "" || c.Members == other.Members
}

// Differs says in what two clusters differ that do not meet.
func (c Cluster) Differs(other Cluster) string {
	if !c.isThat(other) {
		return fmt.Sprintf("this is cluster %s, not %s", c, other)
	}
	return fmt.Sprintf("epoch %d has other members here (%q) than there (%.2000q)", c.Epoch, c.Members, other.Members)
}

// The headers by which a node says of which cluster it is.
const (
	nameHeader    = "pmmc-cluster-bin"
	originHeader  = "pmmc-origin-bin"
	epochHeader   = "pmmc-epoch"
	membersHeader = "pmmc-members-bin"
)

func (c Cluster) metadata() metadata.MD {
	return metadata.Pairs(nameHeader, c.Name, originHeader, c.Origin, epochHeader, fmt.Sprint(c.Epoch), membersHeader, c.Members)
}

func clusterOf(md metadata.MD) (c Cluster) {
	for header, field := range map[string]*string{nameHeader: &c.Name, originHeader: &c.Origin, membersHeader: &c.Members} {
		if v := md.Get(header); len(v) > 0 {
			*field = v[0]
		}
	}
	if v := md.Get(epochHeader); len(v) > 0 {
		c.Epoch, _ = strconv.ParseUint(v[0], 10, 64) // 0 if it is none
	}
	return c
}

// callerOf is the cluster of who opened a stream to this node.
func callerOf(ctx context.Context) Cluster {
	md, _ := metadata.FromIncomingContext(ctx)
	return clusterOf(md)
}

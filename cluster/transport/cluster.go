package transport

import (
	"context"
	"fmt"

	"google.golang.org/grpc/metadata"
)

// Cluster is of which cluster a node is. Nodes of two clusters do not speak with each
// other: the one's messages could undo what the other decided.
type Cluster struct {
	Name   string
	Origin string // what it was made from; empty while the node does not know, and meets any
}

// String shows it as an operator knows it.
func (c Cluster) String() string {
	if c.Origin == "" {
		return fmt.Sprintf("%q", c.Name)
	}
	return fmt.Sprintf("%q (origin %s)", c.Name, c.Origin)
}

func (c Cluster) meets(other Cluster) bool {
	return c.Name == other.Name && (c.Origin == "" || other.Origin == "" || c.Origin == other.Origin)
}

// The headers by which a node says of which cluster it is.
const (
	nameHeader   = "pmmc-cluster-bin"
	originHeader = "pmmc-origin-bin"
)

func (c Cluster) metadata() metadata.MD {
	return metadata.Pairs(nameHeader, c.Name, originHeader, c.Origin)
}

func clusterOf(md metadata.MD) (c Cluster) {
	if v := md.Get(nameHeader); len(v) > 0 {
		c.Name = v[0]
	}
	if v := md.Get(originHeader); len(v) > 0 {
		c.Origin = v[0]
	}
	return c
}

// callerOf is the cluster of who opened a stream to this node.
func callerOf(ctx context.Context) Cluster {
	md, _ := metadata.FromIncomingContext(ctx)
	return clusterOf(md)
}

package transport

import (
	"fmt"
	"strconv"
	"testing"
)

// Nodes of two clusters do not connect, in either direction, and each is told which one
// the other is of. A node that does not know yet what its cluster was made from
// connects with those of its name. The same goes for nodes that take other members to take
// part in an epoch.
func TestNodesOfTwoClusters(t *testing.T) {
	for _, tt := range []struct {
		alpha, beta Cluster
		meet        bool
	}{
		{Cluster{Name: "a", Origin: "1"}, Cluster{Name: "a", Origin: "1"}, true},
		{Cluster{Name: "a", Origin: ""}, Cluster{Name: "a", Origin: "1"}, true},
		{Cluster{Name: "a", Origin: "2"}, Cluster{Name: "a", Origin: "1"}, false},
		{Cluster{Name: "a", Origin: "1"}, Cluster{Name: "b", Origin: "1"}, false},
		{Cluster{Name: "a", Origin: ""}, Cluster{Name: "b", Origin: "1"}, false},
		{Cluster{Epoch: 1, Members: "three"}, Cluster{Epoch: 1, Members: "three"}, true},
		{Cluster{Epoch: 1, Members: "three"}, Cluster{Epoch: 1, Members: "five"}, false},
		{Cluster{Epoch: 1, Members: "three"}, Cluster{Epoch: 2, Members: "five"}, true},
		{Cluster{Epoch: 1, Members: "three"}, Cluster{Epoch: 1}, true}, // of an earlier build
	} {
		of := map[string]Cluster{"alpha": tt.alpha, "beta": tt.beta}
		told := make(chan string, 1000)
		peers := addresses(t, "alpha", "beta")
		start := func(member string) *node {
			return startNode(t, member, peers, func(o *Options) {
				o.Cluster = func() Cluster { return of[member] }
				o.Foreign = func(peer string, other Cluster) { told <- fmt.Sprintf("%s is of %#v", peer, other) }
			})
		}
		alpha, beta := start("alpha"), start("beta")
		if tt.meet {
			alpha.connected("beta")
			beta.connected("alpha")
			continue
		}
		heard := make(map[string]bool)
		for len(heard) < 2 {
			heard[<-told] = true
		}
		if !heard[fmt.Sprintf("alpha is of %#v", tt.alpha)] || !heard[fmt.Sprintf("beta is of %#v", tt.beta)] {
			t.Errorf("%v and %v: heard %v", tt.alpha, tt.beta, heard)
		}
		why := strconv.Quote(tt.beta.Differs(tt.alpha))
		eventually(t, "alpha logs why", func() bool { return alpha.log.count(why[1:len(why)-1]) > 0 })
		if alpha.Stats().Peers["beta"].Connected {
			t.Errorf("%v and %v are connected", tt.alpha, tt.beta)
		}
		alpha.Kill()
		beta.Kill()
	}
}

package transport

import "testing"

// Nodes of two clusters do not connect, in either direction, and each is told which one
// the other is of. A node that does not know yet what its cluster was made from
// connects with those of its name.
func TestNodesOfTwoClusters(t *testing.T) {
	for _, tt := range []struct {
		alpha, beta Cluster
		meet        bool
	}{
		{Cluster{"a", "1"}, Cluster{"a", "1"}, true},
		{Cluster{"a", ""}, Cluster{"a", "1"}, true},
		{Cluster{"a", "2"}, Cluster{"a", "1"}, false},
		{Cluster{"a", "1"}, Cluster{"b", "1"}, false},
		{Cluster{"a", ""}, Cluster{"b", "1"}, false},
	} {
		of := map[string]Cluster{"alpha": tt.alpha, "beta": tt.beta}
		told := make(chan string, 1000)
		peers := addresses(t, "alpha", "beta")
		start := func(member string) *node {
			return startNode(t, member, peers, func(o *Options) {
				o.Cluster = func() Cluster { return of[member] }
				o.Foreign = func(peer string, other Cluster) { told <- peer + " is of " + other.String() }
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
		if !heard["alpha is of "+tt.alpha.String()] || !heard["beta is of "+tt.beta.String()] {
			t.Errorf("%v and %v: heard %v", tt.alpha, tt.beta, heard)
		}
		eventually(t, "alpha logs why", func() bool { return alpha.log.count(`this is cluster \"`+tt.beta.Name) > 0 })
		if alpha.Stats().Peers["beta"].Connected {
			t.Errorf("%v and %v are connected", tt.alpha, tt.beta)
		}
		alpha.Kill()
		beta.Kill()
	}
}

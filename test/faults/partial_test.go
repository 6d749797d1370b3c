package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
)

// cutAllBut leaves only the links of pairs, both ways.
func cutAllBut(c *clustertest.Cluster, pairs ...[2]string) {
	kept := make(map[[2]string]bool)
	for _, p := range pairs {
		kept[p], kept[[2]string{p[1], p[0]}] = true, true
	}
	for _, a := range c.Nodes() {
		for _, b := range c.Nodes() {
			if a != b && !kept[[2]string{a.Name, b.Name}] {
				c.Cut(a.Name, b.Name)
			}
		}
	}
}

// star links a hub with all others, who do not reach each other.
func star(c *clustertest.Cluster, hub string) (pairs [][2]string) {
	for _, n := range c.Nodes() {
		if n.Name != hub {
			pairs = append(pairs, [2]string{hub, n.Name})
		}
	}
	return pairs
}

func otherThan(c *clustertest.Cluster, names ...string) *clustertest.Node {
	for _, n := range c.Nodes() {
		other := true
		for _, name := range names {
			other = other && n.Name != name
		}
		if other {
			return n
		}
	}
	return nil
}

// inOffice waits until the leader of one of the nodes that may lead is in office, writes
// through it succeed, and it keeps its ballot for as long as the longest of its first
// time-outs. Of several that run at a time, those that are preempted may be seen first, each
// once.
func inOffice(t *testing.T, c *clustertest.Cluster, may ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
	defer cancel()
	ballots := make(map[actors.Ballot]bool)
	c.Eventually(fmt.Sprintf("led by one of %v", may), func() error {
		i := slices.IndexFunc(may, func(name string) bool { return c.Node(name).Status().Leader.Standing == "active" })
		if i < 0 {
			return errors.New("none of them is in office")
		}
		n := c.Node(may[i])
		ballot := n.Status().Leader.Ballot
		if ballots[ballot] = true; len(ballots) > len(may) {
			t.Fatalf("of %v many came into office in turn: %v", may, ballots)
		}
		for begin := time.Now(); time.Since(begin) < longestFirst; {
			if _, err := n.Propose(ctx, []byte("next")); err != nil {
				return err
			}
		}
		if now := n.Status().Leader; now.Ballot != ballot || now.Standing != "active" {
			return fmt.Errorf("%s went from ballot %v in office to %v, %s", n.Name, ballot, now.Ballot, now.Standing)
		}
		return nil
	})
}

// Leaders that are alive while some protocols stand still: the three shapes of Ng, Haridi
// and Carbone, Omni-Paxos, EuroSys 2023.

// TestQuorumLoss leaves the leader a link to the hub, which alone reaches a majority.
func TestQuorumLoss(t *testing.T) {
	c := watched(t, 5, clustertest.Options{})
	hub := otherThan(c, c.Leader().Name)
	cutAllBut(c, star(c, hub.Name)...)
	inOffice(t, c, hub.Name)
}

// TestConstrainedElection has the leader reach nobody, and the only node that reaches a
// majority be far behind. Of three nodes the one that is left reaches a majority, too.
func TestConstrainedElection(t *testing.T) {
	for _, size := range []int{3, 5} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			c := watched(t, size, clustertest.Options{})
			leader := c.Leader()
			hub := otherThan(c, leader.Name)
			c.Isolate(hub.Name)
			writesPass(t, leader, 500*time.Millisecond)
			c.Heal()
			cutAllBut(c, slices.DeleteFunc(star(c, hub.Name), func(p [2]string) bool { return p[1] == leader.Name })...)
			may := []string{hub.Name}
			if size == 3 {
				may = append(may, otherThan(c, leader.Name, hub.Name).Name)
			}
			inOffice(t, c, may...)
		})
	}
}

// TestChain links each node with the next one only.
func TestChain(t *testing.T) {
	for _, size := range []int{3, 5} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			c := watched(t, size, clustertest.Options{})
			leader := c.Leader()
			chain := []string{otherThan(c, leader.Name).Name, leader.Name} // three hear the leader
			for _, n := range c.Nodes() {
				if !slices.Contains(chain, n.Name) {
					chain = append(chain, n.Name)
				}
			}
			var pairs [][2]string
			for i := range size - 1 {
				pairs = append(pairs, [2]string{chain[i], chain[i+1]})
			}
			cutAllBut(c, pairs...)
			inOffice(t, c, leader.Name)
		})
	}
}

// TestChainWithTheLeaderAtItsEnd moves the office to where a majority is reached, if the
// leader does not reach one.
func TestChainWithTheLeaderAtItsEnd(t *testing.T) {
	c := watched(t, 5, clustertest.Options{})
	leader := c.Leader()
	chain := []string{leader.Name}
	for _, n := range c.Nodes() {
		if n != leader {
			chain = append(chain, n.Name)
		}
	}
	var pairs [][2]string
	for i := range len(chain) - 1 {
		pairs = append(pairs, [2]string{chain[i], chain[i+1]})
	}
	cutAllBut(c, pairs...)
	inOffice(t, c, chain[1:4]...)
}

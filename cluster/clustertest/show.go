package clustertest

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/cluster"
)

// This file is what is printed of a cluster whose test failed.

// lastLines keeps the last lines that were written to it.
type lastLines struct {
	mu    sync.Mutex
	lines []string
}

// keptLines is how many lines are kept of each node.
const keptLines = 30

func (l *lastLines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = slices.AppendSeq(l.lines, strings.Lines(string(text)))
	l.lines = slices.Delete(l.lines, 0, max(0, len(l.lines)-keptLines))
	return len(text), nil
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "")
}

func (n *Node) logger() hclog.Logger {
	if given := n.cluster.options.Logger; given != nil {
		return given.Named(n.Name)
	}
	return hclog.New(&hclog.LoggerOptions{Output: &n.log, Level: hclog.Info, TimeFormat: "15:04:05.000"})
}

// show tells how each node is, which links are cut, and what each node last logged.
func (c *Cluster) show() string {
	var b strings.Builder
	b.WriteString("clustertest: the cluster of the test that failed:\n")
	for _, n := range c.Nodes() {
		fmt.Fprintf(&b, "%s: %s\n", n.Name, n.show())
	}
	if cut := c.cuts(); len(cut) > 0 {
		fmt.Fprintf(&b, "links that are cut: %s\n", strings.Join(cut, ", "))
	}
	for _, n := range c.Nodes() {
		if log := n.log.String(); log != "" {
			fmt.Fprintf(&b, "last lines of the log of %s:\n%s", n.Name, log)
		}
	}
	return b.String()
}

// show tells how a node is: of one that is down, what it was.
func (n *Node) show() string {
	if n.Node == nil {
		return "not started"
	}
	me, _ := n.Configuration().Named(n.Name)
	var roles []string
	for role, has := range map[string]bool{"replica": me.Replica, "leader": me.Leader, "acceptor": me.Acceptor} {
		if has {
			roles = append(roles, role)
		}
	}
	slices.Sort(roles)
	text := fmt.Sprintf("%s; roles %v", n.state, roles)
	switch {
	case n.state != running:
		return text
	case n.ended():
		return fmt.Sprintf("%s, but ended by itself: %v", text, n.Err())
	}
	s := n.Status()
	text += fmt.Sprintf("; leader %s with ballot %s; slot_in %d, slot_out %d, lag %d; in office: %q",
		s.Leader.Standing, s.Leader.Ballot, s.Replica.SlotIn, s.Replica.SlotOut, s.Lag(), s.InOffice)
	for _, warning := range s.Warnings(cluster.Status{}) {
		text += "\n  warning: " + warning
	}
	return text
}

// cuts lists the links that are cut.
func (c *Cluster) cuts() (links []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for link := range c.cut {
		links = append(links, link[0]+" to "+link[1])
	}
	slices.Sort(links)
	return links
}

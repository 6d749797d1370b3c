package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// memberRow is what is shown of a member.
type memberRow struct {
	ID      uint32   `json:"id"`
	Name    string   `json:"name"` // empty before its node has said it
	Roles   []string `json:"roles"`
	Peer    string   `json:"peer"`
	Client  string   `json:"client"`
	Learner string   `json:"learner"` // no, yes, or auto if it is promoted by itself
	Status  string   `json:"status"`
}

// list is what is shown of all members: what the log says of them, and what their own
// nodes do.
func (f *memberFlags) list(c *cobra.Command) ([]memberRow, error) {
	v, err := f.newest(c)
	if err != nil {
		return nil, err
	}
	secure, err := f.tls.load()
	if err != nil {
		return nil, &usageError{c, err}
	}
	var clients []string
	for _, m := range v.Members {
		if m.Client != "" {
			clients = append(clients, m.Client)
		}
	}
	nodes := make(map[string]nodeStatus)
	for _, n := range askAll(c.Context(), clients, min(f.timeout, statusTimeout), secure) {
		nodes[n.Endpoint] = n
	}
	var rows []memberRow
	for _, m := range v.Members {
		row := memberRow{ID: m.Id, Name: m.Name, Roles: rolesOf(m), Peer: m.Peer, Client: m.Client, Learner: "no"}
		row.Status = statusOf(m, nodes[m.Client], v.Window)
		if m.Name == actors.Placeholder(m.Id) {
			row.Name = ""
		}
		switch {
		case m.Promote:
			row.Learner = "auto"
		case m.Replica && !m.Leader && !m.Acceptor:
			row.Learner = "yes"
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func rolesOf(m *messages.Member) (roles []string) {
	for _, r := range []struct {
		has  bool
		name string
	}{{m.Replica, "replica"}, {m.Leader, "leader"}, {m.Acceptor, "acceptor"}} {
		if r.has {
			roles = append(roles, r.name)
		}
	}
	return roles
}

// statusOf says in a few words how a member's node is.
func statusOf(m *messages.Member, n nodeStatus, window uint64) string {
	switch {
	case m.Name == actors.Placeholder(m.Id):
		return "not started"
	case m.Client == "":
		return "not heard of"
	case !n.Reachable && !m.Leader && !m.Acceptor:
		return "catching up, or unreachable"
	case !n.Reachable:
		return "unreachable"
	case n.Node != m.Name:
		return "another node is there: " + n.Node
	case n.Restoring:
		return "fetches a snapshot"
	case n.Lag >= window:
		return fmt.Sprintf("lags by %d slots", n.Lag)
	case !n.Ready:
		return "not ready"
	case n.Office == m.Name:
		return "in office"
	}
	return "ready"
}

func printMembers(w io.Writer, rows []memberRow) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tNAME\tROLES\tPEER\tCLIENT\tLEARNER\tSTATUS")
	for _, r := range rows {
		var roles string
		for _, role := range r.Roles {
			roles += role[:1]
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, orDash(r.Name), roles, r.Peer, orDash(r.Client), r.Learner, r.Status)
	}
	return table.Flush()
}

// printAdded says that a member was added, and how its node is started.
func (f *memberFlags) printAdded(c *cobra.Command, m *clientv3.Member) error {
	if f.asJSON {
		return printJSON(c.OutOrStdout(), m)
	}
	v, err := f.newest(c)
	if err != nil {
		return err
	}
	var join []string
	for _, other := range v.Members {
		if uint64(other.Id) != m.ID {
			join = append(join, fmt.Sprintf("%q", other.Peer))
		}
	}
	as := ""
	if m.IsLearner {
		as = ", a learner"
		if added := v.member(m.Name); added.GetPromote() {
			as += " until it has kept up for a while"
		}
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), `added: member %[1]s, number %[2]d%[3]s
If its node does not wait already, start it with this configuration: pmmc node --config %[1]s.hcl

cluster = %[4]q
join    = [%[5]s]
node %[1]q {}
listen {
  http = %[8]q
}
member %[1]q {
  peer   = %[6]q
  client = %[7]q
}

`, m.Name, m.ID, as, v.cluster, strings.Join(join, ", "), f.peer, cmp.Or(f.client, unknownAddress), httpBeside(f.client))
	return err
}

// unknownAddress stands where the operator has to write an address.
const unknownAddress = "HOST:PORT"

// httpBeside is where a new node may listen for http: the port after that of clients, as in
// the samples. What it is unless configured may be another node's of the same machine.
func httpBeside(client string) string {
	address, err := shifted(client, 1)
	if err != nil {
		return unknownAddress
	}
	return address
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/messages"
	"github.com/pmmc-go/pmmc/messages/admin"
)

// statusTimeout is how long a node may take to show itself.
const statusTimeout = 2 * time.Second

const statusHelp = `Ask each node how it is, and show it in a table, or with --json as one JSON array.

  ROLES     r replica, l leader, a acceptor
  BALLOT    ballot_num of its leader, as round.member
  LEADER    active where its leader is in office; passive, canvassing or scouting
  OFFICE    who is in office, as far as the node knows
  SLOT_IN   its replica proposes there next
  SLOT_OUT  its replica executes that next
  LAG       how many slots it is behind the one of those asked that is furthest
  PID       of its process

The exit code is 1 when no node answered.`

func newStatus() *cobra.Command {
	var f clientFlags
	var asJSON bool
	c := &cobra.Command{
		Use:     "status",
		Short:   "Show all nodes: who can be reached, who is in office, who lags",
		Long:    statusHelp,
		Example: "  pmmc status\n  pmmc status --json --endpoints 10.0.0.1:2379,10.0.0.2:2379",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return &usageError{c, err}
			}
			secure, err := f.tls.load()
			if err != nil {
				return &usageError{c, err}
			}
			nodes := askAll(c.Context(), f.endpoints, f.timeout, secure)
			show := printStatus
			if asJSON {
				show = printStatusJSON
			}
			if err := show(c.OutOrStdout(), nodes); err != nil {
				return err
			}
			return anyReached(nodes)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	f.addTo(c, statusTimeout)
	return c
}

// nodeStatus is what is shown of a node.
type nodeStatus struct {
	Endpoint  string `json:"endpoint"`
	Reachable bool   `json:"reachable"`
	Error     string `json:"error,omitempty"` // why it is not
	*View
}

// View is what a node that answered shows.
type View struct {
	Cluster       string   `json:"cluster"`
	Node          string   `json:"node"`
	ID            uint32   `json:"id"`
	Roles         []string `json:"roles"`
	Ready         bool     `json:"ready"`
	Ballot        string   `json:"ballot"`
	Leader        string   `json:"leader"`
	Office        string   `json:"office"`
	Promised      string   `json:"promised"`
	SlotIn        uint64   `json:"slot_in"`
	SlotOut       uint64   `json:"slot_out"`
	Durable       uint64   `json:"durable"`
	Lag           uint64   `json:"lag"`
	Waiting       uint64   `json:"waiting"`
	InFlight      uint64   `json:"in_flight"`
	Restoring     bool     `json:"restoring"`
	Accepted      uint64   `json:"accepted"`
	Forgotten     uint64   `json:"forgotten"`
	JournalBytes  int64    `json:"journal_bytes"`
	DatabaseBytes int64    `json:"database_bytes"`
	Restarts      uint64   `json:"restarts"`
	DiskWaits     int64    `json:"disk_waits_ms"`
	DiskFree      int64    `json:"disk_free"`
	DiskShort     bool     `json:"disk_short"`
	PID           int64    `json:"pid"`
	Version       string   `json:"version"`
}

// askAll asks all nodes at the same time.
func askAll(ctx context.Context, endpoints []string, timeout time.Duration, secure *tls.Config) []nodeStatus {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	nodes := make([]nodeStatus, len(endpoints))
	var all sync.WaitGroup
	for i, endpoint := range endpoints {
		all.Go(func() {
			answer, err := askStatus(ctx, endpoint, secure)
			nodes[i] = nodeStatus{Endpoint: endpoint, Reachable: err == nil}
			if err != nil {
				nodes[i].Error = briefly(err)
				return
			}
			nodes[i].View = show(answer)
		})
	}
	all.Wait()
	var furthest uint64
	for _, n := range nodes {
		if n.Reachable {
			furthest = max(furthest, n.SlotOut)
		}
	}
	for _, n := range nodes {
		if n.Reachable && n.SlotOut > 0 { // a witness executes nothing
			n.Lag = furthest - n.SlotOut
		}
	}
	return nodes
}

func askStatus(ctx context.Context, endpoint string, secure *tls.Config) (*admin.StatusResponse, error) {
	conn, err := dial(endpoint, secure)
	if err != nil {
		return nil, err
	}
	answer, err := admin.NewAdminClient(conn).Status(ctx, &admin.StatusRequest{})
	return answer, errors.Join(err, conn.Close())
}

// briefly is the part of a gRPC error that tells something.
func briefly(err error) string {
	s, _ := status.FromError(err)
	switch {
	case s.Code() == codes.DeadlineExceeded:
		return "no answer in time"
	case s.Code() == codes.Unimplemented:
		return "answers, but is no pmmc"
	}
	text := s.Message()
	if i := strings.LastIndex(text, `desc = "`); i >= 0 {
		text = strings.Trim(text[i+len(`desc = `):], `"`)
	}
	return strings.TrimPrefix(text, "transport: Error while dialing: ")
}

func show(r *admin.StatusResponse) *View {
	return &View{
		Cluster: r.Cluster, Node: r.Member, ID: r.Id, Roles: r.Roles, Ready: r.Ready,
		Ballot: ballot(r.Ballot), Leader: r.Standing, Office: r.InOffice, Promised: ballot(r.Promised),
		SlotIn: r.SlotIn, SlotOut: r.SlotOut, Durable: r.Durable, Waiting: r.Waiting, InFlight: r.InFlight,
		Restoring: r.Restoring, Accepted: r.Accepted, Forgotten: r.Forgotten,
		JournalBytes: r.JournalBytes, DatabaseBytes: r.DatabaseBytes, Restarts: r.Restarts, DiskWaits: r.DiskWaits, DiskFree: r.DiskFree, DiskShort: r.DiskShort,
		PID: r.Process, Version: r.Version,
	}
}

// ballot shows a ballot as round.member.
func ballot(b *messages.Ballot) string {
	if b.GetRound() == 0 && b.GetLeader() == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d", b.Round, b.Leader)
}

func anyReached(nodes []nodeStatus) error {
	for _, n := range nodes {
		if n.Reachable {
			return nil
		}
	}
	return &hinted{errors.New("no node can be reached"), "Is the cluster running (`make run`, `pmmc dev`)? Is --endpoints right?"}
}

func printStatusJSON(w io.Writer, nodes []nodeStatus) error { return printJSON(w, nodes) }

func printStatus(w io.Writer, nodes []nodeStatus) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	const columns = "ENDPOINT\tREACHABLE\tNODE\tROLES\tBALLOT\tLEADER\tOFFICE\tSLOT_IN\tSLOT_OUT\tLAG\tJOURNAL\tDATABASE\tPID"
	fmt.Fprintln(table, columns)
	for _, n := range nodes {
		if !n.Reachable {
			// A row without all cells would end the table's columns.
			fmt.Fprintf(table, "%s\tno%s  %s\n", n.Endpoint, strings.Repeat("\t-", strings.Count(columns, "\t")-1), n.Error)
			continue
		}
		var roles string
		for _, r := range n.Roles {
			roles += r[:1]
		}
		fmt.Fprintln(table, strings.Join([]string{
			n.Endpoint, "yes", n.Node, roles, orDash(n.Ballot), orDash(n.Leader), orDash(n.Office),
			strconv.FormatUint(n.SlotIn, 10), strconv.FormatUint(n.SlotOut, 10), strconv.FormatUint(n.Lag, 10),
			size(n.JournalBytes), size(n.DatabaseBytes), strconv.FormatInt(n.PID, 10),
		}, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, n := range nodes {
		if n.Reachable && n.DiskWaits >= diskWaitsLong {
			fmt.Fprintf(w, "\n%s: its disk hangs or is full: it has completed no write for %v\n", n.Node, time.Duration(n.DiskWaits)*time.Millisecond)
		}
		if n.Reachable && n.DiskShort {
			fmt.Fprintf(w, "\n%s: its disk is nearly full: %s are free\n", n.Node, size(n.DiskFree))
		}
	}
	return nil
}

// diskWaitsLong is from when on people are told that a write waits, in milliseconds.
const diskWaitsLong = 1000

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// size shows bytes as people do.
func size(bytes int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	n, unit := float64(bytes), 0
	for n >= 1024 && unit < len(units)-1 {
		n, unit = n/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", n, units[unit])
}

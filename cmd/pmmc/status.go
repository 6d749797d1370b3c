package main

import (
	"context"
	"crypto/tls"
	"errors"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"

	"github.com/pmmc-go/pmmc/cluster/overview"
	"github.com/pmmc-go/pmmc/messages/admin"
)

// statusTimeout is how long a node may take to show itself.
const statusTimeout = 2 * time.Second

const statusHelp = `Ask each node how it is, and show it in a table, or with --json as one JSON array.

  ROLES     r replica, l leader, a acceptor
  BALLOT    ballot_num of its leader, as round.member
  LEADER    active where its leader is in office; passive, canvassing or scouting
  OFFICE    who is in office, as far as the node knows
  SINCE     for how long, as the node saw it
  SLOT_IN   its replica proposes there next
  SLOT_OUT  its replica executes that next
  LAG       how many slots it is behind the one of those asked that is furthest
  WRITES/S  commands that it executed a second, within the last ten
  FSYNC     how long one took, on average, within the last ten seconds
  UP        how long the node has run
  PID       of its process

Below the table stands, a line each, what is not as it should be. What to do about it is
in docs/operations.md, under "Alerts".

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
			if asJSON {
				err = printJSON(c.OutOrStdout(), nodes)
			} else {
				err = printStatus(c.OutOrStdout(), nodes)
			}
			if err != nil {
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

	Up         float64        `json:"up_seconds"`
	OfficeAge  float64        `json:"office_seconds"`
	Elected    uint64         `json:"elected"`
	Changes    []OfficeChange `json:"office_changes"`
	Scouts     uint64         `json:"scouts"`
	Commanders uint64         `json:"commanders"`
	Rates      Rates          `json:"rates"`
	Peers      []Peer         `json:"peers"`
	Warnings   []string       `json:"warnings"`
}

// OfficeChange is a change of where a node's leader stands, or of whom it takes to be in
// office.
type OfficeChange struct {
	Age      float64 `json:"age_seconds"`
	Epoch    uint64  `json:"epoch"`
	Standing string  `json:"standing"`
	Ballot   string  `json:"ballot"`
	Office   string  `json:"office"`
	Why      string  `json:"why"`
}

// Rates are what a node did within the last seconds.
type Rates struct {
	Seconds   float64 `json:"seconds"`
	Decrees   float64 `json:"decrees_per_second"`
	Commands  float64 `json:"commands_per_second"`
	Reads     float64 `json:"reads_per_second"`
	Syncs     float64 `json:"syncs_per_second"`
	SyncMean  float64 `json:"sync_mean_seconds"`
	SyncP99   float64 `json:"sync_p99_seconds"`
	ApplyMean float64 `json:"apply_mean_seconds"`
}

// Peer is another member, as a node sees it.
type Peer struct {
	Name      string  `json:"name"`
	Connected bool    `json:"connected"`
	Age       float64 `json:"age_seconds"`
	RoundTrip float64 `json:"round_trip_seconds"`
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

// hungUp is what gRPC says of a connection that the other side closed: before it sent
// anything, or after.
var hungUp = regexp.MustCompile("error reading server preface|broken pipe|connection reset by peer")

// briefly is the part of a gRPC error that tells something.
func briefly(err error) string {
	s := answered(err)
	switch {
	case s.Code() == codes.DeadlineExceeded:
		return "no answer in time"
	case s.Code() == codes.Unimplemented:
		return "answers, but is no pmmc"
	case hungUp.MatchString(s.Message()):
		return "closed the connection: it ended, or speaks TLS"
	}
	text := s.Message()
	if i := strings.LastIndex(text, `desc = "`); i >= 0 {
		text = strings.Trim(text[i+len(`desc = `):], `"`)
	}
	return strings.TrimPrefix(text, "transport: Error while dialing: ")
}

func show(r *admin.StatusResponse) *View {
	v := &View{
		Cluster: r.Cluster, Node: r.Member, ID: r.Id, Roles: r.Roles, Ready: r.Ready,
		Ballot: overview.Ballot(r.Ballot), Leader: r.Standing, Office: r.InOffice, Promised: overview.Ballot(r.Promised),
		SlotIn: r.SlotIn, SlotOut: r.SlotOut, Durable: r.Durable, Waiting: r.Waiting, InFlight: r.InFlight,
		Restoring: r.Restoring, Accepted: r.Accepted, Forgotten: r.Forgotten,
		JournalBytes: r.JournalBytes, DatabaseBytes: r.DatabaseBytes, Restarts: r.Restarts, DiskWaits: r.DiskWaits, DiskFree: r.DiskFree, DiskShort: r.DiskShort,
		PID: r.Process, Version: r.Version,

		Up: r.Up, OfficeAge: r.OfficeAge, Elected: r.Elected, Scouts: r.Scouts, Commanders: r.Commanders,
		Changes: []OfficeChange{}, Peers: []Peer{}, Warnings: append([]string{}, r.Warnings...),
	}
	if a := r.Rates; a != nil {
		v.Rates = Rates{a.Seconds, a.Decrees, a.Commands, a.Reads, a.Syncs, a.SyncMean, a.SyncP99, a.ApplyMean}
	}
	for _, c := range r.Changes {
		v.Changes = append(v.Changes, OfficeChange{c.Age, c.Epoch, c.Standing, overview.Ballot(c.Ballot), c.InOffice, c.Why})
	}
	for _, p := range r.Peers {
		v.Peers = append(v.Peers, Peer{p.Name, p.Connected, p.Age, p.RoundTrip})
	}
	return v
}

func anyReached(nodes []nodeStatus) error {
	for _, n := range nodes {
		if n.Reachable {
			return nil
		}
	}
	return &hinted{errors.New("no node can be reached"), whyUnreached}
}

// whyUnreached is what to look at when nodes do not answer.
const whyUnreached = "Is the cluster running (`make run`, `pmmc dev`)? Is --endpoints right? Where nodes speak TLS, --cacert, --cert and --key must be given, too."

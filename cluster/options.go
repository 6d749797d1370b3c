package cluster

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/certs"
	"github.com/pmmc-go/pmmc/cluster/journal"
)

// Member is a member of the cluster, as all its nodes must know it.
type Member struct {
	ID      uint32 // from 1; its number in ballots, never given to another
	Name    string
	Address string // where its peers reach it, as host:port
	Client  string // where its clients reach it, as host:port; for those who ask

	Replica, Leader, Acceptor bool
}

// Options are what a node needs to know. Cluster, Member, DataDir, Machine and either
// Members or Join and Address are required.
type Options struct {
	Cluster string // its name; nodes of different clusters refuse each other
	Member  string // which of Members this node is
	// Members are those of a new cluster, the same on all its nodes. Once a node has
	// started, the cluster's own log says who they are. It is empty for a node that is
	// to be added to a cluster: it waits until it is.
	Members []Member
	Address string   // where this node is reached by its peers, as host:port; as the log says if empty
	Client  string   // where it is reached by its clients; the log is told if it says otherwise
	Join    []string // where some members are reached; for a node that is to be added
	Listen  string   // where this node listens for its peers; Address if empty
	DataDir string
	Machine StateMachine
	TLS     certs.Source // between peers, both ways, asked at each handshake; nil is plaintext

	// Protocol is DefaultProtocol() if it is the zero one. Who wants to change something
	// starts from DefaultProtocol().
	Protocol Protocol

	// DiskReserve is how much room the disk should have, in bytes, or a tenth of it where
	// that is less; with less room it is short,
	// which Status shows. FreeBytes replaces the look at the disk, for tests.
	DiskReserve int64
	FreeBytes   func() (int64, error)

	// CheckEvery is how often all files are read again, to find those that have changed
	// by themselves; 0 is never.
	CheckEvery time.Duration

	// Journal replaces the one on disk, for tests. The node closes it.
	Journal journal.Journal
	// Link tells whether a message may go from one member to another, for tests.
	Link func(from, to string) bool
	// Observe, if not nil, sees all that the roles do, in their own turns.
	Observe func(actors.Event)
	Logger  hclog.Logger
}

// Protocol holds the settings of the protocol. They may differ between nodes; Window
// is that of a new cluster and part of its configuration from then on. One starts from
// DefaultProtocol() and changes fields: a field that is left zero gets no default, and
// Start refuses it unless its zero is said to mean something.
type Protocol struct {
	Window        int // slots that a replica may propose beyond the last one it executed
	Pipeline      int // of those, proposed and not decided; at most Window
	BatchCommands int // commands in one decree, at the most
	BatchBytes    int // of them, at most MaxOperationBytes; a single one may be longer

	Ping    time.Duration // between two signs of life
	Timeout actors.TimeoutOptions
	Resend  time.Duration // of a question that has no answer
	// DiskTimeout is how long a leader in office waits for a write that its own disk
	// completes, before it gives up the office; 0 is for ever.
	DiskTimeout time.Duration

	// Lease is how long a majority of acceptors lets no other leader into office after
	// each sign of life of the one that is: meanwhile reads need no round to them (S8).
	// It is safe while no clock is faster or slower than true time by more than Drift, as
	// a fraction of 1. 0, the default, is no lease.
	Lease time.Duration
	Drift float64

	AutoPromote time.Duration // that a learner must have kept up before it is promoted by itself; 0 is never
	CatchUp     time.Duration // between two looks at what is missing
	RetainSlots int           // kept for members that lag, though they could be forgotten; 0 is none …
	RetainBytes int           // … as long as their decrees are not more than this
	ChunkBytes  int           // of a message of many decrees or of a snapshot, at most MaxOperationBytes

	Flush        time.Duration // between two times that the state is made durable
	SegmentBytes int           // of a segment of the journal, 1 KiB to 1 GiB; 0 is 16 MiB
	InFlight     int           // calls that wait for an answer, at the most
}

// DefaultProtocol returns settings for a local network.
func DefaultProtocol() Protocol {
	return Protocol{
		Window: 128, Pipeline: 8, BatchCommands: 4096, BatchBytes: 1 << 20,
		Ping: 50 * time.Millisecond,
		Timeout: actors.TimeoutOptions{
			Initial: 400 * time.Millisecond, Min: 300 * time.Millisecond, Max: 5 * time.Second,
			Factor: 2, Step: time.Millisecond,
		},
		Resend: 100 * time.Millisecond, DiskTimeout: 2 * time.Second, Drift: 0.05,
		AutoPromote: 3 * time.Second, CatchUp: 50 * time.Millisecond, RetainSlots: 10_000, RetainBytes: 64 << 20, ChunkBytes: 256 << 10,
		Flush: 2 * time.Second, SegmentBytes: 16 << 20, InFlight: 4096,
	}
}

// configuration translates the members into the protocol's words.
func (o *Options) configuration() actors.Configuration {
	c := actors.Configuration{Epoch: 1, First: 1, Window: uint64(o.Protocol.Window)}
	for _, m := range o.Members {
		c.LastID = max(c.LastID, m.ID)
		c.Members = append(c.Members, actors.Member{
			ID: m.ID, Name: m.Name, Replica: m.Replica, Leader: m.Leader, Acceptor: m.Acceptor,
			Peer: m.Address, Client: m.Client,
		})
	}
	return c
}

// check fills in what is left out and refuses what cannot work.
func (o *Options) check() error {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.Protocol == (Protocol{}) {
		o.Protocol = DefaultProtocol()
	}
	if o.Machine == nil {
		return errors.New("cluster: options: Machine is missing")
	}
	_, named := o.configuration().Named(o.Member)
	switch {
	case o.Cluster == "":
		return errors.New("cluster: options: Cluster is missing: it is the name that keeps nodes of different clusters apart")
	case o.Member == "":
		return errors.New("cluster: options: Member is missing: it is the name of this node's member")
	case o.DataDir == "":
		return errors.New("cluster: options: DataDir is missing")
	case len(o.Members) > 0 && !named:
		return fmt.Errorf("cluster: options: %q is none of the %d members", o.Member, len(o.Members))
	case len(o.Members) == 0 && (len(o.Join) == 0 || o.Address == ""):
		return errors.New("cluster: options: without Members, Join and Address say where the cluster and this node are reached")
	case o.CheckEvery < 0:
		return fmt.Errorf("cluster: options: CheckEvery is %s: want 0, which is never, or more", o.CheckEvery)
	}
	if len(o.Members) > 0 {
		if err := o.configuration().Check(); err != nil {
			return fmt.Errorf("cluster: options: %w", err)
		}
	}
	return o.Protocol.check()
}

// check refuses the first field that cannot work, by the rules of package config.
func (p *Protocol) check() error {
	const positive, notNegative = "more than 0", "0 or more"
	length := fmt.Sprintf("1 to %d, which is MaxOperationBytes", MaxOperationBytes)
	t := p.Timeout
	for _, f := range []struct {
		name  string
		value any
		works bool
		want  string
	}{
		{"Window", p.Window, p.Window > 0, positive},
		{"Pipeline", p.Pipeline, p.Pipeline > 0 && p.Pipeline <= p.Window, fmt.Sprintf("1 to %d, which is Window", p.Window)},
		{"BatchCommands", p.BatchCommands, p.BatchCommands > 0, positive},
		{"BatchBytes", p.BatchBytes, p.BatchBytes > 0 && p.BatchBytes <= MaxOperationBytes, length},
		{"Timeout.Min", t.Min, t.Min > 0, positive},
		{"Timeout.Initial", t.Initial, t.Initial >= t.Min, fmt.Sprintf("%s, which is Timeout.Min, or more", t.Min)},
		{"Timeout.Max", t.Max, t.Max >= t.Initial, fmt.Sprintf("%s, which is Timeout.Initial, or more", t.Initial)},
		{"Timeout.Factor", t.Factor, t.Factor > 1, "more than 1"},
		{"Timeout.Step", t.Step, t.Step > 0, positive},
		{"Ping", p.Ping, p.Ping > 0 && p.Ping < t.Min, fmt.Sprintf("more than 0 and less than %s, which is Timeout.Min", t.Min)},
		{"Resend", p.Resend, p.Resend > 0, positive},
		{"DiskTimeout", p.DiskTimeout, p.DiskTimeout == 0 || p.DiskTimeout >= 4*p.Ping, fmt.Sprintf("0, which is for ever, or at least %s, which is 4 x Ping", 4*p.Ping)},
		{"Lease", p.Lease, p.Lease == 0 || p.Lease > p.Ping && p.Lease <= t.Min, fmt.Sprintf("0, which is none, or more than %s, which is Ping, and at most %s, which is Timeout.Min", p.Ping, t.Min)},
		{"Drift", p.Drift, p.Drift >= 0 && p.Drift < 1, "0 or more, and less than 1"},
		{"AutoPromote", p.AutoPromote, p.AutoPromote >= 0, "0, which is never, or more"},
		{"CatchUp", p.CatchUp, p.CatchUp > 0, positive},
		{"RetainSlots", p.RetainSlots, p.RetainSlots >= 0, notNegative},
		{"RetainBytes", p.RetainBytes, p.RetainBytes >= 0, notNegative},
		{"ChunkBytes", p.ChunkBytes, p.ChunkBytes > 0 && p.ChunkBytes <= MaxOperationBytes, length},
		{"Flush", p.Flush, p.Flush > 0, positive},
		{"SegmentBytes", p.SegmentBytes, p.SegmentBytes >= 0, notNegative},
		{"InFlight", p.InFlight, p.InFlight > 0, positive},
	} {
		if !f.works {
			return fmt.Errorf("cluster: options: Protocol.%s is %v: want %s; start from DefaultProtocol()", f.name, f.value, f.want)
		}
	}
	return nil
}

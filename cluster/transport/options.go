package transport

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/cluster/certs"
)

// Options are a Transport's. Listen, Member and Peers are required.
type Options struct {
	Listen string // host:port
	// Advertise is the host:port that peers dial and that PIDs carry. If empty, it
	// is the address that Peers has for Member, or else the one listened on.
	Advertise string
	Member    string            // this node's name
	Peers     map[string]string // the members' addresses by their names; Member may be among them
	Epoch     uint64            // of the configuration that Peers are from
	// Refused, if not nil, is told that a peer, whose configuration is of an epoch, does
	// not know Member. It must not block.
	Refused func(peer string, epoch uint64)
	// Named, if not nil, is told how a peer of which only the address was known calls
	// itself. If it returns false, the peer is not let in under this name, nor any other,
	// until SetPeers names it. It must not block.
	Named func(address, name string) bool

	// Cluster, if not nil, says of which cluster this node is at present, and Foreign is
	// told of a peer that is of another one. Neither may block.
	Cluster func() Cluster
	Foreign func(peer string, other Cluster)

	// TLS gives a Certificate and, as RootCAs or ClientCAs, who must have signed the
	// peers'; it is asked at each handshake. Versions, names and client authentication are
	// seen to here. Nil is plaintext.
	TLS certs.Source
	// Targets tells which local actors a peer may speak to, by the Id of their PID.
	// Nil is RoleTarget.
	Targets func(id string) bool
	Limits  Limits // zero fields get their defaults
	// Link, if not nil, tells whether a message may go from one member to another.
	// It is asked by the sender, for tests of partitions.
	Link   func(from, to string) bool
	Logger hclog.Logger
}

// Limits bound what a peer, or a stranger, can make a node hold.
type Limits struct {
	MessageBytes  int // of one message; longer ones are not sent
	BatchBytes    int // of messages that go together; a single one may be longer
	BatchMessages int // that go together, or come together
	PeerBytes     int // that wait to be sent to one peer; beyond them messages are dropped

	Strangers   int // connections that have not introduced themselves; beyond them the oldest is closed
	Connections int // of one member, that have; beyond them the oldest is closed

	Introduction time.Duration // to connect and to say who one is
	Patience     time.Duration // that messages wait for a peer that is not connected
	KeepAlive    time.Duration // of silence after which a connection is tested; gRPC's clients take at least 10 s
	Silence      time.Duration // of a tested connection after which it is closed
	Drain        time.Duration // that Stop waits for a peer to take what was sent before
}

// DefaultLimits returns limits for a local network.
func DefaultLimits() Limits {
	return Limits{
		MessageBytes: 32 << 20, BatchBytes: 1 << 20, BatchMessages: 1024, PeerBytes: 64 << 20,
		Strangers: 16, Connections: 4,
		Introduction: 5 * time.Second, Patience: 250 * time.Millisecond,
		KeepAlive: 2 * time.Second, Silence: 3 * time.Second, Drain: 2 * time.Second,
	}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	return Limits{
		MessageBytes:  cmp.Or(l.MessageBytes, d.MessageBytes),
		BatchBytes:    cmp.Or(l.BatchBytes, d.BatchBytes),
		BatchMessages: cmp.Or(l.BatchMessages, d.BatchMessages),
		PeerBytes:     cmp.Or(l.PeerBytes, d.PeerBytes),
		Strangers:     cmp.Or(l.Strangers, d.Strangers),
		Connections:   cmp.Or(l.Connections, d.Connections),
		Introduction:  cmp.Or(l.Introduction, d.Introduction),
		Patience:      cmp.Or(l.Patience, d.Patience),
		KeepAlive:     cmp.Or(l.KeepAlive, d.KeepAlive),
		Silence:       cmp.Or(l.Silence, d.Silence),
		Drain:         cmp.Or(l.Drain, d.Drain),
	}
}

// wireBytes is the longest batch on the wire: its messages, and their envelopes.
func (l Limits) wireBytes() int {
	return max(l.MessageBytes, l.BatchBytes) + l.BatchMessages*(maxTarget+envelopeCost)
}

// check fills in what is left out and refuses what cannot work.
func (o *Options) check() error {
	o.Limits = o.Limits.orDefault()
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.Targets == nil {
		o.Targets = RoleTarget
	}
	if o.Link == nil {
		o.Link = func(string, string) bool { return true }
	}
	switch {
	case o.Listen == "":
		return errors.New("transport: options: Listen is missing")
	case o.Member == "":
		return errors.New("transport: options: Member is missing")
	}
	if o.Advertise == "" {
		o.Advertise = o.Peers[o.Member]
	}
	if o.TLS == nil {
		return nil
	}
	if err := checkTLS(o.TLS()); err != nil {
		return fmt.Errorf("transport: TLS: %w", err)
	}
	return nil
}

// ErrStopped is returned for what a stopped Transport can no longer do.
var ErrStopped = errors.New("transport: stopped")

// A ListenError says why a node cannot be reached.
type ListenError struct {
	Address string
	Err     error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("transport: cannot listen on %s: %v", e.Address, e.Err)
}

// Unwrap returns the cause.
func (e *ListenError) Unwrap() error { return e.Err }

// Hint tells the operator what to do about it.
func (e *ListenError) Hint() string {
	return "Is another node, or this one, running on it already? If not, give the node another listen address."
}

// Unknown is the name of a peer of which only the address is known. What comes from it
// is taken from whoever it says it is; with mTLS its certificate must be of the
// cluster's authority.
func Unknown(i int) string { return fmt.Sprintf("%s%d", unknown, i) }

const unknown = "?"

func isUnknown(member string) bool { return strings.HasPrefix(member, unknown) }

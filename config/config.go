package config

import (
	"slices"
	"time"
)

// Config is all that a node is told.
type Config struct {
	// Cluster is the name of the cluster. Nodes of different clusters refuse each other.
	Cluster string
	Node    Node
	Listen  Listen
	// Members are those of a new cluster, this node among them, by ID. With Join it is
	// this node alone, without an ID: that comes from the cluster.
	Members []Member
	// Join, if not empty, is where some members of a running cluster are reached, which
	// this node is to be added to.
	Join     []string
	TLS      TLS
	Protocol Protocol
	Journal  Journal
	Limits   Limits

	AutoCompaction AutoCompaction
}

// Self is the member that this process is. Load has seen to it that there is one.
func (c *Config) Self() Member {
	i := slices.IndexFunc(c.Members, func(m Member) bool { return m.Name == c.Node.Name })
	return c.Members[i]
}

// Node is what concerns this process alone.
type Node struct {
	Name      string // of the member that this process is
	DataDir   string // a relative one is relative to the working directory
	LogLevel  string // trace, debug, info, warn, error or off
	LogFormat string // text or json
	Insecure  bool   // plaintext is wanted, even where it leaves the machine
}

// Listen is where this node listens, as host:port.
type Listen struct {
	Peer   string // the other members
	Client string // etcd clients
	HTTP   string // health, metrics and etcd's JSON gateway; empty is not at all
}

// Member is one of those that form the cluster.
type Member struct {
	Name   string // 1 to 63 of a-z, 0-9 and -
	ID     uint32 // 1 to 65535. It orders ballots and stays when addresses change; 0 with Join
	Peer   string // host:port at which the other members find it
	Client string // host:port at which clients find it
	Roles  []Role // at least one, in the order of [Roles]
}

// Has says whether the member plays the role.
func (m Member) Has(r Role) bool { return slices.Contains(m.Roles, r) }

// Role is one of the paper's processes that is spread over members. Scouts and
// commanders come with the leader.
type Role string

// The roles of a member.
const (
	Replica  Role = "replica"
	Leader   Role = "leader"
	Acceptor Role = "acceptor"
)

// Roles returns all roles, which is what a member plays unless it is told otherwise.
func Roles() []Role { return []Role{Replica, Leader, Acceptor} }

// TLS says what is encrypted, and by which PEM files. The files were there when
// the configuration was loaded; what is in them was not looked at.
type TLS struct {
	Peer   *PeerTLS   // between members; nil is plaintext
	Client *ClientTLS // for clients; nil is plaintext
}

// PeerTLS is mutual: each side of a connection shows Cert, which CA must have signed.
type PeerTLS struct {
	Cert string // path of the certificate
	Key  string // path of its key
	CA   string // path of the authorities' certificates
}

// ClientTLS is for the client address, and for the http address too, where no
// client is asked for a certificate.
type ClientTLS struct {
	Cert       string // path of the certificate
	Key        string // path of its key
	CA         string // path of the authorities' certificates; empty only without ClientAuth
	ClientAuth bool   // a client must show a certificate that CA signed
}

// Protocol has the paper's parameters and those that its pragmatics add.
type Protocol struct {
	Window        int   // WINDOW, in slots
	Pipeline      int   // slots in flight from one replica, at most Window
	BatchCommands int   // commands in one decree, at the most
	BatchBytes    int64 // of commands in one decree, at the most; a single one may be longer
	ChunkBytes    int64 // of a snapshot, a p1b or a catch-up in one message

	Ping          time.Duration // between two signs of life of a leader: its tick
	Timeout       time.Duration // without one before another runs, to begin with
	TimeoutMin    time.Duration // the least it shrinks to
	TimeoutMax    time.Duration // the most it grows to
	TimeoutFactor float64       // a preemption multiplies it; above 1
	TimeoutStep   time.Duration // a decision shortens it by so much
	Resend        time.Duration // before a scout or commander asks the silent again
	DiskTimeout   time.Duration // without a completed write, after which a leader gives up its office
	CatchUp       time.Duration // between two looks of a replica at what is missing: its tick

	Lease      time.Duration // within which another leader is kept out of office, so that reads need no round; 0 is off
	ClockDrift float64       // by how much, of 1, any member's clock may be too fast or too slow; matters to Lease

	AutoPromote time.Duration // that a learner must have kept up before it is promoted by itself; 0 is off

	Flush       time.Duration // between two times that the state is made durable
	RetainSlots int           // kept for those who lag, though they could be forgotten …
	RetainBytes int64         // … as long as their decrees have no more bytes
}

// Journal is the stable storage of acceptors and leaders.
type Journal struct {
	SegmentBytes int64 // size of a file of the log, by which it is cut
}

// AutoCompaction says what history goes by itself: none, if both fields are 0. At most
// one of them is not.
type AutoCompaction struct {
	Period    time.Duration // history is kept for that long
	Revisions int           // so many revisions are kept
}

// Limits bound what clients can ask of a node.
type Limits struct {
	RequestBytes    int64         // of one request
	TxnOps          int           // operations in one transaction
	InFlight        int           // requests being served at a time
	InFlightBytes   int64         // of the writes being served
	Quota           int64         // what the database may take, in bytes
	CheckEvery      time.Duration // between two looks at all files; 0 is never
	DiskReserve     int64         // how much room the disk should have, in bytes
	Connections     int           // of clients
	RequestTimeout  time.Duration // for a request that came without a deadline, and the most for any
	ShutdownTimeout time.Duration // for a clean end
}

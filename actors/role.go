package actors

import (
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// Role is one of the paper's processes: a deterministic state machine that sees
// its own fields, one message at a time, and an Env.
type Role interface {
	// Start is what the figure does before "for ever".
	Start(Env)
	// Receive is one turn of the figure's loop.
	Receive(Env, proto.Message)
}

// Restorer is a role that resumes from what it persisted. Restore is called
// with each of its records, in the order of Persist, before Start.
type Restorer interface {
	Role
	Restore(*messages.Record)
}

// Stopper is a role that holds something which must be closed when it ends.
type Stopper interface {
	Role
	Stop()
}

// Env is everything a role can do to the world.
type Env interface {
	// Self is the paper's self().
	Self() Addr
	// Send hands m to the network, which may lose it. The caller must not touch
	// m afterwards: on one node sender and receiver share the pointer.
	Send(to Addr, m proto.Message)
	// Forward sends the message of this turn, as it came, to another role of this node.
	// It says nothing of this role and so, alone of all that is sent, waits for no record.
	Forward(to Addr)
	// Refuse counts a message that the role has no use for.
	Refuse(m proto.Message)
	// Spawn starts a child role whose address is Self's with "/name" behind it.
	// While a child of that name lives, Spawn does nothing: a name says all that
	// makes two scouts or two commanders the same. A child that crashes is built
	// again with the arguments that it had.
	Spawn(name string, build func() Role)
	// Exit is the paper's exit(): no message is received after this turn.
	Exit()
	// Persist appends rec to the role's journal. A Send or Spawn made after it, in
	// this turn or in any later one, takes place only once rec is on disk (S1): a
	// repeated p1a must not be answered ahead of the promise that the first made.
	Persist(rec *messages.Record)
	// Recall reads what the role's journal holds of slots first to last, as far as it is on
	// disk, and calls f with each pvalue, in the order of Persist, until f returns false.
	// It leaves out what cannot be read, and may show other slots, too.
	Recall(first, last uint64, f func(*messages.PValue) bool)
	// After delivers m to Self once d has passed, unless the role exits first.
	After(d time.Duration, m proto.Message)
	// Now is the time on the node's clock, which only goes forward. It says nothing of
	// what other nodes' clocks say.
	Now() time.Duration
	// Rand draws from the node's seed. Each life of a role draws other numbers.
	Rand() uint64
	// Life is the number of this life of the role: no other one has it that began in the
	// same process. It is what numbers that must not come again after a restart rest on (S13).
	Life() uint64
}

// Addr names a role: a member's name, then the role's path inside its node,
// such as "alpha/replica" or "alpha/epoch-1/leader/scout-7". The network knows
// where members are, so an Addr is a process identifier without a registry.
type Addr string

// Member is the name of the member on which the role lives.
func (a Addr) Member() string {
	member, _, _ := strings.Cut(string(a), "/")
	return member
}

// Path is the role's path inside its node.
func (a Addr) Path() string {
	_, path, _ := strings.Cut(string(a), "/")
	return path
}

// Addresses of the roles that live long. Scouts and commanders are children of
// their leader and sign their messages.

// ReplicaAddr is the address of a member's replica.
func ReplicaAddr(member string) Addr { return Addr(member + "/replica") }

// ClientAddr is the address at which a member's replica answers the clients of
// that member.
func ClientAddr(member string) Addr { return Addr(member + "/client") }

// StewardAddr is the address at which a member's node hears what it has to run.
func StewardAddr(member string) Addr { return Addr(member + "/steward") }

// HeraldAddr is the address at which a member's node is asked how it is.
func HeraldAddr(member string) Addr { return Addr(member + "/herald") }

// AcceptorAddr is the address of a member's acceptor in an epoch.
func AcceptorAddr(member string, epoch uint64) Addr {
	return Addr(member + "/" + EpochPath(epoch) + "/acceptor")
}

// LeaderAddr is the address of a member's leader in an epoch.
func LeaderAddr(member string, epoch uint64) Addr {
	return Addr(member + "/" + EpochPath(epoch) + "/leader")
}

// EpochPath is the path under which the roles of an epoch live on a node.
func EpochPath(epoch uint64) string { return epochPrefix + strconv.FormatUint(epoch, 10) }

const epochPrefix = "epoch-"

// Epoch is the epoch of which a role is; a replica and its client are of none.
func (a Addr) Epoch() (epoch uint64, ok bool) {
	first, _, _ := strings.Cut(a.Path(), "/")
	number, ok := strings.CutPrefix(first, epochPrefix)
	if !ok {
		return 0, false
	}
	epoch, err := strconv.ParseUint(number, 10, 64)
	return epoch, err == nil
}

// A Failure is what a role panics with when its node can no longer be trusted,
// as after a failed write. It ends the process; no restart follows.
type Failure struct{ Err error }

func (f Failure) Error() string { return f.Err.Error() }

// Unwrap returns the cause.
func (f Failure) Unwrap() error { return f.Err }

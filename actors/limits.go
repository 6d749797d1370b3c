package actors

import (
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// MaxOperationBytes is the length of the longest operation, or encoded configuration, that can
// be proposed: half of what a record of the journal and a message between nodes may hold
// (32 MiB each), so that a decree with all that goes around it fits into both.
const MaxOperationBytes = 16 << 20

// maxDecreeBytes is the length of the longest decree that a role takes from a peer. It is
// longer than any that this version proposes, because an earlier version had no limit of its
// own. A decree that an acceptor cannot write must not reach its journal: a write that fails
// ends the node.
const maxDecreeBytes = 32<<20 - 4<<10

// commandBytes is more than what a command adds to its operation in an encoded decree.
const commandBytes = 64

// IsTooLong reports whether a command is too long to be proposed.
func IsTooLong(c *messages.Command) bool { return sizeOf(c) > MaxOperationBytes+commandBytes }

// sizeOf is at least the length of a command in an encoded decree.
func sizeOf(c *messages.Command) int {
	n := commandBytes + len(c.Operation)
	if c.Configuration != nil {
		n += proto.Size(c.Configuration)
	}
	return n
}

// fits reports whether acceptors can write a decree.
func fits(decree []byte) bool { return len(decree) <= maxDecreeBytes }

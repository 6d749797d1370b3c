// Package transport carries messages between the actors of different nodes. It
// speaks protoactor's remote protocol: its gRPC service, its batches, its names of
// types and PIDs. Actors send to a PID of another node as to one of their own.
//
// # What it guarantees
//
//  1. What arrives was said by the member that From names, as far as that member can
//     be known: with mTLS its certificate carries its name, without it anyone who
//     reaches the port can claim to be a member.
//  2. Only the messages that [Directions] lists as Between nodes, complete, without a
//     sender, and for an actor that Targets allows, are delivered. With or without
//     mTLS nobody stops, watches, poisons or spawns an actor through the network.
//  3. Whatever is refused is counted by its [Reason], and logged at most once a
//     second for each. What makes no sense ends its stream; what makes sense, but may
//     not be, is left out, and the rest of its batch is delivered.
//  4. What waits for one peer is at most PeerBytes, and what a peer or stranger can
//     make this node hold is bounded by [Limits]; beyond them messages are dropped,
//     strangers closed. A message may be lost, and is never altered. While
//     one connection lasts, what one actor says to another arrives in order.
//  5. A peer that comes back is dialled within 100 ms, or as soon as it dials. What was
//     sent while it was away longer than Patience is dropped, not kept.
//  6. Stop hands what was sent before it to the peers that take it within Drain;
//     Kill waits for nobody. After either, no goroutine is left.
//
// Less formally: expect loss and nothing else.
//
// # Why not remote.Start
//
// Protoactor's remote package has the protocol, and two loops that run it: an
// endpoint writer and an endpoint reader. The protocol is used here, the loops are
// not. [remote.Remote.Start], the only way to them, replaces gRPC's logger, which is
// a variable of the process that gRPC reads without a lock. Each node after the
// first one in a process, as in tests, and each restart of one, would be a data race
// with all gRPC that runs already; the race detector says so at once. What is left is
// a server of some hundred lines that implements remote.RemotingServer (server.go,
// guard.go), a client of remote.RemotingClient (link.go, packer.go), and, where
// protoactor asks for one, the process behind the PIDs of other nodes (process.go).
//
// # The traps of protoactor's remote
//
// The numbers are those of the design; traps_test.go and refused_test.go have a test
// for each.
//
//  1. Start panics when it cannot listen, and mutes gRPC. [Start] returns a
//     [ListenError] with a hint. It leaves gRPC's logger alone; [LogGRPC] is for main.
//  2. The reader takes numbers from the wire for indexes: one batch ends the process.
//     guard.go checks each, codec.go counts a batch's parts before they become
//     memory, and a panic ends only its stream.
//  3. System messages are obeyed, and kinds spawned. Neither is in Directions; mTLS
//     keeps strangers out before their first message (tls.go). A sender, which would
//     be answered wherever it claims to be, is not accepted, and the diagnostic calls,
//     which panic, are refused.
//  4. The writer sleeps 2 s between tries and then drops everything. link.go lets
//     gRPC reconnect, with a short back-off that ends when the peer is heard.
//  5. No keep-alive. Both sides test a silent connection: who was dialled after
//     KeepAlive, who dialled after 10 s at the least, which is gRPC's minimum; but
//     while it has sent what is not acknowledged, after Silence.
//  6. Queues of a million entries, unbounded in bytes. A link's queue has a byte budget.
//  7. gRPC's 4 MiB limit holds for a batch. Batches are cut by bytes, and the limit
//     is raised to the longest one on both sides; longer messages are not sent.
//  8. Actors of one node share messages. So do the links: they only read them.
//  9. SetReceiveTimeout races, and
//  10. Stash, Respond and mailboxes surprise: the business of package runtime. Dead
//     letters are counted here.
//  11. Protoactor logs to stderr. [NewSystem] brings warnings and errors to hclog.
//  12. A graceful stop may hang for 10 s. Stop has two deadlines, its own and the
//     caller's.
//
// # What it does not do
//
// Without TLS, a stranger that knows a member's name and address may say what that
// member may say, and may close that member's oldest connections by making new ones.
// It may hold a batch in memory for each connection, about MessageBytes: Strangers of
// them, and Connections for each member.
package transport

// Package paper is "Paxos Made Moderately Complex" (van Renesse and Altinbuken, ACM
// Computing Surveys 47(3), 2015) itself, running: each of its processes is a small type
// with the paper's variables and a method of the paper's lines, and an explorer that
// tries everything that can happen to a few of them.
//
// It shares nothing with the product and is not fast, durable or complete. It is the
// yardstick: what the figures say and no more, with unbounded sets, one command a slot,
// nothing sent twice by anybody and nothing on disk.
//
// # To read
//
//	Fig. 1     replica.go      message.go     what is said
//	Fig. 4     acceptor.go     set.go         the paper's sets
//	Fig. 6(a)  commander.go    process.go     what a process can do to the world
//	Fig. 6(b)  scout.go        invariants.go  A1–A5, C1–C2, R1–R5, and what else §2 promises
//	Fig. 7     leader.go       witnesses.go   what must have happened at least once
//	§2.1       client.go       testdata/      what goes wrong when one line is mistaken
//
// Line numbers are those of docs/figures. Two things differ from the figures: where they
// write |waitfor| < |acceptors| / 2 the code doubles the left side, because Go's division
// drops the half; and the conditions b′ = b that stand in a case are an if.
//
// # The network
//
// A message that was sent stays in the network for ever, and can be delivered at any time
// and any number of times. So any order is one of the orders explored; a message that is
// lost is one that is never delivered; a repeated one is delivered again; and a process
// that crashed is one to which nothing is delivered any more. One channel is better than
// that: what a scout or commander says to its own leader, of which it is a part in the
// paper, is not acted upon twice (see leaderDeaf).
//
// # What is explored
//
// Every state that can be reached, within bounds that are the size of the system: the
// rounds below which a leader begins ballots, the slots for which a replica proposes, the
// clients' commands. A turn that would leave the bounds is not taken. Nothing else is cut
// off: an exploration that meets its limit of states says so (Result.Cut), and proves
// nothing. The tests have three kinds of systems:
//
//   - a whole one: clients, replicas, leaders with their scouts and commanders, acceptors;
//   - a synod alone: in place of replicas there is a Listener, that proposes at the start
//     and hears the decisions;
//   - replicas alone, with their clients: in place of the leaders and acceptors of a
//     configuration there is a Consensus, that decides for a slot any one of what is
//     proposed.
//
// The larger ones are explored by
//
//	go test ./test/conformance/paper -v -timeout 0 -deep
//
// # How so many states are few
//
// Four reductions keep a system of some ten processes within a million states. Each
// leaves alone what invariants see, and TestReductionsLoseNothing compares that, state
// for state, on systems small enough to be explored without:
//
//  1. A message that its receiver is deaf to is dropped: see System.deaf.
//  2. A turn that nobody notices but the process itself is postponed: see turn.
//  3. Of states that differ in the names of acceptors or replicas one is explored: see
//     renaming.
//  4. A turn that does no more than end a process is a crash, and no step: see
//     explorer.steps.
//
// The counts that the tests print are those of the states that remain.
//
// # What is not shown
//
// Safety alone is examined. Nothing here says that a command is ever decided: the figures
// themselves do not promise it when messages are lost, as nobody sends again, or when two
// leaders keep preempting each other. And a small system without a mistake is no proof
// for a large one, though mistakes tend to show in small ones: see testdata/mutants.txt.
package paper

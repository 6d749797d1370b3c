// Package conformance is the referee: it is told what production actors received,
// sent, wrote, spawned and executed, and judges it against the paper and the safety
// rules of the design. It shares no code with the roles but their words: messages,
// ballots and addresses. docs/paper.md, "The abstraction", says how what the
// production code adds to the paper is understood here.
//
//	file           judges
//	nodes.go       who lives: processes, roles, their names (S3, S11)
//	wire.go        that what is received was sent
//	disk.go        that what was on disk comes back (S1, S2)
//	acceptors.go   Fig. 4: promises, votes, reports, forgetting (A1–A3, S1, S5)
//	scouts.go      Fig. 6(b): rounds, majorities of promises (S2, S12)
//	commanders.go  Fig. 6(a): decrees, votes, decisions (C1, C2, R1, S12)
//	leaders.go     Fig. 7: when it runs, what it proposes (S9, S10)
//	replicas.go    Fig. 1: execution, window, durability (R1–R5, S4–S7)
//	reads.go       fresh reads (S8)
//	merge.go       one order of the traces of several nodes
//
// A [Referee] is told events one by one, in an order in which every event comes
// after those that caused it. [Watch] does that in a test, [Audit] with trace files.
package conformance

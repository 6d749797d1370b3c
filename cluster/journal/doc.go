// Package journal is the stable storage of the acceptor and the leader of one
// node: an append-only log with group commit.
package journal

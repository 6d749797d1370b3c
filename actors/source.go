package actors

import "embed"

// Source is the text of the files in which the figures' lines stand, for `pmmc paper`.
// No role reads it, and a program that does not either does not hold it.
//
//go:embed replica.go acceptor.go commander.go scout.go leader.go
//go:embed quorum.go pvalues.go confirm.go election.go
var Source embed.FS

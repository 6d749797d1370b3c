// Package overview makes one picture of a cluster out of what each of its nodes shows of
// itself: for the page that a node serves, and for `pmmc top`.
//
//  1. A node that cannot be asked is shown as such, since when, with what it showed last.
//  2. Rates are of what happened between two looks, by the node's own clock.
//  3. It holds no keys and no values: nodes do not show them.
package overview

import "github.com/pmmc-go/pmmc/actors"

// Cluster is what all nodes show together. Times are in milliseconds since 1970, by the
// clock of who looks; of changes, by that of the node that saw them.
type Cluster struct {
	Name    string   `json:"name"`
	At      int64    `json:"at"`
	From    string   `json:"from,omitempty"` // the node that looks, if it is one
	Leader  string   `json:"leader"`         // in office, as most nodes know it; empty if nobody is
	Ballot  string   `json:"ballot"`         // its
	Since   int64    `json:"since"`          // when it came into office; 0 if that is not known
	Epoch   uint64   `json:"epoch"`
	First   uint64   `json:"first"` // the first slot of the epoch
	Window  uint64   `json:"window"`
	Members []Member `json:"members"`
	Nodes   []Node   `json:"nodes"`
	Changes []Change `json:"changes"` // the newest first
	Decrees []Decree `json:"decrees"` // the newest first

	CommandsRate float64 `json:"commands_rate"` // a second, at the node that executed most
	Latency      *Spread `json:"latency"`       // of clients' requests to all nodes; nil if there were none

	Warnings []string `json:"warnings"`
}

// Member is one of the configuration.
type Member struct {
	ID     uint32   `json:"id"`
	Name   string   `json:"name"`
	Roles  []string `json:"roles"`
	Peer   string   `json:"peer"`
	Client string   `json:"client"`
}

// Node is what one of them shows.
type Node struct {
	Name      string `json:"name"` // or its address, if it never answered
	Reachable bool   `json:"reachable"`
	Since     int64  `json:"since"`           // when that was last changed, as far as seen
	Error     string `json:"error,omitempty"` // why it is not
	Page      string `json:"page,omitempty"`  // where its own is

	ID       uint32   `json:"id"`
	Roles    []string `json:"roles"`
	Ready    bool     `json:"ready"`
	Version  string   `json:"version"`
	PID      int64    `json:"pid"`
	Restarts uint64   `json:"restarts"`
	Alive    int      `json:"alive"`  // roles that run
	Actors   []string `json:"actors"` // their paths, without commanders and scouts beyond the first few
	Scouts   int      `json:"scouts"`
	Flying   int      `json:"commanders"`

	Ballot   string `json:"ballot"`   // ballot_num of its leader
	Standing string `json:"standing"` // of its leader
	Promised string `json:"promised"` // ballot_num of its acceptor
	Office   string `json:"office"`   // who is in office, as far as it knows

	SlotOut   uint64 `json:"slot_out"`
	SlotIn    uint64 `json:"slot_in"`
	Durable   uint64 `json:"durable"`
	Lag       uint64 `json:"lag"`
	Waiting   uint64 `json:"waiting"`
	InFlight  uint64 `json:"in_flight"`
	Restoring bool   `json:"restoring"`
	Accepted  uint64 `json:"accepted"`

	Peers []Peer `json:"peers"` // the way to the other members

	JournalBytes  int64 `json:"journal_bytes"`
	DatabaseBytes int64 `json:"database_bytes"`

	CommandsRate float64 `json:"commands_rate"` // executed a second
	SlotsRate    float64 `json:"slots_rate"`
	Latency      *Spread `json:"latency"` // of its clients' requests
	Sync         *Spread `json:"sync"`    // of its fsyncs
}

// Peer is what a node sees of the way to another member.
type Peer struct {
	Name      string  `json:"name"`
	Connected bool    `json:"connected"`
	RoundTrip float64 `json:"round_trip"` // in milliseconds; 0 if none was timed
}

// Spread is how long something took between two looks, in milliseconds.
type Spread struct {
	Half float64 `json:"p50"` // of them took no longer
	Most float64 `json:"p99"`
}

// Change is a change of who is in office, or who runs for it.
type Change struct {
	At     int64  `json:"at"`
	Node   string `json:"node"`   // that saw it
	Leader string `json:"leader"` // in office from then on; empty for nobody
	Ballot string `json:"ballot"`
	Epoch  uint64 `json:"epoch"`
	Why    string `json:"why"`
	Text   string `json:"text"` // all that, in words

	ballot actors.Ballot
}

// Decree is one that was decided, without what it says.
type Decree struct {
	Slot     uint64 `json:"slot"`
	Ballot   string `json:"ballot"`
	Kind     string `json:"kind"`
	Commands uint64 `json:"commands"`
	Bytes    uint64 `json:"bytes"`
}

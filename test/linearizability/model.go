// Package linearizability drives clusters with concurrent etcd clients, while nodes
// die and links break, and has porcupine judge what the clients saw.
package linearizability

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// kind is what a client did with a key.
type kind int

const (
	get kind = iota
	put
	del
	swap // a transaction: if the key holds old, put value; else get
)

// input is one operation.
type input struct {
	kind  kind
	key   string
	old   string // of swap; empty means that the key does not exist
	value string // of put and swap
}

// output is what the client was told. An operation without an answer may have been
// executed, or not, or be executed later.
type output struct {
	unknown bool
	found   string // of get, and of a swap that did not: the value, or empty
	swapped bool
	deleted bool
}

// model is a key-value store, one key at a time: keys do not touch each other.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := make(map[string][]porcupine.Operation)
		var order []string
		for _, op := range history {
			k := op.Input.(input).key
			if byKey[k] == nil {
				order = append(order, k)
			}
			byKey[k] = append(byKey[k], op)
		}
		var parts [][]porcupine.Operation
		for _, k := range order {
			parts = append(parts, byKey[k])
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, in, out any) (bool, any) {
		return step(state.(string), in.(input), out.(output))
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
}

func step(value string, in input, out output) (bool, any) {
	switch in.kind {
	case get:
		return out.unknown || out.found == value, value
	case put:
		return true, in.value
	case del:
		return out.unknown || out.deleted == (value != ""), ""
	}
	if value == in.old {
		return out.unknown || out.swapped, in.value
	}
	return out.unknown || (!out.swapped && out.found == value), value
}

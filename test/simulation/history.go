package simulation

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/anishathalye/porcupine"
)

// history is what clients did and saw, in the order in which it happened.
type history struct {
	clock   int64
	records []*record
}

// record is one operation: the write of a name, which is answered with its place in the
// log, or a read of the log's length.
type record struct {
	name        string // empty for a read
	begun, done int64  // done is 0 while there is no answer
	seen        int
}

func (h *history) begin(name string) *record {
	h.clock++
	r := &record{name: name, begun: h.clock}
	h.records = append(h.records, r)
	return r
}

func (h *history) end(r *record, seen string) {
	h.clock++
	r.done = h.clock
	r.seen, _ = strconv.Atoi(seen) // what is no number is no place either: 0
}

// model is a log of which clients see the length.
var model = porcupine.Model{
	Init: func() any { return 0 },
	Step: func(state, in, out any) (bool, any) {
		length := state.(int)
		if in.(string) != "" {
			length++
		}
		return out.(int) == length, length
	},
}

// isLinearizable tells whether the history could have come from one log. Of writes
// without an answer, the log says in the end whether and where they were executed.
func (h *history) isLinearizable(log []string) bool {
	place := make(map[string]int, len(log))
	for i, name := range log {
		place[name] = i + 1
	}
	var all []porcupine.Operation
	for i, r := range h.records {
		op := porcupine.Operation{ClientId: i, Input: r.name, Call: r.begun, Output: r.seen, Return: r.done}
		if r.done == 0 {
			at, executed := place[r.name]
			if !executed {
				continue // or a read that nobody waits for
			}
			op.Output, op.Return = at, math.MaxInt64
		}
		all = append(all, op)
	}
	slices.SortStableFunc(all, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	return porcupine.CheckOperationsTimeout(model, all, time.Minute) == porcupine.Ok
}

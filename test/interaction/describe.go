package interaction

import (
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// short is an address as transcripts show it.
func short(a actors.Addr) string {
	path := strings.TrimPrefix(a.Path(), "epoch-1/")
	if rest, later := strings.CutPrefix(path, "epoch-"); later {
		epoch, role, _ := strings.Cut(rest, "/")
		return a.Member() + "." + epoch + "." + strings.TrimPrefix(role, "leader/")
	}
	return a.Member() + "." + strings.TrimPrefix(path, "leader/")
}

// describe is a message in the paper's words; the empty text is for those that keep a
// cluster going and tell a script nothing.
func describe(m proto.Message) string {
	switch m := m.(type) {
	case *messages.Request:
		return "request " + commands(m.Commands)
	case *messages.Response:
		var all []string
		for _, a := range m.Answers {
			all = append(all, fmt.Sprintf("%d: %s", a.Sequence, a.Result))
		}
		return "response " + strings.Join(all, ", ")
	case *messages.Propose:
		return fmt.Sprintf("propose %d %s", m.Slot, decree(m.Decree))
	case *messages.P1A:
		return fmt.Sprintf("p1a %s from slot %d", actors.BallotOf(m.Ballot), m.Slot)
	case *messages.P1B:
		return fmt.Sprintf("p1b %s %s", actors.BallotOf(m.Ballot), pvalues(m.Accepted))
	case *messages.Adopted:
		return fmt.Sprintf("adopted %s %s", actors.BallotOf(m.Ballot), pvalues(m.Accepted))
	case *messages.Preempted:
		return fmt.Sprintf("preempted %s", actors.BallotOf(m.Ballot))
	case *messages.P2A:
		return "p2a " + pvalues([]*messages.PValue{m.Pvalue})
	case *messages.P2B:
		return fmt.Sprintf("p2b %s slot %d", actors.BallotOf(m.Ballot), m.Slot)
	case *messages.Decision:
		if m.Pvalue == nil {
			return fmt.Sprintf("decision %s slot %d", actors.BallotOf(m.Ballot), m.Slot)
		}
		return "decision " + pvalues([]*messages.PValue{m.Pvalue})
	case *messages.Configured:
		var all []string
		for _, c := range m.Configurations {
			all = append(all, fmt.Sprintf("epoch %d from slot %d", c.Epoch, c.First))
		}
		return "configured " + strings.Join(all, ", ")
	case *messages.Read:
		return fmt.Sprintf("read %d", m.Number)
	case *messages.ReadRequest:
		return "read request"
	case *messages.ReadMark:
		return fmt.Sprintf("read mark: slot %d", m.Slot)
	case *messages.ReadReady:
		return fmt.Sprintf("read ready %d", m.Number)
	case *messages.Confirm:
		return fmt.Sprintf("confirm %s round %d", actors.BallotOf(m.Ballot), m.Number&math.MaxUint32) // above is the ballot's round
	case *messages.Confirmed:
		return fmt.Sprintf("confirmed %s round %d", actors.BallotOf(m.Ballot), m.Number&math.MaxUint32)
	}
	return ""
}

func describeRecord(rec *messages.Record) string {
	switch k := rec.Kind.(type) {
	case *messages.Record_Ballot:
		return "ballot " + actors.BallotOf(k.Ballot).String()
	case *messages.Record_Pvalue:
		return pvalues([]*messages.PValue{k.Pvalue})
	case *messages.Record_Round:
		return fmt.Sprintf("round %d", k.Round)
	case *messages.Record_Forgotten:
		return fmt.Sprintf("forgotten below %d", k.Forgotten)
	}
	return ""
}

func pvalues(all []*messages.PValue) string {
	var texts []string
	for _, v := range all {
		texts = append(texts, fmt.Sprintf("⟨%s %d %s⟩", actors.BallotOf(v.Ballot), v.Slot, decree(v.Decree)))
	}
	return "[" + strings.Join(texts, " ") + "]"
}

// decree is what a decree's commands do, or ∅ for a no-op.
func decree(encoded []byte) string {
	d := &messages.Decree{}
	if err := proto.Unmarshal(encoded, d); err != nil {
		return "malformed"
	}
	if len(d.Commands) == 0 {
		return "∅"
	}
	return commands(d.Commands)
}

func commands(all []*messages.Command) string {
	var ops []string
	for _, c := range all {
		if c.Configuration != nil {
			ops = append(ops, fmt.Sprintf("epoch %d", c.Configuration.Epoch))
			continue
		}
		ops = append(ops, string(c.Operation))
	}
	return strings.Join(ops, "+")
}

// decreeOfOne is a decree of one command.
func decreeOfOne(client uint32, sequence uint64, op string) []byte {
	b, err := proto.Marshal(&messages.Decree{Commands: []*messages.Command{
		{Client: client, Incarnation: 1, Sequence: sequence, Operation: []byte(op)},
	}})
	if err != nil {
		panic(err)
	}
	return b
}

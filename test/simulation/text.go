package simulation

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// Print runs a seed and writes its message sequence to w: a line for each message that
// is sent and for each fault. Which says what is left out.
func Print(out io.Writer, seed uint64, which func(e actors.Event) bool) *World {
	o := Options{
		Observe: func(at time.Duration, e actors.Event) {
			if text := describe(e); text != "" && which(e) {
				fmt.Fprintf(out, "%12s  %s\n", at.Round(time.Microsecond), text)
			}
		},
		Tell: func(at time.Duration, fault string) {
			fmt.Fprintf(out, "%12s  ** %s\n", at.Round(time.Microsecond), fault)
		},
	}
	return Run(seed, o)
}

// describe is an event as people read it; the empty text is for those that show nothing
// of the protocol.
func describe(e actors.Event) string {
	switch e.Kind {
	case actors.Sent:
		if text := describeMessage(e); text != "" {
			return fmt.Sprintf("%-26s → %-26s %s", short(e.Self), short(e.Peer), text)
		}
	case actors.Spawned:
		return fmt.Sprintf("%-26s spawns %s", short(e.Self), short(e.Peer))
	case actors.Panicked:
		return fmt.Sprintf("%-26s panics", short(e.Self))
	case actors.Executed:
		m := e.Message.(*messages.Executed)
		return fmt.Sprintf("%-26s executes slot %d: %d commands", short(e.Self), m.Slot, len(m.Operations))
	case actors.Installed:
		return fmt.Sprintf("%-26s installs a snapshot below slot %d", short(e.Self), e.Message.(*messages.Installed).Executed)
	}
	return ""
}

func describeMessage(e actors.Event) string {
	switch m := e.Message.(type) {
	case *messages.Propose:
		return fmt.Sprintf("propose slot %d", m.Slot)
	case *messages.P1A:
		return fmt.Sprintf("p1a %s from slot %d", actors.BallotOf(m.Ballot), m.Slot)
	case *messages.P1B:
		return fmt.Sprintf("p1b %s with %d pvalues, forgotten below %d", actors.BallotOf(m.Ballot), len(m.Accepted), m.Forgotten)
	case *messages.Adopted:
		return fmt.Sprintf("adopted %s with %d pvalues", actors.BallotOf(m.Ballot), len(m.Accepted))
	case *messages.Preempted:
		return fmt.Sprintf("preempted by %s", actors.BallotOf(m.Ballot))
	case *messages.P2A:
		return fmt.Sprintf("p2a %s slot %d", actors.BallotOf(m.Pvalue.Ballot), m.Pvalue.Slot)
	case *messages.P2B:
		return fmt.Sprintf("p2b %s slot %d", actors.BallotOf(m.Ballot), m.Slot)
	case *messages.Decision:
		b, slot := actors.NameOf(m)
		return fmt.Sprintf("decision %s slot %d", b, slot)
	case *messages.ReadRequest:
		return fmt.Sprintf("read request %d", m.Number%1000)
	case *messages.ReadMark:
		return fmt.Sprintf("read mark %d: slot %d", m.Number%1000, m.Slot)
	case *messages.CatchUp:
		return fmt.Sprintf("catch up from slot %d", m.Slot)
	case *messages.CaughtUp:
		return fmt.Sprintf("caught up: %d decrees from slot %d, %d runs told", len(m.Decided), m.Slot, len(m.Runs))
	case *messages.SnapshotChunk:
		return fmt.Sprintf("snapshot of slot %d, offset %d", m.Slot, m.Offset)
	}
	return ""
}

// short leaves out of an address what the reader knows.
func short(a actors.Addr) string {
	path := strings.Replace(a.Path(), "leader/", "", 1)
	return a.Member() + "/" + strings.Replace(path, "epoch-", "e", 1)
}

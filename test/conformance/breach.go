package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/trace"
)

// A Rule is what a trace can break.
type Rule struct {
	Name  string // as the paper or the design calls it
	Where string // the line of the figure, or the part of the paper
	Says  string
}

// Rules lists what is judged.
var Rules = []Rule{
	{"A1", "Fig. 4 l. 2", "An acceptor's ballot only grows, in all that it says, over all of its lives."},
	{"A2", "Fig. 4 l. 4", "An acceptor adds ⟨b, s, c⟩ only when it was asked to, under ballot_num = b (or higher: D2), or because it is decided (D6)."},
	{"A3", "Fig. 4 l. 3", "An acceptor reports in p1b all that it said p2b for, but what it says to be forgotten (D3, D4)."},
	{"C1", "Fig. 7 l. 3, l. 5", "For a ballot and a slot there is one commander, and one decree."},
	{"C2", "Fig. 7 l. 5", "What is proposed is what pmax over the p1b of a majority requires; what a majority accepted stays."},
	{"R1", "Fig. 1 l. 13", "No two decrees are decided for one slot."},
	{"R2", "Fig. 1 l. 14", "A replica executes decided slots, one after the other, and jumps only to where another replica was."},
	{"S1", "§4, disk; Fig. 4 l. 3, l. 5", "An acceptor says only what is on disk, and finds it there again."},
	{"S2", "§4, disk; Fig. 7 l. 7", "A leader's round is on disk before it is said, and said in one life of the leader only."},
	{"S3", "§4, reconfiguration", "A slot has one configuration, and all nodes know it."},
	{"S4", "Fig. 1 l. 3; R5", "A replica proposes for no slot at or above slot_out + WINDOW."},
	{"S5", "§4, garbage collection", "What is forgotten was executed and on disk at f+1 replicas; nothing is proposed there."},
	{"S6", "Fig. 1 l. 10–11", "A command is executed once, where it is decided first, and answered with what came of it."},
	{"S7", "R3", "Replicas execute the same operations with the same results."},
	{"S8", "§4, read-only commands", "A read waits for all that was answered before it came, by a ballot confirmed after it came."},
	{"S9", "Fig. 7 l. 5", "A leader that takes office leaves no hole below its highest slot."},
	{"S10", "§3", "A leader runs when a majority of acceptors miss the one in office."},
	{"S11", "§2", "A disk belongs to one member, and a message says who sent it."},
	{"S12", "Fig. 6(a) l. 3, Fig. 6(b) l. 3", "A majority is one of distinct acceptors of the configuration."},
	{"figures", "Fig. 4, 6 and 7", "A role does nothing that its figure has no line for."},
	{"wire", "§2", "What is received was sent."},
	{"trace", "actors.Event", "The events are those of living roles, and of records in their order."},
}

// A Breach says which rule was broken, and by what.
type Breach struct {
	Rule   Rule
	Why    string   // what does not fit
	Events []string // that show it, the last first
}

// Error prints the breach over a few lines.
func (b *Breach) Error() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s is broken (%s): %s\n  %s", b.Rule.Name, b.Rule.Where, b.Rule.Says, b.Why)
	for _, e := range b.Events {
		fmt.Fprintf(&out, "\n  %s", e)
	}
	return out.String()
}

// place is where an event stands: its number, or its file and line.
type place uint64

// past is what is kept of an event that may have to be shown later.
type past struct {
	at   place
	self actors.Addr
	did  string
}

// happened keeps the event under judgement, in few words.
func (r *Referee) happened(did string) past { return past{at: r.at, self: r.now.Self, did: did} }

// breaks notes that a rule is broken by the event under judgement and those before it
// that are given. The first breach counts: others may follow from it.
func (r *Referee) breaks(rule string, why string, before ...past) {
	if r.breach != nil {
		return
	}
	i := slices.IndexFunc(Rules, func(k Rule) bool { return k.Name == rule })
	r.breach = &Breach{Rule: Rules[i], Why: why, Events: []string{r.options.Name(uint64(r.at)) + ": " + show(r.now)}}
	for _, p := range before {
		if p.self != "" {
			r.breach.Events = append(r.breach.Events, fmt.Sprintf("%s: %s %s", r.options.Name(uint64(p.at)), p.self, p.did))
		}
	}
}

// longestShown is how much of an event is printed: a p1b or a decree can be long.
const longestShown = 600

func show(e actors.Event) string {
	line, err := trace.Encode(e)
	if err != nil {
		return fmt.Sprintf("%+v", e)
	}
	if len(line) > longestShown {
		return string(line[:longestShown]) + "…"
	}
	return string(line)
}

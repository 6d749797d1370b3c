package simulation

import (
	_ "embed" // the page
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

//go:embed page.html
var page string

// pageRun is a run as the page wants it; times are in milliseconds.
type pageRun struct {
	Seed     uint64         `json:"seed"`
	Nodes    []string       `json:"nodes"`
	End      float64        `json:"end"`
	Broken   string         `json:"broken,omitempty"`
	Messages []*pageMessage `json:"messages"`
	Faults   []pageFault    `json:"faults"`
}

type pageMessage struct {
	At     float64 `json:"at"`
	Got    float64 `json:"got,omitempty"` // when it was received, if it was
	From   string  `json:"from"`
	To     string  `json:"to"`
	Text   string  `json:"text"`
	Ballot string  `json:"ballot,omitempty"`
	Slot   uint64  `json:"slot,omitempty"`
}

type pageFault struct {
	At   float64 `json:"at"`
	Text string  `json:"text"`
}

// Page runs a seed and writes it as one page that needs nothing else: a line for each
// actor, an arrow for each message, in the colour of its ballot, and the faults.
func Page(out io.Writer, seed uint64) (*World, error) {
	run := pageRun{Seed: seed}
	under := make(map[string][]*pageMessage) // way, by what tells messages apart
	w := Run(seed, Options{
		Observe: func(at time.Duration, e actors.Event) { run.note(under, at, e) },
		Tell:    func(at time.Duration, fault string) { run.Faults = append(run.Faults, pageFault{millis(at), fault}) },
	})
	for _, n := range w.Nodes {
		run.Nodes = append(run.Nodes, n.name)
	}
	run.End = millis(w.Now)
	if len(w.Broken) > 0 {
		run.Broken = w.Broken[0]
	}
	b, err := json.Marshal(run) // which escapes what would end the script
	if err != nil {
		return w, fmt.Errorf("simulation: %w", err)
	}
	if _, err = io.WriteString(out, strings.Replace(page, "RUN", string(b), 1)); err != nil {
		return w, fmt.Errorf("simulation: write the page: %w", err)
	}
	return w, nil
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// note adds a message when it is sent, and when it arrives.
func (r *pageRun) note(under map[string][]*pageMessage, at time.Duration, e actors.Event) {
	text := describeMessage(e)
	if text == "" {
		return
	}
	switch e.Kind {
	case actors.Sent:
		m := &pageMessage{At: millis(at), From: lane(e.Self), To: lane(e.Peer), Text: text}
		m.Ballot, m.Slot = about(e)
		r.Messages = append(r.Messages, m)
		key := string(e.Self) + " " + string(e.Peer) + " " + text
		under[key] = append(under[key], m)
	case actors.Received:
		from := e.Message.(interface{ GetFrom() string }).GetFrom()
		key := from + " " + string(e.Self) + " " + text
		if waiting := under[key]; len(waiting) > 0 {
			waiting[0].Got = millis(at)
			under[key] = waiting[1:]
		}
	}
}

// lane is the line on which an actor is drawn: scouts, and commanders, of a node share one.
func lane(a actors.Addr) string {
	last := a.Path()[strings.LastIndexByte(a.Path(), '/')+1:]
	kind, _, _ := strings.Cut(last, "-")
	return a.Member() + "/" + kind
}

// about is the ballot and the slot that a message speaks of.
func about(e actors.Event) (ballot string, slot uint64) {
	if m, ok := e.Message.(interface{ GetPvalue() *messages.PValue }); ok {
		return actors.BallotOf(m.GetPvalue().GetBallot()).String(), m.GetPvalue().GetSlot()
	}
	if m, ok := e.Message.(interface{ GetBallot() *messages.Ballot }); ok {
		ballot = actors.BallotOf(m.GetBallot()).String()
	}
	if m, ok := e.Message.(interface{ GetSlot() uint64 }); ok {
		slot = m.GetSlot()
	}
	return ballot, slot
}

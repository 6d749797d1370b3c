package conformance

import (
	"bytes"
	"testing"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/trace"
	"github.com/pmmc-go/pmmc/messages"
)

// FuzzAudit judges whatever stands in a trace: it may find it bad, and does not fall over.
func FuzzAudit(f *testing.F) {
	var good []byte
	value := &messages.PValue{Ballot: &messages.Ballot{Round: 1, Leader: 1}, Slot: 1, Decree: []byte("d")}
	for _, e := range []actors.Event{
		{Kind: actors.Opened, Self: "alpha/node", Life: 1, Message: &messages.Opened{}},
		{Kind: actors.Sent, Self: "alpha/epoch-1/leader/commander-1", Life: 1, Peer: "alpha/epoch-1/acceptor", Message: &messages.P2A{From: "alpha/epoch-1/leader/commander-1", Pvalue: value}},
		{Kind: actors.Received, Self: "alpha/epoch-1/acceptor", Life: 1, Message: &messages.P2A{From: "alpha/epoch-1/leader/commander-1", Pvalue: value}},
		{Kind: actors.Received, Self: "alpha/replica", Life: 1, Message: &messages.Decision{From: "alpha/epoch-1/leader/commander-1", Pvalue: value}},
	} {
		line, err := trace.Encode(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(line, '\n'))
		good = append(append(good, line...), '\n')
	}
	f.Add(good)
	f.Add(good[:len(good)-9])
	f.Add([]byte("{}\n{}\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		r := trace.NewReader(bytes.NewReader(text), "a")
		for {
			if _, _, err := r.Next(); err != nil {
				break
			}
		}
		_, _ = Audit(Source{"a", bytes.NewReader(text)}, Source{"b", bytes.NewReader(good)}) // any verdict will do
	})
}

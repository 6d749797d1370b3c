package simulation

import (
	"fmt"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

func TestDbg(t *testing.T) {
	var all []string
	w := Run(23, Options{Rounds: 8, Observe: func(at time.Duration, e actors.Event) {
		if at < 200*time.Second { return }
		switch m := e.Message.(type) {
		case *messages.SnapshotRequest, *messages.SnapshotChunk:
			if e.Self == "n4/replica" || e.Peer == "n4/replica" {
			all = append(all, fmt.Sprint(at, " ", e.Kind, " ", e.Self, " ", e.Peer, " ", fmt.Sprint(m)[:min(120,len(fmt.Sprint(m)))]))
			}
		}
	}, Tell: func(at time.Duration, f string) { all = append(all, fmt.Sprint(at, " ", f)) }})
	for i, s := range all {
		if i < 3 || i > len(all)-60 {
			fmt.Println(s[:min(len(s), 260)])
		}
	}
	_ = w
}

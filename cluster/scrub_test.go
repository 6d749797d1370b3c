package cluster

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/cluster/journal"
)

// closing is a journal whose node ends while its files are looked at.
type closing struct {
	*journal.Log
	end func()
}

func (c closing) Check(context.Context, func(uint64) time.Duration) error {
	c.end()
	return journal.ErrClosed
}

// Files that cannot be read because the node closes them are not damaged; those of a node
// that runs are.
func TestClosedFilesAreNotDamaged(t *testing.T) {
	for _, ends := range []bool{true, false} {
		var text bytes.Buffer
		n := &Node{ending: make(chan struct{}), options: Options{Logger: hclog.New(&hclog.LoggerOptions{Output: &text})}}
		n.journal = closing{end: func() {
			if ends {
				close(n.ending)
			}
		}}
		n.checkFiles(t.Context())
		if damaged := n.damage.Load() != nil; damaged == ends || strings.Contains(text.String(), "not what was written") == ends {
			t.Errorf("ends: %t; damage: %t\n%s", ends, damaged, text.String())
		}
	}
}

// Who is removed is told so again and again, and says it once.
func TestARemovedNodeSaysSoOnce(t *testing.T) {
	var text bytes.Buffer
	n := &Node{leaving: make(chan struct{}), ending: make(chan struct{}), options: Options{Logger: hclog.New(&hclog.LoggerOptions{Output: &text})}}
	n.client = newClient(1, "alpha", 1)
	n.client.calls[1] = &call{} // it waits for an answer
	for range 3 {
		n.leave(2)
	}
	close(n.ending)
	if got := strings.Count(text.String(), "removed from the cluster"); got != 1 {
		t.Errorf("%d lines, want 1:\n%s", got, text.String())
	}
}

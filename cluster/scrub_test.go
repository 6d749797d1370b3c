package cluster

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/cluster/journal"
)

// looked is a journal whose files were looked at.
type looked struct {
	*journal.Log
	found func() error
}

func (l looked) Check(context.Context, func(uint64) time.Duration) error { return l.found() }

// Files that cannot be read because the node closes them, or because a write to them failed,
// are not damaged; those with other bytes are.
func TestWhatIsDamage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		found  error
		ends   bool
		damage bool
	}{
		{"other bytes", &journal.CorruptError{}, false, true},
		{"other bytes, of a node that ends", &journal.CorruptError{}, true, false},
		{"closed", journal.ErrClosed, false, false},
		{"a failed write", errors.New("write failed"), false, false},
	} {
		var text bytes.Buffer
		n := &Node{ending: make(chan struct{}), options: Options{Logger: hclog.New(&hclog.LoggerOptions{Output: &text})}}
		n.journal = looked{found: func() error {
			if tt.ends {
				close(n.ending)
			}
			return tt.found
		}}
		n.checkFiles(t.Context())
		if damage := n.damage.Load() != nil; damage != tt.damage || strings.Contains(text.String(), "not what was written") != tt.damage {
			t.Errorf("%s: damage: %t\n%s", tt.name, damage, text.String())
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

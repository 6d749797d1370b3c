package faults

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/actors/runtime"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
)

// TestANodeShowsWhatItDid kills a leader under load: what the others count of that is
// what happened.
func TestANodeShowsWhatItDid(t *testing.T) {
	c := watched(t, 3, clustertest.Options{Disk: true})
	acked, stop := load(t, c, 8)
	c.Eventually("loaded", moreThan(acked, 200))
	first := c.Leader()
	one := first.Status()
	if o := one.Runtime.Office; o.Elected == 0 || len(o.Changes) == 0 || o.Since.IsZero() || time.Since(o.Since) < 0 {
		t.Errorf("in office, and does not show since when: %+v", o)
	}
	if last := lastChange(one.Runtime); last.Standing != "active" || last.Why != actors.WhySilence || last.InOffice != one.Leader.InOffice {
		t.Errorf("it shows that it is in office by %+v", last)
	}
	commanders, scouts := one.Runtime.Kinds["commander"], one.Runtime.Kinds["scout"]
	if scouts.Lives[runtime.Succeeded].Count() == 0 || commanders.Lives[runtime.Succeeded].Count() == 0 || commanders.Started < commanders.Lives[runtime.Succeeded].Count() {
		t.Errorf("in office without a scout or commander: %+v, %+v", scouts, commanders)
	}
	for what, n := range map[string]uint64{
		"proposed": one.Client.Proposed, "decrees": one.State.Commands.Count(), "of bytes": one.State.Bytes.Count(),
		"applied": one.State.Applied.Count(), "syncs": one.Journal.SyncTimes.Count(), "records in syncs": uint64(one.Journal.BatchSizes.Sum),
		"waits for acceptors": one.Runtime.Kinds["acceptor"].Waits.Count(), "handled by replicas": one.Runtime.Kinds["replica"].Handled,
	} {
		if n == 0 {
			t.Errorf("%s: none is counted", what)
		}
	}
	c.Eventually("round trips are timed", func() error {
		for peer, p := range first.Status().Transport.Peers {
			if p.RoundTrips.Count() == 0 || p.RoundTrip <= 0 || p.Since.IsZero() {
				return fmt.Errorf("none to %s", peer)
			}
		}
		return nil
	})

	first.Kill()
	before := acked.Load()
	c.Eventually("at work under the next one", moreThan(acked, before+100))
	stop()
	next := c.Leader()
	for _, n := range c.Running() {
		s := n.Status()
		last, elected := lastChange(s.Runtime), s.Runtime.Office.Elected
		if elected < 2 || s.Leader.InOffice.Leader != next.Status().ID || last.InOffice != s.Leader.InOffice {
			t.Errorf("%s: %d were elected, the last by %+v", n.Name, elected, last)
		}
		want := []actors.Reason{actors.WhySilence}
		if n != next {
			want = []actors.Reason{actors.WhyElected}
			if changes := s.Runtime.Office.Changes; len(changes) > 1 && changes[len(changes)-2].Standing != "passive" {
				want = append(want, actors.WhyPreempted) // it had run, too
			}
		}
		if !slices.Contains(want, last.Why) {
			t.Errorf("%s: the next one is in office because of %q, want %q", n.Name, last.Why, want)
		}
	}
}

func lastChange(s runtime.Stats) runtime.Change { return s.Office.Changes[len(s.Office.Changes)-1] }

// TestANodeWithoutAMajoritySaysSo kills two of three: the third knows of nobody in office
// any more, and says in words what is wrong. When they are back, it is well.
func TestANodeWithoutAMajoritySaysSo(t *testing.T) {
	c := watched(t, 3, clustertest.Options{})
	acked, stop := load(t, c, 4)
	c.Eventually("loaded", moreThan(acked, 20))
	stop()
	alpha := c.Node("alpha")
	c.Node("beta").Kill()
	c.Node("gamma").Kill()
	want := []string{"no majority: beta and gamma cannot be reached from alpha", "alpha knows of nobody in office, for "}
	c.Eventually("it says so", func() error {
		s := alpha.Status()
		all := strings.Join(s.Warnings(s), "\n")
		for _, text := range want {
			if !strings.Contains(all, text) {
				return fmt.Errorf("%q is not in %q; in office: %q, %+v", text, all, s.InOffice, s.Leader)
			}
		}
		return nil
	})
	c.Node("beta").Start()
	c.Node("gamma").Start()
	c.Eventually("nothing is wrong", func() error {
		if s := alpha.Status(); s.InOffice == "" || len(s.Warnings(s)) > 0 {
			return fmt.Errorf("in office: %q; warnings: %q", s.InOffice, s.Warnings(s))
		}
		return nil
	})
}

package paper

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestReductionsLoseNothing explores systems small enough for it twice, with and without
// each reduction: what invariants see of the states must be the same, to the last view.
func TestReductionsLoseNothing(t *testing.T) {
	sizes := map[string]Size{
		"synod, 3 ballots":   {Configurations: synod(1, 2, 1), Propose: bothRivals},
		"synod, 2 acceptors": {Configurations: synod(2, 1, 1), Propose: rivals},
		"replicas, WINDOW 1": {Configurations: abstract(1), Replicas: 2, Window: 1, Slots: 2, Clients: atOnce},
		"replicas, WINDOW 2": {Configurations: abstract(1), Replicas: 2, Window: 2, Slots: 2, Clients: inTurn},
		"reconfiguration":    {Configurations: abstract(2), Replicas: 2, Window: 1, Slots: 2, Clients: reconfiguring},
		"whole":              {Configurations: synod(1, 1, 1), Replicas: 2, Window: 1, Slots: 1, Clients: atOnce[:1]},
	}
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			all := NewSystem(size)
			all.Deaf = func(Process, Message) bool { return false }
			all.Eager, all.Alike = true, nil
			want, states := views(t, all)

			postponed := NewSystem(size)
			postponed.Deaf, postponed.Alike = all.Deaf, nil
			deaf := NewSystem(size)
			deaf.Eager, deaf.Alike = true, nil
			both := NewSystem(size)
			both.Alike = nil
			for what, s := range map[string]System{"postponed": postponed, "deaf": deaf, "both": both} {
				got, fewer := views(t, s)
				t.Logf("%s: %d views of %d states, of %d without", what, len(got), fewer, states)
				if !maps.Equal(got, want) {
					t.Errorf("%s: %d views, want %d", what, len(got), len(want))
				}
			}

			alike := NewSystem(size)
			alike.Deaf, alike.Eager = all.Deaf, true
			got, fewer := views(t, alike)
			t.Logf("alike: %d views of %d states, of %d without", len(got), fewer, states)
			if !maps.Equal(withAllAlike(got, alike.Alike), withAllAlike(want, nil)) {
				t.Errorf("alike: the views are not the %d, but for names", len(want))
			}
		})
	}
}

// withAllAlike adds what renaming makes of views.
func withAllAlike(views Set[string], alike []Set[ID]) Set[string] {
	var all []string
	for _, names := range permutations(alike) {
		var pairs []string
		for from, to := range names {
			pairs = append(pairs, string(from), string(to))
		}
		rename := strings.NewReplacer(pairs...)
		for view := range views {
			members := strings.Split(rename.Replace(view), "; ")
			slices.Sort(members)
			all = append(all, strings.Join(members, "; "))
		}
	}
	return SetOf(all...)
}

// views explores a system and returns all that invariants saw.
func views(t *testing.T, s System) (all Set[string], states int) {
	x := newExplorer(s)
	x.run(limit)
	if x.result.Violation != nil || x.result.Cut {
		t.Fatal(x.result.Violation)
	}
	text := make(map[uint64]string)
	for view, number := range x.views {
		text[uint64(number)] = view
	}
	var list []string
	for i := range x.judge.groups {
		for _, key := range slices.Sorted(maps.Keys(x.judge.groups[i].verdicts)) {
			seen := []string{fmt.Sprint("group ", i)}
			for rest := []byte(key); len(rest) > 0; {
				number, n := binary.Uvarint(rest)
				rest = rest[n:]
				seen = append(seen, text[number])
			}
			list = append(list, strings.Join(seen, "; "))
		}
	}
	return SetOf(list...), x.result.States
}

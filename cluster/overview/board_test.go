package overview

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
	"github.com/pmmc-go/pmmc/messages/admin"
)

// world is three nodes that show themselves.
type world struct {
	t     *testing.T
	board Board
	now   time.Time
	nodes map[string]*admin.StatusResponse // nil does not answer
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Unix(1_000_000, 0), nodes: make(map[string]*admin.StatusResponse)}
	w.board = Board{From: "alpha", Clock: func() time.Time { return w.now }}
	c := actors.Configuration{Epoch: 1, First: 1, Window: 8}
	for i, name := range targets {
		c.Members = append(c.Members, actors.Member{
			ID: uint32(i + 1), Name: name, Replica: true, Leader: true, Acceptor: true, Client: name + ".example:2379",
		})
	}
	for i, name := range targets {
		w.nodes[name] = &admin.StatusResponse{
			Cluster: "shop", Member: name, Id: uint32(i + 1), Process: 7, Roles: []string{"replica", "leader", "acceptor"}, Ready: true,
			InOffice: "alpha", Ballot: &messages.Ballot{}, Configuration: c.Proto(), SlotOut: 10, SlotIn: 10, Seen: int64(time.Second),
			Alive: []string{"replica", "epoch-1/leader", "epoch-1/acceptor"}, Http: "0.0.0.0:2380",
		}
	}
	w.nodes["alpha"].Ballot = &messages.Ballot{Round: 4, Leader: 1}
	return w
}

var targets = []string{"alpha", "beta", "gamma"}

// look passes a second, and looks at copies of what the nodes show.
func (w *world) look() *Cluster {
	w.now = w.now.Add(time.Second)
	return w.board.Look(w.t.Context(), targets, func(_ context.Context, target string) (*admin.StatusResponse, error) {
		if w.nodes[target] == nil {
			return nil, errors.New("no connection")
		}
		return proto.Clone(w.nodes[target]).(*admin.StatusResponse), nil
	})
}

func TestAPictureOfAHealthyCluster(t *testing.T) {
	c := newWorld(t).look()
	if c.Name != "shop" || c.From != "alpha" || c.Leader != "alpha" || c.Ballot != "4.1" || c.Window != 8 || len(c.Members) != 3 || len(c.Warnings) != 0 {
		t.Errorf("the picture is %+v", c)
	}
	if n := c.Nodes[1]; !n.Reachable || n.Page != "http://beta.example:2380/" || n.Alive != 3 {
		t.Errorf("beta is shown as %+v", n)
	}
}

// A node that is away is shown as it was last, since when, and what that means.
func TestANodeThatIsAway(t *testing.T) {
	w := newWorld(t)
	w.look()
	gone := w.nodes["gamma"]
	w.nodes["gamma"] = nil
	since := w.now.Add(time.Second).UnixMilli()
	w.look()
	w.nodes["alpha"].SlotOut, w.nodes["beta"].SlotOut = 25, 25
	c := w.look()
	n := c.Nodes[2]
	if n.Reachable || n.Error != "no connection" || n.Since != since || n.SlotOut != 10 || n.Lag != 15 || n.Page == "" {
		t.Errorf("gamma is shown as %+v, want since %d", n, since)
	}
	if !slices.Equal(c.Warnings, []string{"gamma cannot be reached"}) {
		t.Errorf("warnings: %q", c.Warnings)
	}
	w.nodes["alpha"].Warnings = []string{"beta and gamma cannot be reached from alpha", "alpha: fsync takes up to 80ms"}
	w.nodes["beta"] = nil
	if c = w.look(); !slices.Contains(c.Warnings, "alpha: fsync takes up to 80ms") || len(c.Warnings) != 4 || !slices.Contains(c.Warnings, "only 1 of 3 acceptors can be reached: nothing can be decided") {
		t.Errorf("warnings without a majority: %q", c.Warnings)
	}
	w.nodes["gamma"] = gone
	if c = w.look(); !c.Nodes[2].Reachable || c.Nodes[2].Since != w.now.UnixMilli() {
		t.Errorf("gamma, back again, is shown as %+v", c.Nodes[2])
	}
	w.nodes = nil
	if c = w.look(); !slices.Equal(c.Warnings, []string{"no node can be reached"}) {
		t.Errorf("warnings without anybody: %q", c.Warnings)
	}
}

// One that never answered has the name that the configuration gives it.
func TestANodeThatWasNeverSeen(t *testing.T) {
	w := newWorld(t)
	w.nodes["beta"] = nil
	if n := w.look().Nodes[1]; n.Name != "beta" || n.ID != 2 || len(n.Roles) != 3 || n.Reachable {
		t.Errorf("beta is shown as %+v", n)
	}
}

// Rates are of what happened between two looks, by the node's clock; what a process did
// before it was started anew does not count, nor what a busy replica does not show.
func TestRates(t *testing.T) {
	w := newWorld(t)
	beta := w.nodes["beta"]
	beta.Latency = &admin.Times{Bounds: []float64{0.001, 0.002}, Counts: []uint64{100, 0, 7}}
	if n := w.look().Nodes[1]; n.CommandsRate != 0 || n.Latency != nil {
		t.Errorf("after one look: %+v", n)
	}
	beta.Seen += int64(2 * time.Second)
	beta.Commands, beta.SlotOut = 300, 110
	beta.Latency = &admin.Times{Bounds: []float64{0.001, 0.002}, Counts: []uint64{100, 10, 7}}
	c := w.look()
	if n := c.Nodes[1]; n.CommandsRate != 150 || n.SlotsRate != 50 || n.Latency == nil || math.Abs(n.Latency.Half-1.5) > 1e-9 || n.Latency.Most >= 2 {
		t.Errorf("after two looks: %+v, %+v", n, n.Latency)
	}
	if c.CommandsRate != 150 || c.Latency == nil || c.Latency.Half != c.Nodes[1].Latency.Half {
		t.Errorf("of all: %g, %+v", c.CommandsRate, c.Latency)
	}
	if n := w.look().Nodes[1]; n.CommandsRate != 150 {
		t.Errorf("a node that shows the same moment again: %+v", n)
	}
	beta.Seen += int64(time.Second)
	beta.SlotOut, beta.SlotIn, beta.Commands = 0, 0, 0
	if n := w.look().Nodes[1]; n.SlotOut != 110 || n.CommandsRate != 0 {
		t.Errorf("with a busy replica: %+v", n)
	}
	beta.Process, beta.Seen, beta.SlotOut, beta.Commands = 8, int64(time.Minute), 110, 100_000
	if n := w.look().Nodes[1]; n.CommandsRate != 0 {
		t.Errorf("of another process: %+v", n)
	}
}

// Who came into office, and who left it, is shown once, and as its own node knows it; in the
// order of ballots, whatever the clocks say.
func TestChanges(t *testing.T) {
	w := newWorld(t)
	change := func(age float64, standing string, round uint64, leader uint32, why string) *admin.OfficeChange {
		return &admin.OfficeChange{Age: 100 - age, Epoch: 1, Standing: standing, Ballot: &messages.Ballot{Round: round, Leader: leader}, Why: why}
	}
	w.nodes["alpha"].Changes = []*admin.OfficeChange{change(10, "active", 1, 1, "silence"), change(20, "passive", 0, 0, "disk"), change(32, "passive", 10, 2, "elected")}
	w.nodes["beta"].Changes = []*admin.OfficeChange{change(11, "passive", 1, 1, "elected"), change(25, "scouting", 0, 0, "silence"), change(30, "active", 10, 2, "handover")}
	w.nodes["gamma"].Changes = []*admin.OfficeChange{change(28, "passive", 9, 3, "some day"), change(29.9, "active", 10, 3, "silence"), change(31, "passive", 0, 0, "gave up")}
	var got []string
	seen := w.look().Changes
	for _, c := range seen {
		got = append(got, c.Ballot+" "+c.Text)
	}
	want := []string{
		"10.3 gamma left office: it gave up",
		"10.3 gamma came into office: a majority had heard nothing from anybody in office",
		"10.2 beta came into office: the one before handed over",
		"9.3 gamma came into office: some day",
		"1.1 alpha left office: its disk completed no write",
		"1.1 alpha came into office: a majority had heard nothing from anybody in office",
	}
	if !slices.Equal(got, want) {
		t.Errorf("changes:\n%q, want\n%q", got, want)
	}
	clear(w.nodes) // all are away, which does not move what they showed
	if later := w.look().Changes; !slices.Equal(later, seen) {
		t.Errorf("a second later:\n%+v, want\n%+v", later, seen)
	}
}

// The decrees are those of the node that is furthest, the newest first; scouts and
// commanders are counted, and the first few named.
func TestDecreesAndActors(t *testing.T) {
	w := newWorld(t)
	for i := range 40 {
		d := &admin.DecreeSeen{Slot: uint64(i + 1), Ballot: &messages.Ballot{Round: 1, Leader: 1}, Kind: "commands", Commands: 2, Bytes: 99}
		w.nodes["beta"].Recent = append(w.nodes["beta"].Recent, d)
		w.nodes["alpha"].Alive = append(w.nodes["alpha"].Alive, "epoch-1/leader/commander-1-"+string(rune('a'+i%26)))
	}
	w.nodes["alpha"].Recent = w.nodes["beta"].Recent[:20]
	w.nodes["alpha"].Alive = append(w.nodes["alpha"].Alive, "epoch-1/leader/scout-3")
	c := w.look()
	if len(c.Decrees) != shownDecrees || c.Decrees[0] != (Decree{Slot: 40, Ballot: "1.1", Kind: "commands", Commands: 2, Bytes: 99}) {
		t.Errorf("%d decrees, the first is %+v", len(c.Decrees), c.Decrees[0])
	}
	if n := c.Nodes[0]; n.Flying != 40 || n.Scouts != 1 || n.Alive != 44 || len(n.Actors) != 3+shownActors+1 {
		t.Errorf("alpha is shown with %d commanders, %d scouts, %q", n.Flying, n.Scouts, n.Actors)
	}
}

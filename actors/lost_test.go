package actors

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/messages"
)

// apart is gamma, which leads and has no replica, in front of the replicas alpha and beta.
func apart() (*Leader, *notes) {
	c := Configuration{Epoch: 1, First: 1, Window: 4, LastID: 3, Members: []Member{
		{ID: 1, Name: "alpha", Replica: true, Acceptor: true},
		{ID: 2, Name: "beta", Replica: true, Acceptor: true},
		{ID: 3, Name: "gamma", Leader: true, Acceptor: true},
	}}
	l := NewLeader(LeaderOptions{
		ID: 3, Configuration: c, Eager: true, Tick: 50 * time.Millisecond,
		Timeout: TimeoutOptions{Initial: 400 * time.Millisecond, Min: 300 * time.Millisecond, Max: 5 * time.Second, Factor: 2, Step: time.Millisecond},
	})
	env := &notes{self: LeaderAddr("gamma", 1)}
	l.Start(env)
	return l, env
}

// live lets ticks pass, in which the acceptors of beta and gamma confirm the ballot and the
// replicas named say how far they are.
func (n *notes) live(l *Leader, ticks int, executed map[string]uint64) {
	for range ticks {
		n.now += l.Tick
		for _, a := range []string{"beta", "gamma"} {
			l.Receive(n, &messages.Confirmed{From: string(AcceptorAddr(a, 1)), Ballot: l.ballot.Proto()})
		}
		for _, r := range []string{"alpha", "beta"} {
			if s, lives := executed[r]; lives {
				l.Receive(n, &messages.Learned{From: string(ReplicaAddr(r)), Executed: s})
			}
		}
		l.Receive(n, &messages.Tick{})
		if !n.hangs {
			recorded(l, n)
		}
	}
}

// L1: the office goes on until the round is on disk. With a slow disk, nobody would lead
// meanwhile, and the others would elect.
func TestALeaderStaysInOfficeUntilItsRoundIsOnDisk(t *testing.T) {
	l, env := apart()
	env.live(l, 1, map[string]uint64{"alpha": 1, "beta": 1})
	l.Receive(env, &messages.Adopted{Ballot: ballot(1, 3)})
	l.Receive(env, &messages.Propose{Slot: 1, Decree: []byte("x")})
	env.live(l, 1, map[string]uint64{"alpha": 2, "beta": 1})
	env.hangs = true
	env.live(l, livePatience+3*lackPatience, map[string]uint64{"beta": 1})
	if l.standing != inOffice || l.writing != 2 {
		t.Fatalf("the leader is %s and writes round %d, want in office, and round 2 once", l.standing, l.writing)
	}
	recorded(l, env)
	if l.standing != scouting || l.ballot.Round != 2 {
		t.Errorf("with its round on disk the leader is %s under %s, want scouting in round 2", l.standing, l.ballot)
	}
}

// L1: alpha executes slots that beta does not hear of, and goes down. No replica can tell
// beta of them any more, so the leader finds them anew: under a new ballot, because C1
// forbids it to propose once more for a slot whose decree it has dropped.
func TestL1_ALeaderFindsWhatOnlyADownReplicaExecuted(t *testing.T) {
	l, env := apart()
	env.live(l, 1, map[string]uint64{"alpha": 1, "beta": 1})
	l.Receive(env, &messages.Adopted{Ballot: ballot(1, 3)})
	for slot := uint64(1); slot <= 20; slot++ {
		l.Receive(env, &messages.Propose{Slot: slot, Decree: fmt.Append(nil, slot)})
		env.live(l, 1, map[string]uint64{"alpha": slot + 1, "beta": 1})
	}
	if len(l.proposals) != 0 {
		t.Fatalf("%d proposals are held though alpha, which lives, has executed them", len(l.proposals))
	}
	// One word of alpha that is lost does not count.
	env.live(l, livePatience, map[string]uint64{"beta": 1})
	env.live(l, 2*lackPatience, map[string]uint64{"alpha": 21, "beta": 1})
	if l.standing != inOffice || l.ballot.Round != 1 {
		t.Fatalf("the leader is %v under %v, though alpha lives", l.standing, l.ballot)
	}

	env.live(l, livePatience+lackPatience, map[string]uint64{"beta": 1})
	l.Receive(env, &messages.Propose{Slot: 1, Decree: []byte("another")})
	if len(l.proposals) != 0 {
		t.Error("C1: the leader takes a second proposal for a slot under the same ballot")
	}
	env.live(l, 3, map[string]uint64{"beta": 1})
	scout, _ := env.spawned["scout-2"].(*Scout)
	if scout == nil {
		t.Fatalf("nobody looks for the slots that only alpha has executed: %v under %v", l.standing, l.ballot)
	}
	if scout.Slot != 1 {
		t.Fatalf("the scout looks from slot %d on, want 1, which beta misses", scout.Slot)
	}

	var accepted []*messages.PValue
	for slot := uint64(1); slot <= 20; slot++ {
		accepted = append(accepted, pvalue(1, 3, slot, fmt.Sprint(slot)))
	}
	l.Receive(env, &messages.Adopted{Ballot: ballot(2, 3), Accepted: accepted})
	commanded := func(slot int) bool { return env.spawned[fmt.Sprintf("commander-2-%d", slot)] != nil }
	if !commanded(1) || !commanded(8) || commanded(9) {
		t.Errorf("L1: adopted slots that beta would take, and no others, are to be decided: 1 is %t, 8 is %t, 9 is %t", commanded(1), commanded(8), commanded(9))
	}
	env.live(l, 1, map[string]uint64{"beta": 9})
	if !commanded(16) || commanded(17) {
		t.Errorf("after beta has executed 8 slots, slot 16 is decided: %t, and 17: %t", commanded(16), commanded(17))
	}
	env.live(l, 1, map[string]uint64{"beta": 17})
	if !commanded(20) || commanded(21) {
		t.Errorf("in the end slot 20 is decided: %t, and 21, which nobody proposed: %t", commanded(20), commanded(21))
	}
}

// A leader that is not in office does not decide what it adopted earlier.
func TestC2_AnEarlierAdoptionIsOver(t *testing.T) {
	l, env := apart()
	env.live(l, 1, map[string]uint64{"alpha": 1})
	var accepted []*messages.PValue
	for slot := uint64(1); slot <= 20; slot++ {
		accepted = append(accepted, pvalue(1, 1, slot, "old"))
	}
	l.Receive(env, &messages.Adopted{Ballot: ballot(1, 3), Accepted: accepted})
	l.Receive(env, &messages.Preempted{Ballot: ballot(2, 1)})
	l.Receive(env, &messages.Succeed{Ballot: ballot(2, 1)})
	recorded(l, env)
	if l.standing != scouting {
		t.Fatalf("the leader is %v, want scouting", l.standing)
	}
	env.live(l, 1, map[string]uint64{"alpha": 5})
	for name := range env.spawned {
		if strings.HasPrefix(name, "commander-3-") {
			t.Errorf("%s is there before its ballot is adopted", name)
		}
	}
}

func TestProgressCountsWhoLives(t *testing.T) {
	c := Configuration{Members: []Member{{ID: 1, Name: "a", Replica: true}, {ID: 2, Name: "b", Replica: true}, {ID: 3, Name: "c"}}}
	type word struct {
		at       time.Duration
		from     string
		executed uint64
		first    uint64 // then
	}
	tests := []struct {
		name  string
		me    uint32
		words []word
	}{
		{"the highest of those that live", 3, []word{{0, "a", 5, 5}, {1, "b", 3, 5}, {2, "b", 9, 9}}},
		{"not of one that is silent", 3, []word{{0, "a", 9, 9}, {10, "b", 3, 9}, {11, "b", 3, 3}}},
		{"which counts again when it is back", 3, []word{{0, "a", 9, 9}, {11, "b", 3, 3}, {12, "a", 9, 9}}},
		{"a replica restarts with less", 3, []word{{0, "a", 9, 9}, {1, "a", 4, 4}}},
		{"none but the co-located one", 1, []word{{0, "b", 9, 0}, {1, "a", 4, 4}, {50, "b", 9, 4}}},
		{"no stranger, and no member without a replica", 3, []word{{0, "c", 9, 0}, {0, "x", 9, 0}}},
	}
	for _, tt := range tests {
		p := progressOf(c, tt.me, 10)
		for _, w := range tt.words {
			p.hear(ReplicaAddr(w.from), w.executed, w.at)
			if p.first != w.first {
				t.Errorf("%s: after %+v first is %d", tt.name, w, p.first)
			}
		}
	}
	p := progressOf(c, 3, 10)
	p.hear("a/replica", 5, 0)
	if p.look(100); p.first != 5 {
		t.Errorf("first is %d when nobody is heard, want 5 as before", p.first)
	}
}

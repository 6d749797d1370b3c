package actors

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// world3 is three members with all roles.
func world3() Configuration {
	c := Configuration{Epoch: 1, First: 1, Window: 4}
	for i, name := range []string{"alpha", "beta", "gamma"} {
		c.Members = append(c.Members, Member{ID: uint32(i + 1), Name: name, Replica: true, Leader: true, Acceptor: true})
	}
	return c
}

// notes is an Env that writes down what a role does, in order.
type notes struct {
	self    Addr
	log     []string // one word each: send, persist, spawn, exit
	sent    []sent
	records []*messages.Record
	spawned map[string]Role
	refused int
	life    uint64
	now     time.Duration
	exited  bool
	hangs   bool   // its disk completes no round
	passed  []Addr // to whom the messages of turns were forwarded

	recalls  int // how often it read from its journal …
	recalled int // … and how many pvalues it was given
}

type sent struct {
	to Addr
	m  proto.Message
}

func (n *notes) Self() Addr                         { return n.self }
func (n *notes) Forward(to Addr)                    { n.passed = append(n.passed, to) }
func (n *notes) Refuse(proto.Message)               { n.refused++ }
func (n *notes) After(time.Duration, proto.Message) {}
func (n *notes) Now() time.Duration                 { return n.now }
func (n *notes) Rand() uint64                       { return 0 }
func (n *notes) Life() uint64                       { return n.life }
func (n *notes) Exit()                              { n.log, n.exited = append(n.log, "exit"), true }
func (n *notes) Send(to Addr, m proto.Message) {
	n.log, n.sent = append(n.log, "send"), append(n.sent, sent{to, m})
}
func (n *notes) Persist(r *messages.Record) {
	n.log, n.records = append(n.log, "persist"), append(n.records, r)
}
func (n *notes) Recall(first, last uint64, f func(*messages.PValue) bool) {
	n.log = append(n.log, "recall")
	n.recalls++
	for _, r := range n.records {
		if v := r.GetPvalue(); v != nil && first <= v.Slot && v.Slot <= last {
			n.recalled++
			if !f(v) {
				return
			}
		}
	}
}
func (n *notes) Spawn(name string, build func() Role) {
	n.log = append(n.log, "spawn")
	if n.spawned == nil {
		n.spawned = make(map[string]Role)
	}
	n.spawned[name] = build()
}

// take returns what was sent of one kind and forgets all that was sent.
func take[M proto.Message](n *notes) (of []M) {
	for _, s := range n.sent {
		if m, ok := s.m.(M); ok {
			of = append(of, m)
		}
	}
	n.sent, n.log = nil, nil
	return of
}

func ballot(round uint64, leader uint32) *messages.Ballot {
	return &messages.Ballot{Round: round, Leader: leader}
}

func pvalue(round uint64, leader uint32, slot uint64, decree string) *messages.PValue {
	return &messages.PValue{Ballot: ballot(round, leader), Slot: slot, Decree: []byte(decree)}
}

func newTestAcceptor() *Acceptor {
	return NewAcceptor(AcceptorOptions{Configuration: world3(), ChunkBytes: 10 + 2*pvalueBytes, RetainSlots: 2, RetainBytes: 1 << 20})
}

// A1, and Fig. 4 l. 2–3: an acceptor adopts increasing ballots only, writes each down
// before it says so (S1), and always answers with the one that it holds.
func TestA1_BallotsOnlyGrow(t *testing.T) {
	tests := []struct {
		held, asks, want *messages.Ballot
		log              string
	}{
		{ballot(0, 0), ballot(1, 1), ballot(1, 1), "persist send"},
		{ballot(1, 3), ballot(2, 1), ballot(2, 1), "persist send"},
		{ballot(1, 1), ballot(1, 2), ballot(1, 2), "persist send"},
		{ballot(1, 1), ballot(1, 1), ballot(1, 1), "send"},
		{ballot(2, 1), ballot(1, 9), ballot(2, 1), "send"},
	}
	for _, tt := range tests {
		a, env := newTestAcceptor(), &notes{}
		a.ballot = BallotOf(tt.held)
		a.Receive(env, &messages.P1A{From: "alpha/s", Ballot: tt.asks, Slot: 1})
		if got := strings.Join(env.log, " "); got != tt.log {
			t.Errorf("%v asked for %v: did %q, want %q", tt.held, tt.asks, got, tt.log)
		}
		if p1b := take[*messages.P1B](env)[0]; BallotOf(p1b.Ballot) != BallotOf(tt.want) {
			t.Errorf("%v asked for %v: answers %v, want %v", tt.held, tt.asks, p1b.Ballot, tt.want)
		}
	}
}

// A2, D2, D3, and Fig. 4 l. 4–5: an acceptor accepts under its ballot or a higher one,
// which it then holds; never under a lower one; of a slot it keeps the highest.
func TestA2_AcceptsUnderItsBallot(t *testing.T) {
	a, env := newTestAcceptor(), &notes{}
	for _, step := range []struct {
		v      *messages.PValue
		held   Ballot
		decree string
		log    string
	}{
		{pvalue(2, 1, 7, "x"), Ballot{2, 1}, "x", "persist send"}, // overtook its p1a
		{pvalue(1, 2, 7, "y"), Ballot{2, 1}, "x", "send"},
		{pvalue(2, 1, 7, "x"), Ballot{2, 1}, "x", "persist send"}, // again
		{pvalue(3, 1, 7, "z"), Ballot{3, 1}, "z", "persist send"},
	} {
		a.Receive(env, &messages.P2A{From: "alpha/c", Pvalue: step.v})
		if got := strings.Join(env.log, " "); got != step.log {
			t.Errorf("p2a %v: did %q, want %q", step.v, got, step.log)
		}
		p2b := take[*messages.P2B](env)[0]
		if BallotOf(p2b.Ballot) != step.held || p2b.Slot != 7 || string(a.accepted[7].Decree) != step.decree {
			t.Errorf("p2a %v: answers %v and holds %q, want ballot %v and %q", step.v, p2b, a.accepted[7].Decree, step.held, step.decree)
		}
	}
}

// S1: what was persisted is what an acceptor comes back with: its promises, also
// those that came with a pvalue, and what it accepted.
func TestS1_AcceptorComesBackWithItsPromises(t *testing.T) {
	a, env := newTestAcceptor(), &notes{}
	a.Receive(env, &messages.P1A{From: "alpha/s", Ballot: ballot(1, 1)})
	a.Receive(env, &messages.P2A{From: "alpha/c", Pvalue: pvalue(1, 1, 1, "a")})
	a.Receive(env, &messages.P2A{From: "beta/c", Pvalue: pvalue(2, 2, 2, "b")})
	again := newTestAcceptor()
	again.MemoryBytes = 2
	for _, rec := range env.records {
		again.Restore(rec)
	}
	if again.ballot != a.ballot || fmt.Sprint(again.accepted) != fmt.Sprint(a.accepted) {
		t.Errorf("came back with %v %v, want %v %v", again.ballot, again.accepted, a.ballot, a.accepted)
	}
}

// S1: a ballot that comes with a p2a for a forgotten slot is written down, too.
func TestS1_APromiseForAForgottenSlotIsWrittenDown(t *testing.T) {
	a, env := newTestAcceptor(), &notes{}
	a.forgotten = 10
	a.Receive(env, &messages.P2A{From: "beta/c", Pvalue: pvalue(5, 2, 3, "x")})
	if got := strings.Join(env.log, " "); got != "persist send" || len(a.accepted) != 0 {
		t.Errorf("did %q and holds %v, want persist send and nothing", got, a.accepted)
	}
}

// S5: slots are forgotten only when f+1 replicas have them on disk, and not by those
// who are no replicas; it is written down, and p1b says below which slot.
func TestS5_ForgetsWhatEnoughReplicasHave(t *testing.T) {
	a, env := newTestAcceptor(), &notes{}
	written := uint64(1)
	for slot := uint64(1); slot <= 10; slot++ {
		a.Receive(env, &messages.P2A{From: "alpha/c", Pvalue: pvalue(1, 1, slot, "x")})
	}
	for _, step := range []struct {
		from    Addr
		durable uint64
		want    uint64
	}{
		{"alpha/replica", 11, 1}, // one is not f+1
		{"alpha/replica", 11, 1},
		{"stranger/replica", 11, 1},
		{"beta/replica", 1, 1}, // it has executed them, which is not enough
		{"beta/replica", 6, 4}, // two have the slots below 6; two slots are retained
		{"gamma/replica", 11, 9},
		{"gamma/replica", 1, 9}, // marks do not go back
	} {
		before := len(env.records)
		a.Receive(env, &messages.Learned{From: string(step.from), Executed: 11, Durable: step.durable})
		for _, rec := range env.records[before:] {
			written = rec.GetForgotten()
		}
		if written != a.forgotten {
			t.Errorf("after %s has slots below %d: forgotten below %d, and written down below %d", step.from, step.durable, a.forgotten, written)
		}
		if a.forgotten != step.want {
			t.Errorf("after %s has slots below %d: forgotten below %d, want %d", step.from, step.durable, a.forgotten, step.want)
		}
	}
	take[*messages.P2B](env)
	a.Receive(env, &messages.P1A{From: "alpha/s", Ballot: ballot(2, 1), Slot: 1})
	if p1b := take[*messages.P1B](env)[0]; p1b.Forgotten != 9 || len(p1b.Accepted) != 2 {
		t.Errorf("p1b says %v, want forgotten 9 and two pvalues", p1b)
	}
}

// D5: p1b comes in chunks, and the scout asks for each.
func TestP1bComesInChunks(t *testing.T) {
	a, env := newTestAcceptor(), &notes{}
	for slot := uint64(1); slot <= 5; slot++ {
		a.Receive(env, &messages.P2A{From: "alpha/c", Pvalue: pvalue(1, 1, slot, "sixsix")})
	}
	take[*messages.P2B](env)
	s, scoutEnv := NewScout(ScoutOptions{Leader: "l", Acceptors: []Addr{"a"}, Ballot: Ballot{2, 1}, Slot: 2, Tries: 3}), &notes{self: "s"}
	s.Start(scoutEnv)
	for rounds := 1; !scoutEnv.exited; rounds++ {
		if rounds > 10 {
			t.Fatal("the scout does not end")
		}
		a.Receive(env, take[*messages.P1A](scoutEnv)[0])
		p1b := take[*messages.P1B](env)[0]
		p1b.From = "a"
		s.Receive(scoutEnv, p1b)
	}
	adopted := take[*messages.Adopted](scoutEnv)
	if len(adopted) != 1 || len(adopted[0].Accepted) != 4 {
		t.Errorf("adopted %v, want slots 2 to 5", adopted)
	}
}

// S12, Fig. 6(a) l. 2–3 and 6(b) l. 2–3: a majority of distinct acceptors of the
// configuration, also of an even number of them.
func TestS12_Majorities(t *testing.T) {
	tests := []struct {
		acceptors int
		answers   string
		majority  bool
	}{
		{1, "1", true}, {2, "1", false}, {2, "12", true},
		{3, "1", false}, {3, "13", true}, {3, "11", false}, {3, "19", false},
		{4, "12", false}, {4, "124", true}, {5, "12", false}, {5, "531", true},
	}
	for _, tt := range tests {
		var acceptors []Addr
		for i := range tt.acceptors {
			acceptors = append(acceptors, Addr(fmt.Sprint(i+1)))
		}
		c, cEnv := NewCommander(CommanderOptions{Leader: "l", Acceptors: acceptors, Replicas: []Addr{"r1", "r2"}, PValue: pvalue(1, 1, 4, "x")}), &notes{}
		s, sEnv := NewScout(ScoutOptions{Leader: "l", Acceptors: acceptors, Ballot: Ballot{1, 1}, Tries: 2}), &notes{}
		c.Start(cEnv)
		s.Start(sEnv)
		for _, from := range tt.answers {
			c.Receive(cEnv, &messages.P2B{From: string(from), Ballot: ballot(1, 1), Slot: 4})
			s.Receive(sEnv, &messages.P1B{From: string(from), Ballot: ballot(1, 1)})
		}
		if cEnv.exited != tt.majority || sEnv.exited != tt.majority {
			t.Errorf("%d acceptors, answers from %s: commander %t, scout %t, want %t", tt.acceptors, tt.answers, cEnv.exited, sEnv.exited, tt.majority)
		}
		if decisions := len(take[*messages.Decision](cEnv)); tt.majority && decisions != 2 {
			t.Errorf("%d decisions are told, want one to each of two replicas", decisions)
		}
	}
}

// D1, Fig. 6(a) l. 4 and 6(b) l. 4: a higher ballot preempts, a lower one is a stray. D7: the silent
// are asked again, and only they; a scout gives up in the end.
func TestPreemptionAndResend(t *testing.T) {
	acceptors := []Addr{"1", "2", "3"}
	c, env := NewCommander(CommanderOptions{Leader: "l", Acceptors: acceptors, PValue: pvalue(2, 1, 4, "x")}), &notes{}
	c.Start(env)
	c.Receive(env, &messages.P2B{From: "1", Ballot: ballot(1, 3)})
	if env.exited {
		t.Error("a lower ballot ended the commander")
	}
	c.Receive(env, &messages.P2B{From: "2", Ballot: ballot(2, 1)})
	env.sent = nil
	c.Receive(env, &messages.Tick{})
	if len(env.sent) != 2 || env.sent[0].to != "1" || env.sent[1].to != "3" {
		t.Errorf("asked %v again, want 1 and 3", env.sent)
	}
	c.Receive(env, &messages.P2B{From: "1", Ballot: ballot(2, 2)})
	if p := take[*messages.Preempted](env); !env.exited || len(p) != 1 || BallotOf(p[0].Ballot) != (Ballot{2, 2}) {
		t.Errorf("a higher ballot: exited %t, told %v", env.exited, p)
	}

	s, env := NewScout(ScoutOptions{Leader: "l", Acceptors: acceptors, Ballot: Ballot{2, 1}, Tries: 2}), &notes{}
	s.Start(env)
	s.Receive(env, &messages.Tick{})
	s.Receive(env, &messages.Tick{})
	if asked := len(take[*messages.P1A](env)); asked != 6 || !env.exited {
		t.Errorf("a scout that nobody answers asked %d times and exited %t, want 6 and true", asked, env.exited)
	}
}

func newTestLeader() (*Leader, *notes) {
	l := NewLeader(LeaderOptions{
		ID: 1, Configuration: world3(), Tick: 50 * time.Millisecond, Resend: time.Second,
		Timeout: TimeoutOptions{Initial: 200 * time.Millisecond, Min: 100 * time.Millisecond, Max: time.Second, Factor: 2, Step: time.Millisecond},
	})
	env := &notes{self: LeaderAddr("alpha", 1)}
	l.Start(env)
	l.Receive(env, &messages.Learned{From: "alpha/replica", Executed: 1})
	return l, env
}

// scoutNow takes a leader through the canvass of a silent office.
func scoutNow(t *testing.T, l *Leader, env *notes) {
	t.Helper()
	for range 20 {
		if l.standing == scouting {
			return
		}
		l.Receive(env, &messages.Tick{})
		for _, m := range take[*messages.Canvass](env) {
			l.Receive(env, &messages.Probed{From: string(AcceptorAddr("alpha", 1))})
			for _, from := range []string{"alpha", "beta"} {
				l.Receive(env, &messages.Canvassed{From: string(AcceptorAddr(from, 1)), Ballot: ballot(3, 2), Number: m.Number, Heard: 9})
			}
		}
		recorded(l, env)
	}
	t.Fatalf("the leader is %s, want scouting", l.standing)
}

// recorded has the disk complete the rounds that a leader wrote.
func recorded(l *Leader, env *notes) {
	for _, s := range slices.Clone(env.sent) {
		if m, ok := s.m.(*messages.Recorded); ok {
			l.Receive(env, m)
		}
	}
}

// S2: the round is on disk before its scout lives, above all that were seen, and above
// those of an earlier life.
func TestS2_ABallotIsUsedOnce(t *testing.T) {
	l, env := newTestLeader()
	l.Restore(&messages.Record{Kind: &messages.Record_Round{Round: 7}})
	env.log = nil
	scoutNow(t, l, env)
	if got := strings.Join(env.log, " "); !strings.Contains(got, "persist send spawn") {
		t.Errorf("did %q, want a message to itself behind the record, and spawn when that comes", got)
	}
	if l.ballot != (Ballot{8, 1}) || env.records[0].GetRound() != 8 || env.spawned["scout-8"] == nil {
		t.Errorf("runs with %s, wrote %v, spawned %v, want round 8", l.ballot, env.records, env.spawned)
	}
}

// S10: a leader does not run while a majority of acceptors hear the one in office.
func TestS10_SuspicionIsNotTruth(t *testing.T) {
	l, env := newTestLeader()
	heard := uint64(0)
	for range 100 {
		l.Receive(env, &messages.Tick{})
		for _, m := range take[*messages.Canvass](env) {
			heard++
			for _, from := range []string{"alpha", "beta", "gamma"} {
				l.Receive(env, &messages.Canvassed{From: string(AcceptorAddr(from, 1)), Ballot: ballot(3, 2), Number: m.Number, Heard: heard})
			}
		}
		if l.standing == scouting {
			t.Fatal("it runs though all acceptors hear the one in office")
		}
	}
	if heard == 0 {
		t.Error("it never asked: the test shows nothing")
	}
	if l.election.timeout.now != 200*time.Millisecond {
		t.Errorf("its time-out is %s, though it disturbed nobody (L2)", l.election.timeout.now)
	}
}

// inOfficeWith brings a leader into office, having adopted some pvalues.
func inOfficeWith(t *testing.T, forgotten uint64, accepted ...*messages.PValue) (*Leader, *notes) {
	t.Helper()
	l, env := newTestLeader()
	l.Receive(env, &messages.Propose{Slot: 2, Decree: []byte("mine")})
	scoutNow(t, l, env)
	l.Receive(env, &messages.Adopted{Ballot: l.ballot.Proto(), Accepted: accepted, Forgotten: forgotten})
	return l, env
}

// Fig. 7 l. 4–5 and S9: what was accepted goes before what was proposed, and holes are
// filled with no-ops; a commander for each.
func TestAdoptedFillsHoles(t *testing.T) {
	_, env := inOfficeWith(t, 1, pvalue(1, 2, 2, "theirs"), pvalue(1, 2, 4, "late"))
	for slot, want := range map[int]string{1: "", 2: "theirs", 3: "", 4: "late"} {
		c, ok := env.spawned[fmt.Sprintf("commander-4-%d", slot)].(*Commander)
		if !ok || string(c.PValue.Decree) != want || BallotOf(c.PValue.Ballot) != (Ballot{4, 1}) {
			t.Errorf("slot %d: commander %v, want decree %q under 4.1", slot, c, want)
		}
	}
}

// S5: no leader proposes where acceptors forgot, not even after its adoption.
func TestS5_NothingIsProposedBelowTheForgotten(t *testing.T) {
	l, env := inOfficeWith(t, 3)
	l.Receive(env, &messages.Propose{Slot: 2, Decree: []byte("again")})
	l.Receive(env, &messages.Propose{Slot: 3, Decree: []byte("fine")})
	if env.spawned["commander-4-2"] != nil || env.spawned["commander-4-3"] == nil {
		t.Errorf("commanders %v, want one for slot 3 only", env.spawned)
	}
}

// Fig. 7 l. 2: a slot keeps its first proposal (C1).
func TestC1_ASlotKeepsItsProposal(t *testing.T) {
	l, env := inOfficeWith(t, 1)
	l.Receive(env, &messages.Propose{Slot: 3, Decree: []byte("first")})
	l.Receive(env, &messages.Propose{Slot: 3, Decree: []byte("second")})
	if c := env.spawned["commander-4-3"].(*Commander); string(c.PValue.Decree) != "first" {
		t.Errorf("the commander has %q, want the first proposal", c.PValue.Decree)
	}
}

// S10: a leader that reaches no majority gives up; Fig. 7 l. 6: so does a preempted one.
func TestS10_GivesUpOffice(t *testing.T) {
	l, env := inOfficeWith(t, 1)
	for range 30 {
		l.Receive(env, &messages.Tick{})
	}
	if l.standing == inOffice {
		t.Error("it stays in office without a majority")
	}
	l, env = inOfficeWith(t, 1)
	l.Receive(env, &messages.Preempted{Ballot: ballot(9, 2)})
	if l.standing != passive || l.round != 9 {
		t.Errorf("after a preemption: %s, round %d", l.standing, l.round)
	}
}

// S10: a leader gives up its office when the disk beside it completes no write, although
// all acceptors confirm its ballot, and does not run before that disk completes one.
func TestS10_ADiskThatHangs(t *testing.T) {
	l, env := inOfficeWith(t, 1)
	l.DiskTimeout = 8 * l.Tick
	tick := func(writes string) {
		l.Receive(env, &messages.Tick{})
		l.Receive(env, &messages.Probed{From: string(AcceptorAddr(writes, 1))})
		for _, m := range take[*messages.Confirm](env) {
			for _, from := range []string{"alpha", "beta", "gamma"} {
				l.Receive(env, &messages.Confirmed{From: string(AcceptorAddr(from, 1)), Ballot: l.ballot.Proto(), Number: m.Number})
			}
		}
	}
	for range 40 {
		tick("alpha") // which is its own
	}
	if l.standing != inOffice {
		t.Fatalf("its disk writes, and it is %s", l.standing)
	}
	for range 9 {
		tick("beta")
	}
	if l.standing != passive {
		t.Fatalf("its disk hangs, and it is %s", l.standing)
	}
	for range 60 {
		l.Receive(env, &messages.Tick{})
		for _, m := range take[*messages.Canvass](env) {
			for _, from := range []string{"beta", "gamma"} {
				l.Receive(env, &messages.Canvassed{From: string(AcceptorAddr(from, 1)), Ballot: ballot(3, 2), Number: m.Number, Heard: 9})
			}
		}
		if l.standing == scouting {
			t.Fatal("it runs for office while its disk hangs")
		}
	}
	scoutNow(t, l, env)
}

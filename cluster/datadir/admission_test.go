package datadir

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// configuration has members with all roles, numbered from 1.
func configuration(n int) actors.Configuration {
	c := actors.Configuration{Epoch: 1, First: 1, Window: 8, LastID: uint32(n)}
	for i := range n {
		c.Members = append(c.Members, actors.Member{ID: uint32(i + 1), Name: fmt.Sprint("n", i+1), Replica: true, Leader: true, Acceptor: true})
	}
	return c
}

// blank is the identity of a member on a new disk.
func blank(member uint32, disk uint64) *messages.Identity {
	return &messages.Identity{Cluster: "test", Member: member, Name: fmt.Sprint("n", member), Disk: disk, Incarnation: NextIncarnation(uint32(disk))}
}

// old is that of a member that was admitted and starts for the n-th time.
func old(member uint32, starts uint64) *messages.Identity {
	id := blank(member, uint64(member))
	id.Admitted, id.Incarnation = true, starts<<counterShift|7
	return id
}

// meets has one node say hello to another, and hear the answer.
func meets(from, to *Admission) (refusal string) {
	answer, next, _ := to.OnHello(steward(to), from.Hello(steward(from)))
	if next != nil {
		to.Saved(next)
	}
	refusal, next = from.OnWelcome(answer)
	if next != nil {
		from.Saved(next)
	}
	return refusal
}

func steward(a *Admission) actors.Addr { return actors.StewardAddr(a.Identity().Name) }

// A new disk is admitted by all peers, or by a majority of the peers whose roles speak. The node
// itself does not count.
func TestS11_ANewDiskIsAdmittedByAllPeersOrByAMajorityThatSpeaks(t *testing.T) {
	for _, tt := range []struct {
		members, quiet, speaking int // the members, and those of the peers that answer
		want                     bool
	}{
		{1, 0, 0, true},
		{2, 0, 0, false},
		{2, 1, 0, true},
		{3, 1, 0, false}, // before: a majority, the node itself among it
		{3, 2, 0, true},
		{3, 0, 1, false},
		{3, 1, 1, true},
		{3, 0, 2, true},
		{4, 1, 1, false},
		{4, 0, 2, true},
		{5, 3, 0, false},
		{5, 1, 2, false}, // of the peers that answer a majority speaks, but not of all peers
		{5, 0, 3, true},
		{5, 4, 0, true},
	} {
		c := configuration(tt.members)
		a := NewAdmission(blank(1, 99), c)
		for i := range tt.quiet + tt.speaking {
			peer := NewAdmission(blank(uint32(i+2), 0), c)
			if i >= tt.quiet {
				peer = NewAdmission(old(uint32(i+2), 1), c)
				peer.speaks = true
			}
			if refusal := meets(a, peer); refusal != "" {
				t.Fatal(refusal)
			}
		}
		if got := a.MayAdmit(); got != tt.want {
			t.Errorf("%d members, %d peers answer and %d speak: admitted %t, want %t", tt.members, tt.quiet+tt.speaking, tt.speaking, got, tt.want)
		}
		if a.Speaks() {
			t.Error("a new disk speaks before it is admitted")
		}
	}
}

// A member that waits to be added is admitted by nobody.
func TestS11_AStrangerIsNotAdmitted(t *testing.T) {
	a := NewAdmission(blank(0, 99), actors.Configuration{})
	if a.MayAdmit() {
		t.Error("a node without a member is admitted")
	}
	a = NewAdmission(blank(4, 99), configuration(3))
	for i := range uint32(3) {
		meets(a, NewAdmission(old(i+1, 1), configuration(3)))
	}
	if a.MayAdmit() {
		t.Error("a member that the configuration does not have is admitted")
	}
}

// An admitted disk speaks again when a majority of the acceptors, with this one, knows the start.
func TestS11_AnOldDiskSpeaksWhenPeersConfirmTheStart(t *testing.T) {
	for _, tt := range []struct {
		acceptors int
		me        bool // an acceptor
		welcomes  int
		want      bool
	}{
		{1, true, 0, true},
		{1, false, 0, false}, {1, false, 1, true},
		{2, true, 0, false}, {2, true, 1, true},
		{3, true, 0, false}, {3, true, 1, true},
		{3, false, 1, false}, {3, false, 2, true},
		{5, true, 1, false}, {5, true, 2, true},
	} {
		c := configuration(7)
		for i := range c.Members {
			c.Members[i].Acceptor = i == 0 && tt.me || i > 0 && i <= tt.acceptors && !(tt.me && i == tt.acceptors)
		}
		a := NewAdmission(old(1, 3), c)
		for i := range tt.welcomes {
			meets(a, NewAdmission(blank(uint32(i+2), 0), c))
		}
		if got := a.Speaks(); got != tt.want {
			t.Errorf("%d acceptors, itself one: %t, %d welcomes: speaks %t, want %t", len(c.Acceptors()), tt.me, tt.welcomes, got, tt.want)
		}
	}
}

// S11: n1, n2 and n3 are acceptors, n4 is a learner. An older directory of n1 that meets the
// learner only must not vote: with n2, which met the later start, it would be a majority.
func TestS11_ALearnerDoesNotConfirmAStart(t *testing.T) {
	c := configuration(4)
	c.Members[3].Leader, c.Members[3].Acceptor = false, false
	a := NewAdmission(old(1, 2), c)
	meets(a, NewAdmission(old(4, 2), c))
	if a.Speaks() {
		t.Error("a learner's welcome lets the acceptor speak")
	}
	meets(a, NewAdmission(old(2, 2), c))
	if !a.Speaks() {
		t.Error("with another acceptor's welcome, two of three acceptors know the start, and it does not speak")
	}
	learner := NewAdmission(old(4, 2), c)
	meets(learner, NewAdmission(old(1, 2), c))
	if learner.Speaks() {
		t.Error("one acceptor of three confirms the start of a learner")
	}
}

// A peer refuses another disk, an older start, and another start with the same count; also when
// it only heard of the disk from a third node.
func TestS11_APeerRefusesWhatIsNotTheLatest(t *testing.T) {
	c := configuration(3)
	latest := old(1, 5)
	for _, tt := range []struct {
		name     string
		change   func(id *messages.Identity)
		want     string
		outdated bool
	}{
		{"the same start", func(*messages.Identity) {}, "", false},
		{"the next start", func(id *messages.Identity) { id.Incarnation = NextIncarnation(1, id.Incarnation) }, "", false},
		{"an older start", func(id *messages.Identity) { id.Incarnation = 4<<counterShift | 9 }, "an older copy", true},
		{"a start of a copy", func(id *messages.Identity) { id.Incarnation++ }, "a copy of the data directory of member 1", true},
		{"another disk", func(id *messages.Identity) { id.Disk++ }, "was seen with another data directory", false},
		{"another cluster", func(id *messages.Identity) { id.Cluster = "other" }, `this is cluster "test"`, false},
		{"the peer's own number", func(id *messages.Identity) { id.Member = 2 }, `member 2 is "n2" itself`, false},
		{"an earlier version", func(id *messages.Identity) { id.Incarnation = 0 }, "", false},
	} {
		for _, heard := range []bool{false, true} {
			met, third := NewAdmission(old(2, 1), c), NewAdmission(old(3, 1), c)
			meets(NewAdmission(latest, c), met)
			asked := met
			if heard && !strings.Contains(tt.name, "own number") {
				meets(third, met) // which tells it of the disk
				asked = third
			}
			id := old(1, 5)
			tt.change(id)
			comes := NewAdmission(id, c)
			refusal := meets(comes, asked)
			if (refusal == "") != (tt.want == "") || !strings.Contains(refusal, tt.want) {
				t.Errorf("%s, heard of: %t: refusal %q, want %q", tt.name, heard, refusal, tt.want)
			}
			if spent := comes.Identity().Spent != ""; spent != tt.outdated {
				t.Errorf("%s: spent %t, want %t", tt.name, spent, tt.outdated)
			}
		}
	}
}

// A copy of a directory that is greeted first, or of which a third node speaks, makes no peer forget
// which start it met.
func TestS11_ACopyDoesNotTakeThePlaceOfWhatWasMet(t *testing.T) {
	c := configuration(3)
	met, third := NewAdmission(old(2, 1), c), NewAdmission(old(3, 1), c)
	meets(NewAdmission(old(1, 5), c), met)
	id := old(1, 5)
	id.Incarnation++
	copied := NewAdmission(id, c)
	if refusal := meets(copied, third); refusal != "" {
		t.Fatalf("a peer that did not meet the start says %q", refusal)
	}
	meets(met, copied)
	meets(met, third)
	if refusal := meets(copied, met); refusal == "" {
		t.Error("it is welcome where another start with its number was met")
	}
}

// An answer to an earlier start, which may still be on its way, says nothing of this one.
func TestS11_AnAnswerToAnEarlierStartIsIgnored(t *testing.T) {
	c := configuration(3)
	peer, a := NewAdmission(old(2, 1), c), NewAdmission(old(1, 4), c)
	late, _, _ := peer.OnHello(steward(peer), a.Hello(steward(a)))
	refused, _, _ := peer.OnHello(steward(peer), &messages.Hello{Cluster: "other", Disk: 1, Incarnation: 4<<counterShift | 7})
	a = NewAdmission(old(1, 5), c)
	for _, m := range []*messages.Welcome{late, refused} {
		if refusal, next := a.OnWelcome(m); refusal != "" || next != nil || a.Speaks() {
			t.Errorf("it is taken: refusal %q", refusal)
		}
	}
}

// The memory that peers can take is bounded, and disks of removed members are dropped.
func TestSeenDisksAreBounded(t *testing.T) {
	c := configuration(3)
	a := NewAdmission(old(1, 1), c)
	for i := range maxSeen + 10 {
		_, next, _ := a.OnHello(steward(a), &messages.Hello{Cluster: "test", Member: uint32(i + 2), Disk: 5})
		if next != nil {
			a.Saved(next)
		}
	}
	if n := len(a.Identity().Seen); n != maxSeen {
		t.Errorf("%d disks are remembered, want %d", n, maxSeen)
	}
	welcome := &messages.Welcome{From: "n2/steward", Disk: 1, Incarnation: a.Identity().Incarnation, Seen: []*messages.SeenDisk{{Member: 5000, Disk: 1}, {Member: 1, Disk: 3}}}
	if _, next := a.OnWelcome(welcome); next != nil {
		t.Error("it remembers a disk of no member, or of itself")
	}
	c.LastID = 20
	Forget(a.Identity(), []actors.Configuration{c})
	for member := range a.Identity().Seen {
		if member > 3 && member <= 20 {
			t.Errorf("the disk of member %d, which was removed, is remembered", member)
		}
	}
	if len(a.Identity().Seen) != maxSeen-17 {
		t.Errorf("%d disks are left", len(a.Identity().Seen))
	}
}

// Incarnations grow with the starts, also across the change from those of earlier versions; two
// starts that count alike differ.
func TestS13_IncarnationsGrow(t *testing.T) {
	last := uint64(1234) // of an earlier version
	for n := uint64(1); n < 5; n++ {
		next, other := NextIncarnation(7, 3, last, 0), NextIncarnation(8, last)
		if next <= last || next == other || Counter(next) != n || Counter(other) != n {
			t.Errorf("%x and %x follow %x", next, other, last)
		}
		last = next
	}
}

// world is a cluster whose nodes start, meet, and lose their disks, at random.
type world struct {
	rand     *rand.Rand
	c        actors.Configuration
	disks    uint64
	saved    map[uint32]*messages.Identity // by member: what is on its disk; none after a wipe
	running  map[uint32]*Admission
	admitted map[uint32]map[uint64]bool // the disks of a member that spoke
}

func (w *world) step() {
	member := uint32(w.rand.Intn(len(w.c.Members)) + 1)
	a := w.running[member]
	switch w.rand.Intn(12) {
	case 0:
		delete(w.running, member)
	case 1:
		if w.rand.Intn(4) == 0 { // the disk is lost
			delete(w.running, member)
			delete(w.saved, member)
		}
	case 2, 3:
		if a == nil {
			w.start(member)
		}
	default:
		to := w.running[uint32(w.rand.Intn(len(w.c.Members))+1)]
		if a == nil || to == nil || a == to {
			return
		}
		w.meet(a, to)
	}
}

func (w *world) start(member uint32) {
	id := w.saved[member]
	if id == nil {
		w.disks++
		id = blank(member, w.disks)
	}
	id.Incarnation = NextIncarnation(w.rand.Uint32(), id.Incarnation)
	w.saved[member] = id
	w.running[member] = NewAdmission(id, w.c)
}

func (w *world) meet(a, to *Admission) {
	refusal := meets(a, to)
	id, peer := a.Identity(), to.Identity()
	w.saved[id.Member], w.saved[peer.Member] = id, peer
	if refusal != "" {
		delete(w.running, id.Member)
		return
	}
	if !id.Admitted && a.MayAdmit() {
		id.Admitted = true
	}
	if a.Speaks() {
		if w.admitted[id.Member] == nil {
			w.admitted[id.Member] = make(map[uint64]bool)
		}
		w.admitted[id.Member][id.Disk] = true
	}
}

// Nodes lose their disks, start and meet in any order. As long as one admitted disk is left, no member
// ever speaks on two.
func TestS11_NoMemberSpeaksOnTwoDisks(t *testing.T) {
	speaking := 0
	for seed := range 3000 {
		w := &world{
			rand: rand.New(rand.NewSource(int64(seed))), c: configuration(2 + seed%4),
			saved: make(map[uint32]*messages.Identity), running: make(map[uint32]*Admission), admitted: make(map[uint32]map[uint64]bool),
		}
		for range 400 {
			w.step()
			if !slices.ContainsFunc(w.c.Members, func(m actors.Member) bool { return w.saved[m.ID].GetAdmitted() }) {
				clear(w.admitted) // nobody is left who knows: that is a new cluster, and nothing can tell
			}
		}
		for member, disks := range w.admitted {
			speaking++
			if len(disks) > 1 {
				t.Fatalf("seed %d: member %d of %d spoke on the disks %v", seed, member, len(w.c.Members), disks)
			}
		}
	}
	if speaking < 1000 {
		t.Errorf("only %d members spoke in all runs", speaking)
	}
}

// Package datadir decides who may use a data directory: whether a node's roles may speak on it
// (S11), and how its starts are numbered (S13). It is pure: it has no disk, no clock and no actor.
package datadir

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// Admission is how a node and its peers get to know each other at each start (S11).
//
// A new disk is admitted by all peers, or by a majority of the peers, the node itself not
// counted, whose own roles speak. Either way two admitting sets have a peer in common that
// knows the first disk when it is asked about the second one:
//
//   - All peers: an empty cluster comes into being only when every member of its first
//     configuration has started. Where one peer knows an older disk of this member, or cannot be
//     asked, the node waits.
//   - A majority of speaking peers: a member that was added to a running cluster, or starts
//     late. A blank peer does not speak, so it admits nobody.
//
// A disk that was admitted speaks again, after a restart, when a majority of the acceptors, this
// node's counted, knows this very start. It can decide nothing before, so no time is lost; and an
// acceptor among them that met a later start tells that the directory is old.
//
// Invariant: seen[m] of an identity never changes while m is a member, and incarnations[m]
// never falls.
type Admission struct {
	id       *messages.Identity // replaced, never changed
	latest   actors.Configuration
	welcomed map[string]bool // the peers that welcomed this start: whether their roles speak
	speaks   bool
}

// NewAdmission is that of a start. Latest is the latest configuration; the zero one while the
// node waits to be added.
func NewAdmission(id *messages.Identity, latest actors.Configuration) *Admission {
	return &Admission{id: id, latest: latest, welcomed: make(map[string]bool)}
}

// Identity is the identity as it is on disk, as far as the caller said. It must not be changed.
func (a *Admission) Identity() *messages.Identity { return a.id }

// Saved takes an identity that is on disk.
func (a *Admission) Saved(id *messages.Identity) { a.id = id }

// Configure takes the latest configuration.
func (a *Admission) Configure(latest actors.Configuration) { a.latest = latest }

// Hello is what the node says of itself to its peers.
func (a *Admission) Hello(from actors.Addr) *messages.Hello {
	return &messages.Hello{
		From: string(from), Cluster: a.id.Cluster, Member: a.id.Member, Disk: a.id.Disk, Incarnation: a.id.Incarnation,
	}
}

// peers are the names of the other members of the latest configuration.
func (a *Admission) peers() (names []string) {
	for _, m := range a.latest.Members {
		if m.Name != a.id.Name {
			names = append(names, m.Name)
		}
	}
	return names
}

// Unwelcomed lists the peers that a Hello has to go to: those that did not welcome this start,
// and, while the node is not admitted, those whose roles did not speak yet.
func (a *Admission) Unwelcomed() []string {
	return slices.DeleteFunc(a.peers(), func(peer string) bool {
		speaks, welcomed := a.welcomed[peer]
		return welcomed && (speaks || a.id.Admitted)
	})
}

// Missing lists the peers that did not answer this start.
func (a *Admission) Missing() []string {
	return slices.DeleteFunc(a.peers(), func(peer string) bool {
		_, welcomed := a.welcomed[peer]
		return welcomed
	})
}

// maxSeen bounds the disks that a node remembers, far above the members that a cluster has.
const maxSeen = 1000

// OnHello decides on a node that says hello. Next, if not nil, is to be saved before the answer
// is sent, and then to be given to Saved; isNew says that it holds a disk that was not known.
func (a *Admission) OnHello(from actors.Addr, m *messages.Hello) (answer *messages.Welcome, next *messages.Identity, isNew bool) {
	answer = &messages.Welcome{From: string(from), Disk: m.Disk, Incarnation: m.Incarnation}
	if answer.Refusal = a.stranger(m); answer.Refusal != "" {
		return answer, nil, false
	}
	if answer.Refusal = a.outdated(m); answer.Refusal != "" {
		answer.Outdated = true
		return answer, nil, false
	}
	answer.Speaks = a.Speaks()
	answer.Seen = append(answer.Seen, &messages.SeenDisk{Member: a.id.Member, Disk: a.id.Disk}) // of its start, its Hello tells
	for _, id := range slices.Sorted(maps.Keys(a.id.Seen)) {
		answer.Seen = append(answer.Seen, &messages.SeenDisk{Member: id, Disk: a.id.Seen[id], Incarnation: a.id.Incarnations[id]})
	}
	_, met := a.id.Seen[m.Member]
	next = a.meet([]*messages.SeenDisk{{Member: m.Member, Disk: m.Disk, Incarnation: m.Incarnation}})
	return answer, next, !met
}

// stranger says why a disk is not that of a member; "" if it may be.
func (a *Admission) stranger(m *messages.Hello) string {
	disk, met := a.id.Seen[m.Member]
	switch {
	case m.Cluster != a.id.Cluster:
		return fmt.Sprintf("this is cluster %q, not %q", a.id.Cluster, m.Cluster)
	case m.Member == 0:
		return "it names no member"
	case m.Member == a.id.Member:
		return fmt.Sprintf("member %d is %q itself", m.Member, a.id.Name)
	case met && disk != m.Disk:
		return fmt.Sprintf("member %d was seen with another data directory", m.Member)
	case !met && len(a.id.Seen) >= maxSeen:
		return fmt.Sprintf("%q remembers the data directories of %d members already", a.id.Name, maxSeen)
	}
	return ""
}

// outdated says why a start is one on an older copy of a known disk; "" if it is not.
func (a *Admission) outdated(m *messages.Hello) string {
	last := a.id.Incarnations[m.Member]
	switch {
	case m.Incarnation == 0 || last == 0 || m.Incarnation == last:
		return "" // an earlier version does not say
	case Counter(m.Incarnation) < Counter(last):
		return fmt.Sprintf("an older copy of the data directory of member %d was put back: this is start %d of it, and start %d was seen",
			m.Member, Counter(m.Incarnation), Counter(last))
	case Counter(m.Incarnation) == Counter(last):
		return fmt.Sprintf("a copy of the data directory of member %d is in use, or was: another start %d of it was seen",
			m.Member, Counter(last))
	}
	return ""
}

// meet is the identity with what is said of disks; nil if that is nothing new. A disk that is
// known already stays, and so does the first of two starts that count alike.
func (a *Admission) meet(seen []*messages.SeenDisk) *messages.Identity {
	next := proto.Clone(a.id).(*messages.Identity)
	if next.Seen == nil {
		next.Seen = make(map[uint32]uint64)
	}
	if next.Incarnations == nil {
		next.Incarnations = make(map[uint32]uint64)
	}
	changed := false
	for _, s := range seen {
		disk, met := next.Seen[s.Member]
		if met && disk != s.Disk {
			continue
		}
		if !met {
			next.Seen[s.Member], changed = s.Disk, true
		}
		if last := next.Incarnations[s.Member]; s.Incarnation != 0 && (last == 0 || Counter(s.Incarnation) > Counter(last)) {
			next.Incarnations[s.Member], changed = s.Incarnation, true
		}
	}
	if !changed {
		return nil
	}
	return next
}

// OnWelcome takes a peer's answer. A refusal is final: the node must end. Next, if not nil, is to
// be saved before anything else, and then to be given to Saved. Its Spent says of an outdated
// directory that no later start may use it: that would count on from here, and so past the start
// that gave the directory away.
func (a *Admission) OnWelcome(m *messages.Welcome) (refusal string, next *messages.Identity) {
	peer := actors.Addr(m.From).Member()
	if m.Disk != a.id.Disk || m.Incarnation != 0 && m.Incarnation != a.id.Incarnation {
		return "", nil // to an earlier start
	}
	if m.Outdated {
		next = proto.Clone(a.id).(*messages.Identity)
		next.Spent = fmt.Sprintf("%s said: %s", peer, m.Refusal)
		return m.Refusal, next
	}
	if m.Refusal != "" {
		return m.Refusal, nil
	}
	if _, isPeer := a.latest.Named(peer); !isPeer || peer == a.id.Name {
		return "", nil
	}
	a.welcomed[peer] = a.welcomed[peer] || m.Speaks
	var of []*messages.SeenDisk // disks of the other members
	for _, s := range m.Seen {
		if _, member := a.latest.Member(s.Member); member && s.Member != a.id.Member {
			of = append(of, s)
		}
	}
	return "", a.meet(of)
}

// MayAdmit reports whether a new disk is known to enough peers to be admitted for good.
func (a *Admission) MayAdmit() bool {
	if me, member := a.latest.Named(a.id.Name); !member || me.ID != a.id.Member {
		return false // it waits to be added
	}
	peers := a.peers()
	welcomes, speaking := 0, 0
	for _, peer := range peers {
		speaks, welcomed := a.welcomed[peer]
		if welcomed {
			welcomes++
		}
		if speaks {
			speaking++
		}
	}
	return welcomes == len(peers) || 2*speaking > len(peers)
}

// Speaks reports whether the acceptor and the leader of this start may speak: a majority of the
// acceptors, this node's counted, know the start. A learner's welcome does not count: a vote rests
// on acceptors, and an older directory must meet one of them before it votes with the others.
// Once they may speak, they always may.
func (a *Admission) Speaks() bool {
	if a.speaks || !a.id.Admitted {
		return a.speaks
	}
	needed, welcomes := len(a.latest.Acceptors())/2+1, 0
	for _, m := range a.latest.Members {
		if _, welcomed := a.welcomed[m.Name]; m.Acceptor && (welcomed || m.Name == a.id.Name) {
			welcomes++
		}
	}
	a.speaks = welcomes >= needed
	return a.speaks
}

// Forget drops from an identity the disks of members that no configuration has any more, and
// none will have again: the numbers of members are given once (S13).
func Forget(id *messages.Identity, known []actors.Configuration) {
	gone := func(member uint32) bool {
		return !slices.ContainsFunc(known, func(c actors.Configuration) bool {
			_, is := c.Member(member)
			return is || member > c.LastID
		})
	}
	maps.DeleteFunc(id.Seen, func(member uint32, _ uint64) bool { return gone(member) })
	maps.DeleteFunc(id.Incarnations, func(member uint32, _ uint64) bool { return gone(member) })
}

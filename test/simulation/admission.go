package simulation

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// admission is how a node and its peers get to know each other's data directories (S11), as
// package cluster has it.
type admission struct {
	id       *messages.Identity // replaced, never changed
	latest   actors.Configuration
	welcomed map[string]bool
}

func newAdmission(id *messages.Identity, latest actors.Configuration) *admission {
	return &admission{id: id, latest: latest, welcomed: make(map[string]bool)}
}

// nextIncarnation numbers a start after the last one on this directory, of which the state
// executed commands.
func (n *Node) nextIncarnation(last, _ uint64) uint64 { return last + 1 }

func (a *admission) Saved(id *messages.Identity)           { a.id = id }
func (a *admission) Configure(latest actors.Configuration) { a.latest = latest }

func (a *admission) Hello(from actors.Addr) *messages.Hello {
	return &messages.Hello{From: string(from), Cluster: a.id.Cluster, Member: a.id.Member, Disk: a.id.Disk}
}

// Unwelcomed lists the peers to whom a Hello has to go.
func (a *admission) Unwelcomed() (names []string) {
	for _, m := range a.latest.Members {
		if m.Name != a.id.Name && !a.welcomed[m.Name] {
			names = append(names, m.Name)
		}
	}
	return names
}

// OnHello decides on a node that says hello; next, if not nil, is to be saved first.
func (a *admission) OnHello(from actors.Addr, m *messages.Hello) (answer *messages.Welcome, next *messages.Identity, isNew bool) {
	answer = &messages.Welcome{From: string(from), Disk: m.Disk}
	switch known, met := a.id.Seen[m.Member]; {
	case met && known != m.Disk:
		answer.Refusal = fmt.Sprintf("member %d was seen with another data directory", m.Member)
	case !met:
		next = proto.Clone(a.id).(*messages.Identity)
		if next.Seen == nil {
			next.Seen = make(map[uint32]uint64)
		}
		next.Seen[m.Member] = m.Disk
	}
	return answer, next, next != nil
}

// OnWelcome takes a peer's answer; a refusal is final.
func (a *admission) OnWelcome(m *messages.Welcome) (refusal string, next *messages.Identity) {
	if m.Disk != a.id.Disk {
		return "", nil
	}
	a.welcomed[actors.Addr(m.From).Member()] = m.Refusal == ""
	return m.Refusal, nil
}

// MayAdmit reports whether enough know the directory.
func (a *admission) MayAdmit() bool {
	if me, member := a.latest.Named(a.id.Name); !member || me.ID != a.id.Member {
		return false
	}
	return 2*(len(a.latest.Members)-len(a.Unwelcomed())) > len(a.latest.Members)
}

// Speaks reports whether the acceptors and leaders of this start may speak.
func (a *admission) Speaks() bool { return a.id.Admitted }

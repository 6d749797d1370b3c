package tidy

import (
	"encoding/binary"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// listener is an Env that keeps what a role wants to hear later, and its children.
type listener struct {
	sink
	later []proto.Message
	born  []actors.Role
}

func (l *listener) After(_ time.Duration, m proto.Message) { l.later = append(l.later, m) }

func (l *listener) Spawn(_ string, build func() actors.Role) { l.born = append(l.born, build()) }

// said is a message of a script: its kind, its length in two bytes, and itself.
func said(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	for i, kind := range spoken() {
		if kind.Descriptor() == m.ProtoReflect().Descriptor() {
			return append(binary.BigEndian.AppendUint16([]byte{byte(i)}, uint16(len(b))), b...)
		}
	}
	panic("no such kind")
}

// itsTime, in the place of a kind, has what was to be heard later be heard.
const itsTime = 0xff

// FuzzConversation tells a role one thing after the other, with time going by in between:
// no panic is reachable from what peers say, in whatever order.
func FuzzConversation(f *testing.F) {
	ballot := &messages.Ballot{Round: 2, Leader: 2}
	value := &messages.PValue{Ballot: ballot, Slot: 1, Decree: []byte("?")}
	acceptors := []string{"alpha/epoch-1/acceptor", "beta/epoch-1/acceptor", "gamma/epoch-1/acceptor"}
	var votes, promises []byte
	for _, a := range acceptors {
		votes = append(votes, said(&messages.P2B{From: a, Ballot: &messages.Ballot{Round: 1, Leader: 1}, Slot: 1})...)
		promises = append(promises, said(&messages.P1B{From: a, Ballot: &messages.Ballot{Round: 1, Leader: 1}, Accepted: []*messages.PValue{value}})...)
	}
	f.Add(uint8(0), append(said(&messages.Decision{From: "beta/x", Pvalue: value}), append([]byte{itsTime}, said(&messages.CaughtUp{From: acceptors[1], Slot: 2})...)...))
	f.Add(uint8(1), append(said(&messages.Propose{From: "beta/replica", Slot: 1, Decree: []byte("?")}), itsTime, itsTime))
	f.Add(uint8(2), promises)
	f.Add(uint8(3), append(votes, itsTime))
	f.Add(uint8(4), append(said(&messages.P1A{From: "beta/x", Ballot: ballot}), said(&messages.P2A{From: "beta/x", Pvalue: value})...))
	kinds := spoken()
	f.Fuzz(func(_ *testing.T, which uint8, script []byte) {
		all := roles()
		cast, env := []actors.Role{all[int(which)%len(all)]}, &listener{}
		tell := func(m proto.Message) {
			for _, r := range cast {
				r.Receive(env, proto.Clone(m))
			}
			for _, child := range env.born {
				if len(cast) < 8 {
					child.Start(env)
					cast = append(cast, child)
				}
			}
			env.born = nil
		}
		for steps := 0; len(script) > 0 && steps < 64; steps++ {
			kind := script[0]
			script = script[1:]
			if kind == itsTime {
				later := env.later
				env.later = nil
				for _, m := range later {
					tell(m)
				}
				continue
			}
			if len(script) < 2 {
				return
			}
			n := min(int(binary.BigEndian.Uint16(script)), len(script)-2)
			m := kinds[int(kind)%len(kinds)].New().Interface()
			if proto.Unmarshal(script[2:2+n], m) == nil {
				tell(m)
			}
			script = script[2+n:]
		}
	})
}

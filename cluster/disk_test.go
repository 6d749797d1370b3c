package cluster

import (
	"testing"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/transport"
)

// A node whose disk is short has writes refused where it knows that too few others have
// room, and not because it hears nobody.
func TestWhoHearsNobodyLacksNoRoom(t *testing.T) {
	for name, tt := range map[string]struct {
		connected, short []string
		lacks            bool
	}{
		"alone":                        {nil, nil, false},
		"both have room":               {[]string{"beta", "gamma"}, nil, false},
		"one is short, too":            {[]string{"beta", "gamma"}, []string{"beta"}, true},
		"both are short":               {[]string{"beta", "gamma"}, []string{"beta", "gamma"}, true},
		"only one that has room is up": {[]string{"beta"}, nil, true},
		"short is who cannot be heard": {nil, []string{"beta", "gamma"}, false},
	} {
		s := Status{Member: "alpha"}
		for id, member := range []string{"alpha", "beta", "gamma"} {
			s.Configuration.Members = append(s.Configuration.Members, actors.Member{ID: uint32(id + 1), Name: member, Acceptor: true})
		}
		s.Transport.Peers, s.Replica.Short = make(map[string]transport.PeerStats), make(map[actors.Addr]bool)
		for _, member := range tt.connected {
			s.Transport.Peers[member] = transport.PeerStats{Connected: true}
		}
		for _, member := range tt.short {
			s.Replica.Short[actors.ReplicaAddr(member)] = true
		}
		if got := s.lacksRoom(); got != tt.lacks {
			t.Errorf("%s: lacks room: %t", name, got)
		}
	}
}

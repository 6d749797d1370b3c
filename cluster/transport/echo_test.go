package transport

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/remote"
)

// The time of a round trip is taken as soon as nodes are connected, and again.
func TestRoundTripsAreTimed(t *testing.T) {
	alpha, beta := pair(t)
	for n, peer := range map[*node]string{alpha: "beta", beta: "alpha"} {
		eventually(t, "two round trips to "+peer, func() bool { return n.Stats().Peers[peer].RoundTrips.Count() >= 2 })
		if p := n.Stats().Peers[peer]; p.RoundTrip <= 0 || p.RoundTrip > deadline {
			t.Errorf("to %s: %s", peer, p.RoundTrip)
		}
	}
	if refused := alpha.Stats().Refused; len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
}

// A peer that has not said that it echoes is not called: it would take that amiss.
func TestAPeerThatDoesNotEchoIsNotCalled(t *testing.T) {
	l := &link{}
	e := &echo{link: l, stream: mute{t: t}}
	if err := e.callIfDue(); err != nil || l.called.Load() != nil {
		t.Errorf("it was called: %v", err)
	}
	e.heard, e.last = true, time.Now()
	if err := e.callIfDue(); err != nil || l.called.Load() != nil {
		t.Errorf("it was called at once again: %v", err)
	}
}

// mute is a stream on which nothing may be said.
type mute struct {
	remote.Remoting_ReceiveClient
	t *testing.T
}

func (m mute) Send(*remote.RemoteMessage) error {
	m.t.Error("something was said")
	return nil
}

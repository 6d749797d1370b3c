package transport

import (
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc/metadata"
)

// This file takes the time of a round trip to a peer: on a stream that is open, a node
// introduces itself once more, and is welcomed once more, by a peer that has said that
// it does that. The way goes through all that messages go through but the actors.

const (
	// echoEvery is the time between two round trips of which the time is taken.
	echoEvery = time.Second
	// echoKey is the header of a peer that welcomes again.
	echoKey = "pmmc-echo"
)

var (
	echoes = metadata.Pairs(echoKey, "yes")
	again  = &remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{ConnectRequest: &remote.ConnectRequest{}}}
)

// echo takes the time on one stream. It belongs to the goroutine that writes there.
type echo struct {
	link   *link
	stream remote.Remoting_ReceiveClient
	again  *time.Ticker
	last   time.Time // when it called
	heard  bool      // by a peer that echoes
}

func (l *link) newEcho(stream remote.Remoting_ReceiveClient) (*echo, error) {
	header, err := stream.Header() // which came with the welcome
	if err != nil {
		return nil, err
	}
	l.called.Store(nil) // on an earlier stream
	return &echo{link: l, stream: stream, again: time.NewTicker(echoEvery), heard: len(header.Get(echoKey)) > 0}, nil
}

// callIfDue sends what the peer will echo, unless an echo is still awaited.
func (e *echo) callIfDue() error {
	now := time.Now()
	if !e.heard || now.Sub(e.last) < echoEvery || !e.link.called.CompareAndSwap(nil, &now) {
		return nil
	}
	e.last = now
	return e.stream.Send(again)
}

// hearOut takes echoes until the end of a stream.
func (l *link) hearOut(stream remote.Remoting_ReceiveClient) error {
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
		if called := l.called.Swap(nil); called != nil {
			took := time.Since(*called)
			l.roundTrips.Took(took)
			l.roundTrip.Store(int64(took))
		}
	}
}

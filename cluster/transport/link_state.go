package transport

import (
	"errors"
	"io"
	"time"

	"google.golang.org/protobuf/proto"
)

// arrive is called when the peer has welcomed this node.
func (l *link) arrive() {
	l.patience.Stop()
	l.mu.Lock()
	l.connected, l.away, l.said, l.since = true, false, "", time.Now()
	l.mu.Unlock()
	l.connections.Add(1)
	l.t.logger.Info("connected", "peer", l.member, "address", l.address)
}

// lose is called when a stream is over.
func (l *link) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.connected, l.since = false, time.Now()
	l.patience.Reset(l.t.options.Limits.Patience)
}

// say logs why there is no connection, unless it has already said so.
func (l *link) say(err error) {
	if err == nil || errors.Is(err, io.EOF) {
		err = errors.New("the peer ended it")
	}
	text := err.Error()
	l.mu.Lock()
	news := l.said != text
	l.said = text
	l.mu.Unlock()
	if news {
		l.t.logger.Warn("not connected", "peer", l.member, "address", l.address, "error", text)
	}
}

// idle tells whether nothing waits to be sent.
func (l *link) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) == 0
}

func (l *link) stats() PeerStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return PeerStats{
		Address: l.address, Connected: l.connected, Since: l.since, Heard: int(l.heard.Load()), Connections: l.connections.Load(),
		MessagesIn: l.messagesIn.Load(), MessagesOut: l.messages.Load(),
		BytesIn: l.bytesIn.Load(), BytesOut: l.bytesOut.Load(),
		Outstanding: l.waiting, Dropped: l.dropped.Load(),
		RoundTrip: time.Duration(l.roundTrip.Load()), RoundTrips: l.roundTrips.Show(),
	}
}

// token puts a token into a channel that holds at most one.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// typeName names the type of a message for a log line.
func typeName(m any) string {
	if pm, ok := m.(proto.Message); ok {
		return string(proto.MessageName(pm))
	}
	return "not protobuf"
}

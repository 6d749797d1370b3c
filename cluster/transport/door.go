package transport

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// door lets connections in. It stands in front of gRPC, as its credentials, because
// that is where each connection passes before any byte of it is read.
type door struct {
	credentials.TransportCredentials
	limits   Limits
	refusals *refusals

	mu        sync.Mutex
	strangers []*arrival            // the oldest first
	guests    map[string][]*arrival // those who introduced themselves, by member, the oldest first
	closed    bool
}

// arrival is a connection that somebody made to this node.
type arrival struct {
	net.Conn
	door  *door
	came  time.Time
	timer *time.Timer
	once  sync.Once

	// Guarded by door.mu.
	member  string // whose it is; empty as long as it is a stranger's
	shaking bool   // in its handshake, the end of which tells why it ended
	judged  bool   // its end needs no reason, or has got one
}

// pass is what gRPC carries from the door to the streams of a connection.
type pass struct {
	credentials.AuthInfo
	arrival *arrival
}

func newDoor(inner credentials.TransportCredentials, limits Limits, refusals *refusals) *door {
	return &door{
		TransportCredentials: inner, limits: limits, refusals: refusals,
		guests: make(map[string][]*arrival),
	}
}

// ServerHandshake is called by gRPC for each connection, in its own goroutine.
func (d *door) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	a := &arrival{Conn: raw, door: d, came: time.Now(), shaking: true}
	a.timer = time.AfterFunc(d.limits.Introduction, func() { a.refuse(RefusedSilence) })
	d.mu.Lock()
	d.strangers = append(d.strangers, a)
	var oldest *arrival
	if len(d.strangers) > d.limits.Strangers {
		oldest = d.strangers[0]
	}
	closed := d.closed
	a.judged = closed
	d.mu.Unlock()
	if closed {
		return nil, nil, errors.Join(ErrStopped, a.Close())
	}
	if oldest != nil {
		oldest.refuse(RefusedCrowd)
	}
	conn, info, err := d.TransportCredentials.ServerHandshake(a)
	if err != nil {
		a.refuse(RefusedHandshake, "error", err)
		return nil, nil, err
	}
	d.mu.Lock()
	a.shaking = false
	d.mu.Unlock()
	return conn, pass{info, a}, nil
}

// Clone is part of credentials.TransportCredentials.
func (d *door) Clone() credentials.TransportCredentials { return d }

// refuse closes a connection that has not been introduced.
func (a *arrival) refuse(why Reason, details ...any) {
	d := a.door
	d.mu.Lock()
	refused := !a.judged && a.member == ""
	a.judged = a.judged || refused
	d.mu.Unlock()
	if !refused {
		return
	}
	d.refusals.add(why, append([]any{"remote", a.RemoteAddr()}, details...)...)
	_ = a.Close() // nobody waits for what is lost
}

// introduce turns a stranger into a guest.
func (a *arrival) introduce(member string) {
	d := a.door
	var oldest *arrival
	d.mu.Lock()
	if i := slices.Index(d.strangers, a); i >= 0 {
		a.timer.Stop()
		a.member = member
		d.strangers = slices.Delete(d.strangers, i, i+1)
		d.guests[member] = append(d.guests[member], a)
		if guests := d.guests[member]; len(guests) > d.limits.Connections {
			oldest = guests[0]
		}
	}
	d.mu.Unlock()
	if oldest != nil {
		_ = oldest.Close() // it is of a connection that its member has given up
	}
}

// Close ends the connection.
func (a *arrival) Close() error {
	a.once.Do(func() {
		a.timer.Stop()
		d := a.door
		d.mu.Lock()
		noise := a.member == "" && !a.judged && !a.shaking
		a.judged = a.judged || noise
		d.strangers = slices.DeleteFunc(d.strangers, func(other *arrival) bool { return other == a })
		d.guests[a.member] = slices.DeleteFunc(d.guests[a.member], func(other *arrival) bool { return other == a })
		if len(d.guests[a.member]) == 0 {
			delete(d.guests, a.member)
		}
		d.mu.Unlock()
		if noise {
			why := RefusedNoise
			if time.Since(a.came) >= d.limits.Introduction {
				why = RefusedSilence // on a node that stood still, gRPC may lose its patience before the timer is heard
			}
			d.refusals.add(why, "remote", a.RemoteAddr())
		}
	})
	return a.Conn.Close()
}

// close closes all connections, and those that come later. Otherwise gRPC would wait
// for handshakes that are under way.
func (d *door) close() {
	d.mu.Lock()
	d.closed = true
	all := slices.Clone(d.strangers)
	for _, guests := range d.guests {
		all = append(all, guests...)
	}
	for _, a := range all {
		a.judged = true
	}
	d.mu.Unlock()
	for _, a := range all {
		_ = a.Close() // whoever is behind it sees the end of it
	}
}

// open counts the connections that are open.
func (d *door) open() (strangers, guests int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, all := range d.guests {
		guests += len(all)
	}
	return len(d.strangers), guests
}

// passOf finds the connection of a stream, and its TLS state, if it has one.
func passOf(ctx context.Context) (*arrival, *credentials.TLSInfo) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, nil
	}
	through, ok := p.AuthInfo.(pass)
	if !ok {
		return nil, nil
	}
	if info, ok := through.AuthInfo.(credentials.TLSInfo); ok {
		return through.arrival, &info
	}
	return through.arrival, nil
}

package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/measure"
)

// How a link dials. A peer that comes back is dialled within reconnectMax and its
// jitter, or at once when it dials first.
const (
	reconnectBase   = 20 * time.Millisecond
	reconnectMax    = 80 * time.Millisecond
	reconnectJitter = 0.2
	reconnectGrowth = 1.6
	connectAttempt  = time.Second            // that a machine which does not answer at all is waited for
	leastKeepAlive  = 10 * time.Second       // gRPC's clients insist on it
	refusedMax      = 500 * time.Millisecond // between two tries at a peer that answers, but refuses this node
)

// link is the way to one peer: a queue, and a goroutine that keeps one stream open
// and sends what is in the queue. What comes from the peer comes on a stream that
// the peer opened, and is only counted here.
type link struct {
	t       *Transport
	member  string
	address string
	conn    *grpc.ClientConn
	ctx     context.Context // done when the link must end
	cancel  context.CancelFunc
	finish  context.Context // done when the link must end as soon as its queue is empty
	last    context.CancelFunc
	ended   chan struct{}
	filled  chan struct{} // has a token when there may be something in the queue
	woken   chan struct{} // has a token when the peer was heard

	mu        sync.Mutex
	queue     []parcel
	waiting   int // cost of what is in the queue and of what is being sent
	connected bool
	since     time.Time // when that was last changed
	away      bool      // not connected for longer than is waited for: nothing is queued
	patience  *time.Timer
	said      string // why it could not connect, as logged last

	heard                atomic.Int64 // streams that the peer has open
	bytesIn, bytesOut    atomic.Uint64
	messagesIn, messages atomic.Uint64
	dropped, connections atomic.Uint64

	called     atomic.Pointer[time.Time] // when an echo was asked for that has not come
	roundTrip  atomic.Int64              // the last
	roundTrips *measure.Histogram
}

func (t *Transport) newLink(member, address string) (*link, error) {
	l := &link{
		t: t, member: member, address: address, ended: make(chan struct{}),
		filled: make(chan struct{}, 1), woken: make(chan struct{}, 1),
		since: time.Now(), roundTrips: measure.Times(),
	}
	limits := t.options.Limits
	var err error
	l.conn, err = grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(t.clientCredentials(member)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: reconnectBase, Multiplier: reconnectGrowth, Jitter: reconnectJitter, MaxDelay: reconnectMax,
			},
			MinConnectTimeout: connectAttempt,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: max(limits.KeepAlive, leastKeepAlive), Timeout: limits.Silence, PermitWithoutStream: true,
		}),
		grpc.WithDefaultCallOptions(
			grpc.WaitForReady(true), grpc.ForceCodecV2(pooled{}), grpc.MaxCallSendMsgSize(limits.wireBytes()), grpc.MaxCallRecvMsgSize(maxHeaders),
		),
		experimental.WithBufferPool(buffers),
		grpc.WithStaticStreamWindowSize(window), grpc.WithStaticConnWindowSize(window),
		grpc.WithIdleTimeout(0), grpc.WithNoProxy(), grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
	)
	if err != nil {
		return nil, fmt.Errorf("transport: peer %s at %s: %w", member, address, err)
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.finish, l.last = context.WithCancel(l.ctx)
	l.patience = time.AfterFunc(limits.Patience, l.giveUp)
	t.links.Add(1)
	go l.run()
	return l, nil
}

// prefix is that of the `from` of all that the peer says.
func (l *link) prefix() string {
	if isUnknown(l.member) {
		return ""
	}
	return l.member + "/"
}

// send queues a parcel, or drops it when the peer is away or too far behind.
func (l *link) send(p parcel) {
	if len(p.data) > l.t.options.Limits.MessageBytes {
		l.dropped.Add(1)
		l.t.refusals.add(RefusedUnsendable, "target", p.target, "type", p.kind, "bytes", len(p.data))
		return
	}
	if !l.t.options.Link(l.t.options.Member, l.member) {
		l.dropped.Add(1)
		return
	}
	l.mu.Lock()
	if l.away || l.waiting+p.cost() > l.t.options.Limits.PeerBytes {
		l.mu.Unlock()
		l.dropped.Add(1)
		return
	}
	l.waiting += p.cost()
	l.queue = append(l.queue, p)
	l.mu.Unlock()
	token(l.filled)
}

// take removes what goes into one batch from the queue.
func (l *link) take(batch []parcel) (_ []parcel, cost int) {
	limits := l.t.options.Limits
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.queue) && n < limits.BatchMessages && (n == 0 || cost+l.queue[n].cost() <= limits.BatchBytes) {
		cost += l.queue[n].cost()
		n++
	}
	batch = append(batch[:0], l.queue[:n]...)
	clear(l.queue[:n])
	if l.queue = l.queue[n:]; len(l.queue) == 0 {
		l.queue = nil
	}
	return batch, cost
}

// sent gives back what take took of the limit.
func (l *link) sent(cost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting -= cost
}

// giveUp drops what waited for a peer that is not there.
func (l *link) giveUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.connected {
		return
	}
	l.away = true
	l.dropped.Add(uint64(len(l.queue)))
	for _, p := range l.queue {
		l.waiting -= p.cost()
	}
	l.queue = nil
}

// wake ends the link's pause: its peer was heard. gRPC's own back-off, of at most
// 96 ms, is left alone: its ResetConnectBackoff walks over a map that other goroutines
// write to.
func (l *link) wake() {
	if l.ctx.Err() == nil {
		token(l.woken)
	}
}

// run keeps a stream open until the link must end.
func (l *link) run() {
	defer l.t.links.Done()
	defer close(l.ended)
	defer l.close()
	pause := reconnectBase
	for l.finish.Err() == nil {
		lived, err := l.session()
		if l.finish.Err() != nil {
			return
		}
		l.say(err)
		if lived {
			pause = reconnectBase
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-l.woken:
		case <-l.finish.Done():
		}
		timer.Stop()
		pause = min(2*pause, refusedMax)
	}
}

// close frees what the link holds.
func (l *link) close() {
	l.cancel()
	l.patience.Stop()
	l.mu.Lock()
	l.connected = false
	l.mu.Unlock()
	l.giveUp()
	if err := l.conn.Close(); err != nil && status.Code(err) != codes.Canceled {
		l.t.logger.Debug("closed a connection", "peer", l.member, "error", err)
	}
}

// session opens one stream and uses it as long as it lives.
func (l *link) session() (lived bool, err error) {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	stream, err := l.connect(ctx, cancel)
	if err != nil {
		return false, err
	}
	l.arrive()
	defer l.lose()
	over := make(chan error, 1)
	go func() { over <- l.hearOut(stream) }()
	err = l.write(stream, over)
	cancel()
	if reason, ok := <-over; ok {
		err = reason // Send says less
	}
	return true, err
}

// connect opens a stream and introduces this node.
func (l *link) connect(ctx context.Context, cancel func()) (remote.Remoting_ReceiveClient, error) {
	limit := time.AfterFunc(l.t.options.Limits.Introduction, cancel)
	defer limit.Stop()
	defer context.AfterFunc(l.finish, cancel)()
	if l.t.options.Cluster != nil {
		ctx = metadata.NewOutgoingContext(ctx, l.t.options.Cluster().metadata())
	}
	stream, err := remote.NewRemotingClient(l.conn).Receive(ctx)
	if err != nil {
		return nil, err
	}
	err = stream.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{
		ConnectRequest: &remote.ConnectRequest{ConnectionType: &remote.ConnectRequest_ServerConnection{
			ServerConnection: &remote.ServerConnection{SystemId: l.t.options.Member, Address: l.t.Address()},
		}},
	}})
	if err != nil && !errors.Is(err, io.EOF) { // the reason comes with Recv
		return nil, err
	}
	m, err := stream.Recv()
	if status.Code(err) == codes.FailedPrecondition && l.t.options.Foreign != nil {
		l.t.options.Foreign(l.member, clusterOf(stream.Trailer()))
	}
	if err != nil {
		return nil, err
	}
	switch r := m.GetConnectResponse(); {
	case r == nil:
		return nil, errors.New("the peer did not welcome this node")
	case r.Blocked:
		return nil, l.blocked(r.MemberId)
	}
	return stream, nil
}

// blocked takes it that the peer's configuration, of an epoch, does not have this node.
func (l *link) blocked(epoch string) error {
	n, err := strconv.ParseUint(epoch, 10, 64)
	if err == nil && l.t.options.Refused != nil {
		l.t.options.Refused(l.member, n)
	}
	return fmt.Errorf("this node is no member by the peer's configuration, of epoch %s", epoch)
}

// write sends what is in the queue until the stream is over, or the link must finish
// and the queue is empty.
func (l *link) write(stream remote.Remoting_ReceiveClient, over chan error) error {
	p := newPacker(l.address)
	var batch []parcel
	var cost int
	e, err := l.newEcho(stream)
	if err != nil {
		return err
	}
	defer e.again.Stop()
	for {
		if err := e.callIfDue(); err != nil {
			return err
		}
		if batch, cost = l.take(batch); len(batch) > 0 {
			err := l.writeBatch(stream, p.pack(batch))
			p.unpack()
			l.sent(cost)
			clear(batch)
			if err != nil {
				return err
			}
			continue
		}
		select {
		case <-l.filled:
		case <-e.again.C:
		case err := <-over:
			close(over)
			return err
		case <-l.finish.Done():
			if l.idle() {
				return l.sayGoodbye(stream, over)
			}
		}
	}
}

// writeBatch hands one batch to gRPC.
func (l *link) writeBatch(stream remote.Remoting_ReceiveClient, m *remote.RemoteMessage) error {
	envelopes := m.GetMessageBatch().Envelopes
	if len(envelopes) == 0 {
		return nil
	}
	if err := stream.Send(m); err != nil {
		l.dropped.Add(uint64(len(envelopes)))
		return err
	}
	bytes := 0
	for _, e := range envelopes {
		bytes += len(e.MessageData)
	}
	l.bytesOut.Add(uint64(bytes))
	l.messages.Add(uint64(len(envelopes)))
	return nil
}

// sayGoodbye ends the stream and waits until the peer has taken all that was sent.
func (l *link) sayGoodbye(stream remote.Remoting_ReceiveClient, over chan error) error {
	if err := stream.CloseSend(); err != nil {
		return err
	}
	select {
	case err := <-over:
		close(over)
		return err
	case <-l.ctx.Done():
		return l.ctx.Err()
	}
}

package gateway

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// watchServer is etcd's Watch service.
type watchServer struct {
	pb.UnimplementedWatchServer
	g *Gateway
}

// maxEnded is of how many watches that a compaction ended a stream remembers the ids, for
// clients that cancel them: others never do.
const maxEnded = 1024

// noWatch is the id of a response that is of no watch, or of all of a stream.
const noWatch = -1

// Watch serves a stream of watches until the client or the gateway ends it. Its handler
// is the only one that sends; while it waits for a slow client, it takes no request and
// no events.
func (s *watchServer) Watch(stream pb.Watch_WatchServer) error {
	if err := s.g.freshen(stream.Context(), true); err != nil {
		return err
	}
	w := &watchStream{
		g: s.g, stream: stream, watches: s.g.options.Store.Watch(), fragment: make(map[int64]bool), ended: make(map[int64]bool),
		requests: make(chan *pb.WatchRequest), failed: make(chan error, 1),
	}
	defer w.close()
	s.g.running.Go(w.receive) // it ends with the stream, and that with the handler
	return w.serve()
}

// watchStream is a stream of watches while it is served.
type watchStream struct {
	g        *Gateway
	stream   pb.Watch_WatchServer
	watches  *kv.WatchStream
	fragment map[int64]bool // the watches whose responses may come in parts
	ended    map[int64]bool // those that a compaction ended, until they are cancelled; maxEnded at the most
	asked    bool           // for progress, up to the revision
	upTo     int64

	requests chan *pb.WatchRequest
	failed   chan error
}

// receive hands on requests. The end of the client's side is not that of the stream.
func (w *watchStream) receive() {
	for {
		r, err := w.stream.Recv()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			w.failed <- err
			return
		}
		select {
		case w.requests <- r:
		case <-w.stream.Context().Done():
			return
		}
	}
}

func (w *watchStream) close() {
	w.g.watches.Add(-int64(w.watches.Len()))
	w.watches.Close()
}

func (w *watchStream) serve() error {
	interval := w.g.options.WatchProgress
	// Not all streams that began together are to speak together.
	notify := time.NewTicker(interval + rand.N(interval/10+1))
	defer notify.Stop()
	for {
		var err error
		select {
		case <-w.stream.Context().Done():
			return context.Cause(w.stream.Context())
		case err = <-w.failed:
		case r := <-w.requests:
			err = w.handle(r)
		case <-w.watches.Ready():
			err = w.tell()
		case <-notify.C:
			err = w.notify()
		}
		if err != nil {
			return err
		}
	}
}

func (w *watchStream) handle(r *pb.WatchRequest) error {
	switch r := r.RequestUnion.(type) {
	case *pb.WatchRequest_CreateRequest:
		return w.create(r.CreateRequest)
	case *pb.WatchRequest_CancelRequest:
		return w.cancel(r.CancelRequest.GetWatchId())
	case *pb.WatchRequest_ProgressRequest:
		w.asked, w.upTo = true, w.g.options.Store.Revision()
		return w.progress()
	}
	return nil // as in etcd, a request of no known kind is none
}

func (w *watchStream) create(r *pb.WatchCreateRequest) error {
	if r == nil {
		return nil
	}
	if w.g.watches.Add(1) > int64(w.g.options.Limits.Watches) {
		w.g.watches.Add(-1)
		return w.refuse(rpctypes.ErrTooManyRequests)
	}
	id, revision, err := w.open(r)
	if err != nil {
		w.g.watches.Add(-1)
		return w.refuse(err)
	}
	delete(w.ended, id) // which etcd would not give again
	if r.Fragment {
		w.fragment[id] = true
	}
	return w.stream.Send(&pb.WatchResponse{Header: w.g.header(revision), WatchId: id, Created: true})
}

func (w *watchStream) open(r *pb.WatchCreateRequest) (id, revision int64, err error) {
	if r.StartRevision < 0 {
		return 0, 0, rpctypes.ErrCompacted
	}
	o := kv.Watch{
		ID: r.WatchId, Key: r.Key, RangeEnd: r.RangeEnd, Start: r.StartRevision, PrevKV: r.PrevKv, Notify: r.ProgressNotify,
	}
	if len(o.Key) == 0 {
		o.Key = []byte{0} // the first of all keys
	}
	for _, f := range r.Filters {
		switch f {
		case pb.WatchCreateRequest_NOPUT:
			o.NoPut = true
		case pb.WatchCreateRequest_NODELETE:
			o.NoDelete = true
		}
	}
	return w.watches.Create(o)
}

// refuse says that a watch was not created. The stream goes on.
func (w *watchStream) refuse(why error) error {
	return w.stream.Send(&pb.WatchResponse{
		Header: w.g.header(w.g.options.Store.Revision()), WatchId: noWatch, Created: true, Canceled: true, CancelReason: why.Error(),
	})
}

// cancel ends a watch. As in etcd, nothing is said of one that there is not, and it is said
// once more of one that a compaction ended: etcd's client cancels it, and waits for the answer.
func (w *watchStream) cancel(id int64) error {
	switch {
	case w.watches.Cancel(id):
		w.forget(id)
	case w.ended[id]:
		delete(w.ended, id)
	default:
		return nil
	}
	return w.stream.Send(&pb.WatchResponse{Header: w.g.header(w.g.options.Store.Revision()), WatchId: id, Canceled: true})
}

func (w *watchStream) forget(id int64) {
	delete(w.fragment, id)
	w.g.watches.Add(-1)
}

// tell sends what there is now.
func (w *watchStream) tell() error {
	deliveries, err := w.watches.Take()
	if err != nil {
		return err
	}
	for _, d := range deliveries {
		if d.Compacted != 0 {
			w.g.watches.Add(-1)
		}
		if d.Compacted != 0 && len(w.ended) < maxEnded {
			w.ended[d.ID] = true
		}
	}
	for _, d := range deliveries {
		r := &pb.WatchResponse{Header: w.g.header(d.Revision), WatchId: d.ID, Events: d.Events}
		if d.Compacted != 0 {
			r.Canceled, r.CompactRevision = true, d.Compacted
		}
		send := w.stream.Send
		if w.fragment[d.ID] {
			send = w.sendFragments
		}
		if err := send(r); err != nil {
			return err
		}
		if d.Compacted != 0 {
			delete(w.fragment, d.ID)
		}
	}
	return w.progress()
}

// progress answers a request for it once all watches were sent all that was there when
// it came. Where there is no watch there is no answer, as in etcd.
func (w *watchStream) progress() error {
	if w.watches.Len() == 0 {
		w.asked = false
	}
	if !w.asked {
		return nil
	}
	revision, ok := w.watches.Progress(w.upTo)
	if !ok {
		return nil // it is asked for again when Ready says so
	}
	w.asked = false
	return w.stream.Send(&pb.WatchResponse{Header: w.g.header(revision), WatchId: noWatch})
}

// notify tells the watches that want it and were sent nothing for long that there was
// nothing.
func (w *watchStream) notify() error {
	revision, ids := w.watches.Quiet()
	for _, id := range ids {
		if err := w.stream.Send(&pb.WatchResponse{Header: w.g.header(revision), WatchId: id}); err != nil {
			return err
		}
	}
	return nil
}

// sendFragments sends a response in parts that are not longer than a request may be,
// but for single events that are.
func (w *watchStream) sendFragments(whole *pb.WatchResponse) error {
	limit := w.g.options.Limits.RequestBytes
	events := whole.Events
	whole.Events = nil
	overhead := proto.Size(whole) + fragmentMark
	for {
		n := fitting(events, limit-overhead)
		part := &pb.WatchResponse{
			Header: whole.Header, WatchId: whole.WatchId, Canceled: whole.Canceled, CompactRevision: whole.CompactRevision,
			Events: events[:n], Fragment: n < len(events),
		}
		if err := w.stream.Send(part); err != nil || !part.Fragment {
			return err
		}
		events = events[n:]
	}
}

// fragmentMark is what the mark of a part takes, and eventMark that of an event, in bytes.
const (
	fragmentMark = 2
	eventMark    = 6
)

// fitting is how many events fit into that many bytes; at least one does.
func fitting(events []*mvccpb.Event, room int) int {
	for n, e := range events {
		if room -= proto.Size(e) + eventMark; room < 0 && n > 0 {
			return n
		}
	}
	return len(events)
}

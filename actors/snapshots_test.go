package actors

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/pmmc-go/pmmc/messages"
)

// logState is a State whose snapshot is a text of its own.
type logState struct {
	State
	out  uint64
	text string
	open *int // snapshots that are held
}

func (s *logState) SlotOut() uint64                           { return s.out }
func (s *logState) Sessions() []*messages.SessionRecord       { return nil }
func (s *logState) Configurations() []*messages.Configuration { return nil }
func (s *logState) Chain() uint64                             { return 0 }
func (s *logState) Snapshot() SnapshotReader {
	*s.open++
	return &textReader{strings.NewReader(fmt.Sprint(s.out, " ", s.text)), s.open}
}
func (s *logState) Restore() SnapshotWriter { *s.open++; return &textWriter{state: s} }

type textReader struct {
	*strings.Reader
	open *int
}

func (r *textReader) Next(n int) ([]byte, bool, error) {
	b := make([]byte, min(n, r.Len()))
	_, err := r.Read(b)
	return b, r.Len() == 0, err
}
func (r *textReader) Close() { *r.open-- }

type textWriter struct {
	bytes.Buffer
	state *logState
}

func (w *textWriter) Write(b []byte) error { _, err := w.Buffer.Write(b); return err }
func (w *textWriter) Close()               { *w.state.open-- }
func (w *textWriter) Finish() error {
	_, err := fmt.Sscan(w.String(), &w.state.out, &w.state.text)
	return err
}

// transfer is a replica that lags and one that sends it a snapshot.
type transfer struct {
	t            *testing.T
	open         int
	reader, from *Replica
	there, here  notes // of from, and of reader
	state        *logState
	lose         func(*messages.SnapshotChunk) bool
}

const longText = "a-text-that-takes-many-chunks-of-four-bytes-each"

func newTransfer(t *testing.T) *transfer {
	x := &transfer{t: t, lose: func(*messages.SnapshotChunk) bool { return false }}
	x.there.self, x.here.self = ReplicaAddr("alpha"), ReplicaAddr("beta")
	x.state = &logState{out: 1, open: &x.open}
	x.reader = NewReplica(ReplicaOptions{ID: 2, Name: "beta", Configuration: world3(), State: x.state, ChunkBytes: 4, Pipeline: 1})
	x.restartSender()
	x.reader.lag.executed[x.there.self] = 100
	x.reader.beginFetch(&x.here)
	return x
}

func (x *transfer) restartSender() {
	if x.from != nil {
		x.from.Stop()
	}
	x.from = NewReplica(ReplicaOptions{
		ID: 1, Name: "alpha", Configuration: world3(), ChunkBytes: 4, Pipeline: 1, State: &logState{out: 100, text: longText, open: &x.open},
	})
}

// pass lets all that was sent arrive, the last first, and returns how many chunks did.
func (x *transfer) pass() (chunks int) {
	for _, m := range take[*messages.SnapshotRequest](&x.here) {
		x.from.Receive(&x.there, m)
	}
	all := take[*messages.SnapshotChunk](&x.there)
	if len(all) > chunksAhead {
		x.t.Errorf("%d chunks at a time", len(all))
	}
	for i := range all {
		if m := all[len(all)-1-i]; !x.lose(m) {
			x.reader.Receive(&x.here, m)
			chunks++
		}
	}
	return chunks
}

func (x *transfer) tick() {
	x.reader.lookAtSnapshots(&x.here)
	x.from.lookAtSnapshots(&x.there)
}

func (x *transfer) arrives() {
	x.t.Helper()
	for range 1000 {
		if x.pass(); x.reader.lag.fetch == nil && x.reader.slotOut == 100 {
			break
		}
		x.tick()
	}
	if x.state.out != 100 || x.state.text != longText {
		x.t.Errorf("restored %d %q", x.state.out, x.state.text)
	}
}

// TestSnapshotOverABadNetwork: chunks that are lost, damaged, repeated and reordered
// arrive, and what was held for them is freed.
func TestSnapshotOverABadNetwork(t *testing.T) {
	x := newTransfer(t)
	n := 0
	x.lose = func(m *messages.SnapshotChunk) bool {
		n++
		if n%5 == 0 {
			x.reader.Receive(&x.here, &messages.SnapshotChunk{From: m.From, Slot: m.Slot, Offset: m.Offset, Data: []byte("bad!"), Checksum: m.Checksum})
		}
		return n%3 == 0
	}
	x.arrives()
	if first := x.from.wanted(); first != 100 {
		t.Errorf("decrees from %d on are wanted while the reader catches up, want 100", first)
	}
	x.from.onLearned(&messages.Learned{From: string(x.here.self), Executed: 100})
	x.tick()
	if first := x.from.wanted(); first != 0 || x.open != 0 {
		t.Errorf("in the end, decrees from %d on are wanted and %d snapshots held", first, x.open)
	}
}

// TestSnapshotOutlivesACut: after a cut in which nobody was heard, it goes on where it was.
func TestSnapshotOutlivesACut(t *testing.T) {
	x := newTransfer(t)
	x.pass()
	at := x.reader.lag.fetch.offset
	if at == 0 {
		t.Fatal("nothing came before the cut")
	}
	for range servingPatience - 10 {
		x.tick()
		take[*messages.SnapshotRequest](&x.here)
	}
	if f := x.reader.lag.fetch; f == nil || f.offset != at {
		t.Fatalf("after a cut it is at %+v, was at %d", f, at)
	}
	x.arrives()
}

// TestSnapshotOfAnother: a sender that started again says that it holds the snapshot no
// more, and one that is away is left when another replica can send one.
func TestSnapshotOfAnother(t *testing.T) {
	x := newTransfer(t)
	x.pass()
	x.restartSender()
	x.tick()
	x.pass()
	if x.reader.lag.fetch != nil {
		t.Error("it waits for a snapshot that is gone")
	}
	x.reader.beginFetch(&x.here)
	x.pass()
	x.reader.onLearned(&messages.Learned{From: string(ReplicaAddr("gamma")), Executed: 101})
	for range fetchPatience + 1 {
		x.reader.lookAtSnapshots(&x.here)
	}
	if x.reader.lag.fetch != nil {
		t.Error("it waits for one that is away, though another is there")
	}
	x.reader.beginFetch(&x.here)
	if got := take[*messages.SnapshotRequest](&x.here); len(got) == 0 || x.reader.lag.fetch.slot != 0 {
		t.Errorf("it does not begin anew: %v", got)
	}
	x.reader.Stop()
	x.from.Stop()
	if x.open != 0 {
		t.Errorf("%d snapshots are held in the end", x.open)
	}
}

// A replica of an epoch before the sender's tells the sender only in its requests how far
// it is: one that has the snapshot held for it, and wants a newer one, gets a newer one.
func TestSnapshotThatTheReaderHasIsNotSentAgain(t *testing.T) {
	x := newTransfer(t)
	x.from.ChunkBytes = 20               // all of it is on its way at a time
	x.from.lag.executed[x.here.self] = 1 // the last that was heard of it
	x.arrives()
	newer := x.from.State.(*logState)
	newer.out, x.from.slotOut = 900, 900
	x.reader.lag.executed[x.there.self] = 900
	x.reader.beginFetch(&x.here)
	for range 100 {
		x.pass()
		x.tick()
	}
	if x.state.out != 900 {
		t.Errorf("it is at %d, want 900: the snapshot that it has is sent again", x.state.out)
	}
}

// A snapshot is held until it has come, also for one who lags by less than a window.
func TestSnapshotIsHeldUntilItHasCome(t *testing.T) {
	x := newTransfer(t)
	x.reader.slotOut, x.state.out = 97, 97
	lost := false
	x.lose = func(m *messages.SnapshotChunk) bool {
		if m.Gone {
			t.Error("its last chunk was lost, and it is gone")
		}
		last := m.Last && !lost
		lost = lost || last
		return last
	}
	x.arrives()
	x.from.onLearned(&messages.Learned{From: string(x.here.self), Executed: 100})
	x.tick()
	if !lost || x.open != 0 {
		t.Errorf("a chunk was lost: %t; %d snapshots are held in the end", lost, x.open)
	}
}

// A replica to which one sends nothing of use fetches from each of those ahead in turn,
// however many questions it asks before.
func TestSnapshotIsFetchedFromAllInTurn(t *testing.T) {
	x := newTransfer(t)
	x.reader.onLearned(&messages.Learned{From: string(ReplicaAddr("gamma")), Executed: 100})
	x.reader.lag.started = true
	x.reader.dropFetch()
	asked := make(map[Addr]bool)
	for range 100 {
		x.reader.onTick(&x.here)
		if f := x.reader.lag.fetch; f != nil {
			asked[f.from] = true
			x.reader.onTick(&x.here)
			x.reader.dropFetch()
		}
	}
	if len(asked) != 2 {
		t.Errorf("it fetches from %v, want both that are ahead", asked)
	}
}

// S5, relaxed by time: what the reader of a snapshot will want is kept, within RetainBytes.
func TestS5_KeepsWhatAReaderWants(t *testing.T) {
	a, env := newTestAcceptor(), &notes{}
	a.RetainBytes = 20 * pvalueBytes
	for slot := range uint64(30) {
		a.Receive(env, &messages.P2A{From: "alpha/c", Pvalue: pvalue(1, 1, slot+1, "")})
	}
	learned := func(wanted, durable uint64) uint64 {
		for _, from := range []string{"alpha/replica", "beta/replica"} {
			a.Receive(env, &messages.Learned{From: from, Executed: durable, Durable: durable, Wanted: wanted})
		}
		return a.forgotten
	}
	for _, step := range []struct{ wanted, durable, want uint64 }{
		{5, 16, 11}, // 20 of 30 fit, and 2 are kept for anybody
		{15, 25, 15},
		{0, 25, 23},
		{28, 29, 27},
	} {
		if got := learned(step.wanted, step.durable); got != step.want {
			t.Errorf("wanted from %d, durable below %d: forgotten below %d, want %d", step.wanted, step.durable, got, step.want)
		}
	}
}

package trace

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

var events = []actors.Event{
	{Kind: actors.Opened, Self: "alpha", Message: &messages.Opened{Member: 1, Executed: 4}},
	{Kind: actors.Sent, Self: "alpha/epoch-1/acceptor", Life: 3, Peer: "beta/epoch-1/leader/scout-2",
		Message: &messages.P1B{From: "alpha/epoch-1/acceptor", Ballot: &messages.Ballot{Round: 2, Leader: 2}}},
	{Kind: actors.Durable, Self: "alpha/epoch-1/acceptor", Life: 3, Number: 7},
}

func write(t *testing.T, path string) {
	t.Helper()
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		w.Observe(e)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, text []byte) (all []actors.Event, err error) {
	t.Helper()
	r := NewReader(bytes.NewReader(text), "a.trace")
	for {
		e, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
}

func TestATraceIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.trace")
	write(t, path)
	write(t, path) // a second start
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(t, text)
	if err != nil || len(got) != 2*len(events) {
		t.Fatalf("%d events, %v; want %d", len(got), err, 2*len(events))
	}
	for i, e := range got {
		want := events[i%len(events)]
		if !proto.Equal(e.Message, want.Message) {
			t.Errorf("event %d: %v, want %v", i, e.Message, want.Message)
		}
		if e.Message, want.Message = nil, nil; e != want {
			t.Errorf("event %d: %+v, want %+v", i, e, want)
		}
	}
}

// TestOnlyACrashMayTearALine: a line that cannot be read is passed over when it is the
// last of a process.
func TestOnlyACrashMayTearALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.trace")
	write(t, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	torn := whole[:len(whole)-9]
	if got, err := read(t, torn); err != nil || len(got) != 2 {
		t.Errorf("torn at the end: %d events, %v; want 2", len(got), err)
	}
	if got, err := read(t, append(append(torn[:len(torn):len(torn)], '\n'), whole...)); err != nil || len(got) != 5 {
		t.Errorf("torn, then started again: %d events, %v; want 5", len(got), err)
	}
	damaged := bytes.Replace(whole, []byte(`"kind":"sent"`), []byte(`"kind:"sent"`), 1)
	if _, err := read(t, damaged); err == nil {
		t.Error("a damaged line in the middle is passed over")
	}
}

// Package trace keeps what the roles of a node did in a file, one event a line, so
// that the referee can judge it later.
package trace

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// Writer appends events to a file. An event is in the operating system's hands before
// what it tells of is done, so that the trace of a process that was killed is whole.
type Writer struct {
	mu   sync.Mutex
	file *os.File
	err  error // the first
}

// Create opens a file for appending: a node that starts again goes on in its trace.
func Create(path string) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	w := &Writer{file: f}
	w.write([]byte("\n")) // ends a line that a crash tore
	return w, w.err
}

// Observe writes an event. It may be called from many goroutines.
func (w *Writer) Observe(e actors.Event) {
	line, err := Encode(e)
	if err != nil {
		w.fail(err)
		return
	}
	w.write(append(line, '\n'))
}

func (w *Writer) write(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		_, w.err = w.file.Write(b)
	}
}

func (w *Writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = errors.Join(w.err, err)
}

// Close closes the file. It returns what kept events from being written, if anything
// did: the trace is then worth nothing.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := errors.Join(w.err, w.file.Close()); err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	return nil
}

// Encode is an event as one line of JSON, without the end of the line.
func Encode(e actors.Event) ([]byte, error) {
	m := &messages.Event{
		Kind: string(e.Kind), Self: string(e.Self), Life: e.Life, Peer: string(e.Peer), Number: e.Number,
	}
	if e.Message != nil {
		var err error
		if m.Message, err = anypb.New(e.Message); err != nil {
			return nil, fmt.Errorf("trace: encode %T: %w", e.Message, err)
		}
	}
	loose, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("trace: encode an event of %s: %w", e.Self, err)
	}
	var line bytes.Buffer // protojson puts spaces where it likes
	err = json.Compact(&line, loose)
	return line.Bytes(), err
}

// carries are the kinds of events that are nothing without their message.
var carries = map[actors.Kind]bool{
	actors.Opened: true, actors.Restored: true, actors.Received: true, actors.Sent: true, actors.Persisted: true,
	actors.Executed: true, actors.Installed: true,
}

// Decode is the event that a line holds.
func Decode(line []byte) (actors.Event, error) {
	var m messages.Event
	if err := protojson.Unmarshal(line, &m); err != nil {
		return actors.Event{}, fmt.Errorf("trace: %w", err)
	}
	e := actors.Event{
		Kind: actors.Kind(m.Kind), Self: actors.Addr(m.Self), Life: m.Life, Peer: actors.Addr(m.Peer), Number: m.Number,
	}
	if m.Message == nil {
		if carries[e.Kind] {
			return actors.Event{}, fmt.Errorf("trace: an event of kind %q without its message", e.Kind)
		}
		return e, nil
	}
	var err error
	if e.Message, err = m.Message.UnmarshalNew(); err != nil {
		return actors.Event{}, fmt.Errorf("trace: %w", err)
	}
	return e, nil
}

// Reader reads the events of a trace.
type Reader struct {
	name string
	in   *bufio.Reader
	line int
	torn error // what the last line could not be read for
}

// NewReader returns a reader of a trace; errors call it name.
func NewReader(in io.Reader, name string) *Reader {
	return &Reader{name: name, in: bufio.NewReaderSize(in, 1<<20)}
}

// Next returns the next event and the number of its line, or io.EOF at the end. A line
// that cannot be read is an error, unless a crash tore it: it is then the last of a
// process, and nothing but its node's next start follows.
func (r *Reader) Next() (actors.Event, int, error) {
	for {
		line, err := r.in.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return actors.Event{}, r.line, fmt.Errorf("trace: %s: %w", r.name, err)
		}
		if len(line) == 0 {
			return actors.Event{}, r.line, io.EOF
		}
		r.line++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		e, err := Decode(line)
		switch {
		case r.torn != nil && (err != nil || e.Kind != actors.Opened):
			return actors.Event{}, r.line, r.torn
		case err != nil:
			r.torn = fmt.Errorf("%s:%d: %w", r.name, r.line, err)
		default:
			r.torn = nil
			return e, r.line, nil
		}
	}
}

package clustertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// Register is a small state machine for tests: a log of the operations that it
// executed. An operation's result is its place in the log; a query is answered with
// the log, one operation a line.
type Register struct {
	mu  sync.Mutex
	log []string
}

// NewRegister returns an empty register.
func NewRegister() *Register { return &Register{} }

// Apply appends to the log.
func (r *Register) Apply(_ uint64, operations [][]byte) [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	results := make([][]byte, 0, len(operations))
	for _, op := range operations {
		r.log = append(r.log, string(op))
		results = append(results, fmt.Append(nil, len(r.log)))
	}
	return results
}

// Query returns the log.
func (r *Register) Query([]byte) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b bytes.Buffer
	for _, op := range r.log {
		fmt.Fprintln(&b, op)
	}
	return b.Bytes(), nil
}

// Snapshot copies the log.
func (r *Register) Snapshot() (io.WriterTo, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, err := json.Marshal(r.log)
	return bytes.NewReader(b), err
}

// Restore replaces the log.
func (r *Register) Restore(from io.Reader) error {
	var log []string
	if err := json.NewDecoder(from).Decode(&log); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = log
	return nil
}

// Log returns the operations, in the order of their execution.
func (r *Register) Log() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.log...)
}

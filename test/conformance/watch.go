package conformance

import (
	"fmt"
	"sync"

	"github.com/pmmc-go/pmmc/actors"
)

// Test is what Watch needs of a testing.TB: who runs the referee outside of tests
// does not want package testing.
type Test interface {
	Helper()
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
	Cleanup(func())
}

// Watch returns an observer, for clustertest.Options.Observe, that has a referee judge
// what it is told, in the order in which it is told. A breach fails the test at once;
// so does, at its end, that nothing was decided. Watch comes before the cluster, so
// that its cleanup comes after.
func Watch(t Test) func(actors.Event) {
	w := &watcher{t: t, referee: New(Options{})}
	t.Cleanup(w.end)
	return w.observe
}

type watcher struct {
	t       Test
	mu      sync.Mutex
	referee *Referee
	over    bool // the test was told of the breach, or has ended
}

func (w *watcher) observe(e actors.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.survive()
	if w.over {
		return
	}
	if b := w.referee.Judge(e); b != nil {
		w.over = true
		w.t.Errorf("%v", b)
	}
}

// survive keeps a fault of the referee from being taken for one of the role that it
// judges: a panic here would end that role's turn.
func (w *watcher) survive() {
	if p := recover(); p != nil {
		w.over = true
		w.t.Errorf("the referee itself is broken, by %s: %v", show(w.referee.now), p)
	}
}

func (w *watcher) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.referee.Finish(); err != nil && !w.over {
		w.t.Errorf("%v", err)
	}
	w.over = true
	w.t.Logf("%v", fmt.Stringer(w.referee.Counts()))
}

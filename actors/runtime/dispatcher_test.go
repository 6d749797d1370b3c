package runtime

import (
	"sync"
	"testing"
)

// A dispatcher runs all that it is given, at the same time if need be, and no goroutine
// outlives it; goleak looks.
func TestDispatcher(t *testing.T) {
	d := newDispatcher()
	for range 3 {
		const many = 4 * maxIdle
		var started, ended sync.WaitGroup
		started.Add(many)
		for range many {
			ended.Add(1)
			d.Schedule(func() {
				defer ended.Done()
				started.Done()
				started.Wait() // each waits for all others
			})
		}
		ended.Wait()
	}
	eventually(t, "those beyond maxIdle to go", func() bool { return d.idle.Load() <= maxIdle }) // they are counted in between
	d.close()
	d.close()
	done := make(chan struct{})
	d.Schedule(func() { close(done) }) // a late one runs all the same
	<-done
}

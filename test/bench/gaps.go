package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// measureGaps kills the node in office under load, again and again, and takes the time in
// which no write succeeded.
func (r *results) measureGaps(ctx context.Context, p plan, dir string, programs *programs) error {
	if p.kills == 0 {
		return nil
	}
	s, err := startServer(ctx, programs, false, dir)
	if err != nil {
		return err
	}
	defer func() { _ = s.stop() }() // all is measured
	for range p.kills {
		gap, err := s.gap(ctx)
		if err != nil {
			return err
		}
		say("  no write for %v after a kill", gap.Round(time.Millisecond))
		r.gaps = append(r.gaps, gap)
	}
	return nil
}

// watched is how long writes are watched after a kill.
const watched = 3 * time.Second

// gap kills the node in office, returns the longest time without a successful write, and
// starts the node again.
func (s *server) gap(ctx context.Context) (gap time.Duration, err error) {
	leader, err := s.leader(ctx)
	if err != nil {
		return 0, err
	}
	writing, stop := context.WithCancel(ctx)
	var mu sync.Mutex
	var last time.Time
	var running sync.WaitGroup
	for w := range 8 {
		running.Go(func() {
			for i := 0; writing.Err() == nil; i++ {
				once, done := context.WithTimeout(writing, time.Second)
				_, err := s.client.Put(once, fmt.Sprint("gap", w, "-", i), "x")
				done()
				if err != nil {
					continue // by the node that was killed; another one is asked next
				}
				mu.Lock()
				if now := time.Now(); !last.IsZero() {
					gap = max(gap, now.Sub(last))
				}
				last = time.Now()
				mu.Unlock()
			}
		})
	}
	time.Sleep(500 * time.Millisecond)
	mu.Lock()
	gap = 0
	mu.Unlock()
	s.kill(leader)
	time.Sleep(watched)
	mu.Lock()
	gap = max(gap, time.Since(last))
	mu.Unlock()
	stop()
	running.Wait()
	return gap, errors.Join(s.startNode(leader), s.answers(ctx, leader))
}

package journal

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkAppend measures one append until it is durable, by one who waits for each
// and by 64 who do, on the disk under TMPDIR. What it costs is fsync; the records
// are forgotten as they come, so cutting is part of it.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{256, 64 << 10} {
		for _, appenders := range []int{1, 64} {
			b.Run(fmt.Sprintf("decree=%dB/appenders=%d", size, appenders), func(b *testing.B) {
				l, err := Open(must(b, b.TempDir(), 0))
				l = opened(b, l, err)
				var slot atomic.Uint64
				var wait sync.WaitGroup
				b.ReportAllocs()
				b.ResetTimer()
				for range appenders {
					wait.Go(func() {
						done := make(chan struct{}, 1)
						for s := slot.Add(1); s <= uint64(b.N); s = slot.Add(1) {
							l.Append(pvalue(acceptor, 1, s, size), func() { done <- struct{}{} })
							<-done
							if s%1000 == 0 {
								l.Append(forgotten(s-500), nil)
							}
						}
					})
				}
				wait.Wait()
				b.StopTimer()
				b.ReportMetric(float64(l.Stats().Syncs)/float64(b.N), "fsyncs/op")
			})
		}
	}
}

// BenchmarkOpen measures how long a restart reads a journal of 64 MiB in batches of
// 64 KiB; the page cache holds it.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	l, err := Open(must(b, dir, 0))
	l = opened(b, l, err)
	for slot := range uint64(1024) {
		write(b, l, pvalue(acceptor, 1, slot, 64<<10))
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	var replayed time.Duration
	for b.Loop() {
		l, err := Open(must(b, dir, 0))
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if n := len(replay(b, l, acceptor)); n != 1025 {
			b.Fatal(n)
		}
		replayed += time.Since(start)
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(replayed.Nanoseconds())/float64(b.N), "ns-replay/op")
}

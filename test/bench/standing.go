package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// standing is what it costs a server to have many watches and leases, one watcher among
// them that reads nothing.
type standing struct {
	name             string
	watches, leases  int
	puts             int
	events           int64         // that the watchers heard
	took             time.Duration // from the first put to the last event
	before, idle, at int64         // memory of the three processes: before, with all, at the most during the puts
}

// Watches are on streams of so many, and leases granted by so many at a time.
const (
	watchesOfStream = 250
	granters        = 256
	hotKeys         = 100 // that are put, again and again, each with a share of the watchers
)

// measureStanding burdens pmmc and etcd with watches and leases.
func (r *results) measureStanding(ctx context.Context, p plan, dir string, programs *programs) error {
	return r.eachServer(ctx, p.watches > 0, dir, programs, func(s *server) error {
		b, err := s.burden(ctx, p)
		if err == nil {
			say("  %-5s with %d watches and %d leases: %d MiB; %d events in %v", b.name, b.watches, b.leases, b.idle>>20, b.events, b.took)
			r.standing = append(r.standing, b)
		}
		return err
	})
}

func (s *server) burden(ctx context.Context, p plan) (b standing, err error) {
	ctx, cancel := context.WithCancel(ctx)
	b = standing{name: s.name, watches: p.watches, leases: p.leases, puts: 20 * hotKeys}
	_, b.before = s.usage()
	if err := s.grant(ctx, p.leases); err != nil {
		cancel()
		return b, err
	}
	w := &watchers{}
	defer w.reading.Wait()
	defer cancel()
	if err := w.open(ctx, s, p.watches); err != nil {
		return b, err
	}
	_, b.idle = s.usage()
	most := make(chan int64, 1)
	watching, stop := context.WithCancel(ctx)
	go func() { most <- s.mostMemory(watching) }()
	began := time.Now()
	err = errors.Join(s.putHot(ctx, b.puts), w.hear(ctx, int64(b.puts/hotKeys*p.watches)))
	b.took, b.events = time.Since(began), w.heard.Load()
	stop()
	b.at = <-most
	return b, err
}

// grant grants leases of ten minutes.
func (s *server) grant(ctx context.Context, n int) error {
	granting, ctx := errgroup.WithContext(ctx)
	var granted atomic.Int64
	for range granters {
		granting.Go(func() error {
			for granted.Add(1) <= int64(n) {
				if _, err := s.client.Grant(ctx, 600); err != nil {
					return fmt.Errorf("%s: grant a lease: %w", s.name, err)
				}
			}
			return nil
		})
	}
	return granting.Wait()
}

func hotKey(i int) string { return fmt.Sprintf("hot/%03d", i%hotKeys) }

// putHot puts the hot keys, in turn.
func (s *server) putHot(ctx context.Context, n int) error {
	value := strings.Repeat("x", 256)
	putting, ctx := errgroup.WithContext(ctx)
	putting.SetLimit(32)
	for i := range n {
		putting.Go(func() error {
			_, err := s.client.Put(ctx, hotKey(i), value)
			return err
		})
	}
	return putting.Wait()
}

// watchers are clients that watch the hot keys.
type watchers struct {
	heard   atomic.Int64
	reading sync.WaitGroup
}

// open opens watches, spread over the nodes, and one more of all keys whose client reads
// nothing after it was made.
func (w *watchers) open(ctx context.Context, s *server, n int) error {
	for i := 0; i < n; i += watchesOfStream {
		stream, err := openWatch(ctx, s.endpoints[i/watchesOfStream%len(s.endpoints)])
		if err != nil {
			return err
		}
		for j := i; j < min(n, i+watchesOfStream); j++ {
			key := hotKey(j)
			if err := stream.Send(watchOf(key, "")); err != nil {
				return err
			}
		}
		for range min(watchesOfStream, n-i) {
			if r, err := stream.Recv(); err != nil || !r.Created {
				return fmt.Errorf("%s: a watch was not made: %v: %w", s.name, r, err)
			}
		}
		w.reading.Go(func() {
			for {
				r, err := stream.Recv()
				if err != nil {
					return // the run is over
				}
				w.heard.Add(int64(len(r.Events)))
			}
		})
	}
	deaf, err := openWatch(ctx, s.endpoints[0])
	if err != nil {
		return err
	}
	return deaf.Send(watchOf("hot/", "hot0"))
}

func openWatch(ctx context.Context, endpoint string) (pb.Watch_WatchClient, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = client.Close() }) // the run is over
	return pb.NewWatchClient(client.ActiveConnection()).Watch(ctx)
}

func watchOf(key, end string) *pb.WatchRequest {
	create := &pb.WatchCreateRequest{Key: []byte(key), RangeEnd: []byte(end)}
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}
}

// hear waits until the watchers have heard so many events.
func (w *watchers) hear(ctx context.Context, n int64) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for w.heard.Load() < n {
		if ctx.Err() != nil {
			return fmt.Errorf("watchers heard %d of %d events: %w", w.heard.Load(), n, ctx.Err())
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

func (r *results) standingTable(b *strings.Builder) {
	if len(r.standing) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## Watches and leases\n\n%d leases, and watches of %d keys on streams of %d, spread over the nodes; then %d puts to those keys. "+
		"A further watcher reads nothing. Memory is of the three processes.\n\n", r.plan.leases, hotKeys, watchesOfStream, r.standing[0].puts)
	b.WriteString("| | watches | memory before | with all | at most during the puts | events heard | from the first put to the last event |\n|---|---|---|---|---|---|---|\n")
	for _, s := range r.standing {
		fmt.Fprintf(b, "| %s | %d | %d MiB | %d MiB | %d MiB | %d | %v |\n", s.name, s.watches, s.before>>20, s.idle>>20, s.at>>20, s.events, s.took.Round(time.Millisecond))
	}
}

// countErrors names errors, and how often each came.
func countErrors(all map[string]uint64) string {
	if len(all) == 0 {
		return "0"
	}
	var said []string
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		said = append(said, fmt.Sprintf("%d %s", all[kind], kind))
	}
	return strings.Join(said, ", ")
}

// diskUsage is how much files in a folder take.
func diskUsage(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went meanwhile
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}

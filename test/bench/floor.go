package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// floor is what no protocol of this kind can be faster than.
type floor struct {
	fsync time.Duration // median of three that write at a time, each to a file of its own
	trip  time.Duration // median of one on a gRPC stream, over loopback
}

// sum is the least that one operation can take.
func (f floor) sum() time.Duration { return f.fsync + f.trip }

// written is how much is written for one operation, with what describes it.
const written = 320

func measureFloor(ctx context.Context, dir string, long time.Duration) (f floor, err error) {
	ctx, cancel := context.WithTimeout(ctx, long/2)
	defer cancel()
	if f.fsync, err = measureFsync(ctx, dir); err != nil {
		return f, fmt.Errorf("floor: %w", err)
	}
	if f.trip, err = measureTrip(); err != nil {
		return f, fmt.Errorf("floor: %w", err)
	}
	say("  floor: fsync %v, round trip %v", f.fsync, f.trip)
	return f, nil
}

func measureFsync(ctx context.Context, dir string) (time.Duration, error) {
	const writers, size = 3, 16 << 20
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var running sync.WaitGroup
	for i := range writers {
		running.Go(func() {
			took, err := writeAndSync(ctx, filepath.Join(dir, fmt.Sprint("floor", i)), size)
			mu.Lock()
			defer mu.Unlock()
			all, failed = append(all, took...), errors.Join(failed, err)
		})
	}
	running.Wait()
	return median(all), failed
}

// writeAndSync writes into a file that has its size already, until ctx ends.
func writeAndSync(ctx context.Context, path string, size int64) (took []time.Duration, err error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(path)) }()
	if _, err := file.Write(make([]byte, size)); err != nil {
		return nil, err
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	b := make([]byte, written)
	for at := int64(0); ctx.Err() == nil; at = (at + written) % (size - written) {
		begin := time.Now()
		if _, err := file.WriteAt(b, at); err != nil {
			return nil, err
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begin))
	}
	return took, nil
}

// echo is a service with one stream that says what it hears.
var echo = grpc.ServiceDesc{
	ServiceName: "bench.Echo", HandlerType: (*any)(nil),
	Streams: []grpc.StreamDesc{{
		StreamName: "Echo", ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, s grpc.ServerStream) error {
			for {
				m := &wrapperspb.BytesValue{}
				if err := s.RecvMsg(m); err != nil {
					return nil // the client is gone
				}
				if err := s.SendMsg(m); err != nil {
					return err
				}
			}
		},
	}},
}

func measureTrip() (time.Duration, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	server := grpc.NewServer()
	server.RegisterService(&echo, nil)
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(l) }) // ends by Stop
	defer running.Wait()
	defer server.Stop()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stream, err := conn.NewStream(ctx, &echo.Streams[0], "/bench.Echo/Echo")
	if err != nil {
		return 0, err
	}
	var all []time.Duration
	for range 3000 {
		begin := time.Now()
		m := &wrapperspb.BytesValue{Value: make([]byte, written)}
		if err := stream.SendMsg(m); err != nil {
			return 0, err
		}
		if err := stream.RecvMsg(m); err != nil {
			return 0, err
		}
		all = append(all, time.Since(begin))
	}
	return median(all[len(all)/10:]), nil
}

func median[T ~int64 | ~float64](all []T) T {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

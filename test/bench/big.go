package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/pmmc-go/pmmc/test/bench/cost"
	"github.com/pmmc-go/pmmc/test/bench/load"
)

// large is what a server did with a large state.
type large struct {
	name   string
	line   load.Line
	memory int64         // of the three processes, under load
	ready  time.Duration // until a follower that was killed answers again
}

// measureBig fills pmmc and etcd with keys, loads them, and kills a follower.
func (r *results) measureBig(ctx context.Context, p plan, dir string, programs *programs) error {
	return r.eachServer(ctx, p.big > 0, dir, programs, func(s *server) error {
		l, err := s.large(ctx, p, programs.pmmc)
		if err == nil {
			say("  %-5s with %d keys: %d MiB, ready after %v", l.name, p.big, l.memory>>20, l.ready)
			r.large = append(r.large, l)
		}
		return err
	})
}

// measureCosts counts what decrees cost, which takes no time.
func (r *results) measureCosts(_ context.Context, p plan, dir string, _ *programs) error {
	if !p.growth {
		return nil
	}
	for _, nodes := range []int{3, 5, 7} {
		for _, proposers := range []int{1, 64, 1024} {
			dir, err := os.MkdirTemp(dir, "cost-")
			if err != nil {
				return err
			}
			c, err := cost.Count(dir, cost.Load{Nodes: nodes, Proposers: proposers, Each: max(8, 200/proposers), Size: 256})
			if err != nil {
				return err
			}
			r.costs = append(r.costs, c)
		}
	}
	return nil
}

func (s *server) large(ctx context.Context, p plan, pmmc string) (l large, err error) {
	l.name = s.name
	if err := s.fill(ctx, p.big); err != nil {
		return l, err
	}
	leader, err := s.leader(ctx)
	if err != nil {
		return l, err
	}
	if l.line, err = runBench(ctx, p, pmmc, "put", "--keys", fmt.Sprint(p.big), "--clients", "1000", "--conns", "12",
		"--endpoints", s.endpoints[leader]); err != nil {
		return l, err
	}
	_, l.memory = s.usage()
	follower := (leader + 1) % len(names)
	s.kill(follower)
	began := time.Now()
	if err := s.startNode(follower); err != nil {
		return l, err
	}
	err = s.answers(ctx, follower)
	l.ready = time.Since(began)
	return l, err
}

// Keys are put in transactions of so many, by so many at a time.
const (
	putsOfTxn = 100
	fillers   = 32
)

// fill puts keys, those that pmmc bench draws.
func (s *server) fill(ctx context.Context, keys int) error {
	value := strings.Repeat("x", 256)
	var next atomic.Int64
	var filling sync.WaitGroup
	errs := make(chan error, fillers)
	for range fillers {
		filling.Go(func() {
			for {
				from := int(next.Add(putsOfTxn)) - putsOfTxn
				if from >= keys {
					return
				}
				var puts []clientv3.Op
				for i := from; i < min(from+putsOfTxn, keys); i++ {
					puts = append(puts, clientv3.OpPut(fmt.Sprintf("%016x", i), value))
				}
				if _, err := s.client.Txn(ctx).Then(puts...).Commit(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	filling.Wait()
	close(errs)
	return <-errs
}

// answers waits until a node answers a fresh read.
func (s *server) answers(ctx context.Context, i int) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: s.endpoints[i : i+1], Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		asked, done := context.WithTimeout(ctx, time.Second)
		_, err := client.Get(asked, "bench")
		if done(); err == nil || ctx.Err() != nil {
			return err
		}
	}
}

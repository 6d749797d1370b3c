package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// leased grants a lease and puts a key with it.
func leased(t *testing.T, c *clientv3.Client, key string, ttl int64) clientv3.LeaseID {
	t.Helper()
	granted, err := c.Grant(t.Context(), ttl)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(t.Context(), key, "x", clientv3.WithLease(granted.ID)); err != nil {
		t.Fatal(err)
	}
	return granted.ID
}

// TestLeases kills the node in office: a lease that is kept alive goes on, with its key,
// and one that is not ends, at all nodes alike.
func TestLeases(t *testing.T) {
	s := newSample(t, 3, "")
	s.start(names...)
	c := s.client(0, 1, 2)
	kept, left := leased(t, c, "kept", 10), leased(t, c, "left", 2)
	alive, err := c.KeepAlive(t.Context(), kept)
	if err != nil {
		t.Fatal(err)
	}
	if r := <-alive; r == nil || r.TTL != 10 {
		t.Fatalf("kept alive: %v", r)
	}

	leader := s.leader()
	s.nodes[leader].kill()
	eventually(t, "rid of the key of a lease that has expired", func() error {
		r, err := c.Get(t.Context(), "left")
		if err == nil && r.Count > 0 {
			err = errors.New("it is there")
		}
		return err
	})
	if r := <-alive; r == nil || r.TTL != 10 {
		t.Errorf("kept alive: %v", r)
	}
	s.start(leader)
	s.waitCaughtUp()
	for i, name := range names {
		one := s.client(i)
		if r, err := one.TimeToLive(t.Context(), kept, clientv3.WithAttachedKeys()); err != nil || r.TTL < 0 || r.GrantedTTL != 10 || len(r.Keys) != 1 {
			t.Errorf("%s: time to live %+v, %v", name, r, err)
		}
		if r, err := one.TimeToLive(t.Context(), left); err != nil || r.TTL != -1 {
			t.Errorf("%s: time to live of a lease that has expired: %+v, %v", name, r, err)
		}
		if r, err := one.Leases(t.Context()); err != nil || len(r.Leases) != 1 || r.Leases[0].ID != kept {
			t.Errorf("%s: leases %+v, %v", name, r, err)
		}
	}
	s.sameKeys(0, 1, 2)
	s.stop()
}

// session is one of etcd's, at members.
func (s *sample) session(members ...int) *concurrency.Session {
	s.t.Helper()
	session, err := concurrency.NewSession(s.client(members...), concurrency.WithTTL(60), concurrency.WithContext(s.t.Context()))
	if err != nil {
		s.t.Fatal(err)
	}
	return session
}

// TestConcurrency has sessions of etcd's package concurrency, at different nodes, share
// a lock, an election and a counter.
func TestConcurrency(t *testing.T) {
	s := newSample(t, 3, "")
	s.start(names...)
	ctx := t.Context()
	one, two := s.session(0), s.session(1)

	held, wanted := concurrency.NewMutex(one, "lock"), concurrency.NewMutex(two, "lock")
	if err := held.Lock(ctx); err != nil {
		t.Fatal(err)
	}
	if err := wanted.TryLock(ctx); !errors.Is(err, concurrency.ErrLocked) {
		t.Errorf("locked twice: %v", err)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if err := wanted.TryLock(ctx); err != nil {
		t.Errorf("lock after the session that had it: %v", err)
	}
	if err := held.Unlock(ctx); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		t.Errorf("unlock: %v", err)
	}

	election := concurrency.NewElection(two, "election")
	if err := election.Campaign(ctx, "two"); err != nil {
		t.Fatal(err)
	}
	if r, err := concurrency.NewElection(s.session(2), "election").Leader(ctx); err != nil || string(r.Kvs[0].Value) != "two" {
		t.Errorf("elected: %v, %v", r, err)
	}
	if err := election.Resign(ctx); err != nil {
		t.Error(err)
	}
	if got := s.count(ctx, 20); got != "60" {
		t.Errorf("counted to %s", got)
	}
	s.stop()
}

// count counts at all members at once, and returns how far it came.
func (s *sample) count(ctx context.Context, times int) string {
	s.t.Helper()
	failed := make(chan error, s.size)
	for m := range s.size {
		client := s.client(m)
		go func() {
			var err error
			for range times {
				if _, e := concurrency.NewSTM(client, func(stm concurrency.STM) error {
					n := 0
					_, _ = fmt.Sscan(stm.Get("count"), &n) // there is none at first
					stm.Put("count", fmt.Sprint(n+1))
					return nil
				}, concurrency.WithAbortContext(ctx)); e != nil {
					err = e
				}
			}
			failed <- err
		}()
	}
	for range s.size {
		if err := <-failed; err != nil {
			s.t.Error(err)
		}
	}
	r, err := s.client(0).Get(ctx, "count")
	if err != nil {
		s.t.Fatal(err)
	}
	return string(r.Kvs[0].Value)
}

// TestWaiting kills the node in office while sessions at all nodes wait for a lock, and for
// an election: each gets it, once.
func TestWaiting(t *testing.T) {
	s := newSample(t, 3, "")
	s.start(names...)
	ctx := t.Context()
	all := s.session(0, 1, 2)
	first, ruling := concurrency.NewMutex(all, "lock"), concurrency.NewElection(all, "election")
	if err := errors.Join(first.Lock(ctx), ruling.Campaign(ctx, "first")); err != nil {
		t.Fatal(err)
	}
	var holders atomic.Int32
	done := make(chan error, 2*s.size)
	for m := range s.size {
		session := s.session(m, (m+1)%s.size, (m+2)%s.size)
		go func() {
			mutex := concurrency.NewMutex(session, "lock")
			err := mutex.Lock(ctx)
			if holders.Add(1) > 1 {
				err = errors.Join(err, errors.New("two have the lock"))
			}
			holders.Add(-1)
			done <- errors.Join(err, mutex.Unlock(ctx))
		}()
		go func() {
			election := concurrency.NewElection(session, "election")
			done <- errors.Join(election.Campaign(ctx, "me"), election.Resign(ctx))
		}()
	}
	c := s.client(0, 1, 2)
	eventually(t, "all to wait", func() error { // what is under way when the node ends may fail
		r, err := c.Get(ctx, "", clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err == nil && r.Count < int64(2+2*s.size) {
			err = fmt.Errorf("%d are there", r.Count)
		}
		return err
	})
	leader := s.leader()
	s.nodes[leader].kill()
	eventually(t, "unlocked", func() error { return first.Unlock(ctx) })
	if err := ruling.Resign(ctx); err != nil { // another would return nil and do nothing
		eventually(t, "resigned", func() error {
			err := all.Close() // its lease ends, and with it the office
			if errors.Is(err, rpctypes.ErrLeaseNotFound) {
				return nil // it had ended, and the answer was lost
			}
			return err
		})
	}
	for range 2 * s.size {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	s.start(leader)
	s.waitCaughtUp()
	s.sameKeys(0, 1, 2)
	s.stop()
}

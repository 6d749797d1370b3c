// Package freeport finds ports for servers that are stopped and started again at the same
// ports, as nodes in tests are. A port that was found by listening at port 0 does not do: once
// it is closed the system gives it to any connection that goes out, or to another test.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Ports are given away from first on. As long as one is, its guard is held: a port that
// stands as far above as there are ports. All are below 32,768, from where on systems
// take those of connections that go out.
const (
	first    = 10_000
	count    = 11_000
	attempts = 1_000
)

// Take returns a port of 127.0.0.1. It, and those at the distances given from it (the first of
// which is 0, and the last the largest), are given to nobody else who asks this package, in any
// process, until release is called.
func Take(distances ...int) (base int, release func(), err error) {
	for range attempts {
		base = first + rand.IntN(count-distances[len(distances)-1])
		if release, err = hold(base, distances); err == nil {
			return base, release, nil
		}
	}
	return 0, nil, fmt.Errorf("freeport: none of %d draws from ports %d to %d is free: %w", attempts, first, first+count-1, err)
}

// hold listens at the guards, if nobody does, nor at the ports themselves.
func hold(base int, distances []int) (release func(), err error) {
	var guards []net.Listener
	release = func() {
		for _, l := range guards {
			_ = l.Close() // nothing was accepted
		}
	}
	for _, d := range distances {
		guard, err := listen(base + d + count)
		if err != nil {
			release()
			return nil, err
		}
		guards = append(guards, guard)
		port, err := listen(base + d)
		if err != nil {
			release()
			return nil, err
		}
		_ = port.Close() // nothing was accepted
	}
	return release, nil
}

func listen(port int) (net.Listener, error) { return net.Listen("tcp", address(port)) }

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// Claim is Take for a test, until it has ended.
func Claim(t testing.TB, distances ...int) (base int) {
	t.Helper()
	base, release, err := Take(distances...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return base
}

// TakeAddresses takes n ports, each by itself.
func TakeAddresses(n int) (addresses []string, release func(), err error) {
	var releases []func()
	release = func() {
		for _, r := range releases {
			r()
		}
	}
	for range n {
		port, one, err := Take(0)
		if err != nil {
			release()
			return nil, nil, err
		}
		addresses, releases = append(addresses, address(port)), append(releases, one)
	}
	return addresses, release, nil
}

// Addresses claims n ports for a test, each by itself.
func Addresses(t testing.TB, n int) []string {
	t.Helper()
	addresses, release, err := TakeAddresses(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return addresses
}

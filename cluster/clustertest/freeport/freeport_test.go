package freeport

import (
	"net"
	"testing"
)

// TestAPortIsGivenOnce takes a tenth of all ports, which hardly ever draws none twice: none is
// given twice while it is held, though nobody listens there, nor one at which somebody does.
func TestAPortIsGivenOnce(t *testing.T) {
	taken, release, err := Take(0)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := net.Listen("tcp", address(taken))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	release()
	var all []func()
	seen := make(map[int]bool)
	for range 400 {
		base, release, err := Take(0, 1, 20)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, release)
		for _, d := range []int{0, 1, 20} {
			if p := base + d; seen[p] || p == taken {
				t.Errorf("port %d is given twice", p)
			} else {
				seen[p] = true
			}
		}
	}
	for _, release := range all {
		release()
	}
	if _, err := hold(taken, []int{0}); err == nil {
		t.Error("a port at which somebody listens is given away")
	}
}

// TestAReleasedPortIsGivenAgain: guards are let go with the ports, and where one of several
// cannot be had, none is held.
func TestAReleasedPortIsGivenAgain(t *testing.T) {
	base, release, err := Take(0, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	release()
	last, err := hold(base+2, []int{0})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hold(base, []int{0, 1, 2}); err == nil {
		t.Error("one of three ports is held, and all are given away")
	}
	others, err := hold(base, []int{0, 1})
	if err != nil {
		t.Fatalf("what could not be had as a whole is held in part: %v", err)
	}
	last()
	others()
	all, err := hold(base, []int{0, 1, 2})
	if err != nil {
		t.Fatal(err)
	}
	all()
}

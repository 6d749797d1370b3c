package actors

import (
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/messages"
)

// S8, lease: while a majority promises no other ballot, a read is answered at once; when
// the lease is over on the slowest of clocks, it needs a round again.
func TestALeaseAnswersReadsUntilItMayBeOver(t *testing.T) {
	l, env := newTestLeader()
	l.Lease, l.Drift = 100*time.Millisecond, 0.1
	scoutNow(t, l, env)
	l.Receive(env, &messages.Adopted{Ballot: l.ballot.Proto()})
	confirm := func(from string, lease time.Duration) {
		l.Receive(env, &messages.Confirmed{
			From: string(AcceptorAddr(from, 1)), Ballot: l.ballot.Proto(), Number: l.office.number, Lease: uint64(lease),
		})
	}
	read := func() int {
		l.Receive(env, &messages.ReadRequest{From: "beta/replica", Number: 1})
		return len(take[*messages.ReadMark](env))
	}
	if asked := take[*messages.Confirm](env)[0]; asked.Lease != uint64(l.Lease) {
		t.Errorf("the round asks for a lease of %d ns, want %d", asked.Lease, l.Lease)
	}
	confirm("alpha", l.Lease)
	confirm("beta", 0) // it confirms, and grants none
	if read() != 0 {
		t.Error("a read is answered on a lease that one of three acceptors granted")
	}
	confirm("alpha", l.Lease) // of the read's own round
	confirm("gamma", l.Lease)
	if marks := len(take[*messages.ReadMark](env)); marks != 1 {
		t.Errorf("a round of confirmation answered %d reads, want 1", marks)
	}
	if env.now = l.usable() - 1; read() != 1 {
		t.Error("a read is not answered within the lease")
	}
	if env.now = l.usable(); read() != 0 {
		t.Error("a read is answered when the lease may be over")
	}
	if u := l.usable(); float64(u)/(1-l.Drift) > float64(l.Lease)/(1+l.Drift) {
		t.Errorf("%v of %v is used: it may be over on the fastest clock", u, l.Lease)
	}
}

// S8, lease: an acceptor promises no other leader's ballot until the lease is over on
// its own clock, nor after a restart for as long as it may have granted one.
func TestALeaseKeepsOtherBallotsOut(t *testing.T) {
	o := AcceptorOptions{Configuration: world3(), ChunkBytes: 10, Lease: 100 * time.Millisecond}
	a, env := NewAcceptor(o), &notes{self: "alpha/epoch-1/acceptor"}
	promised := func(round uint64, leader uint32) *messages.Ballot {
		a.Receive(env, &messages.P1A{From: "x", Ballot: ballot(round, leader)})
		return take[*messages.P1B](env)[0].Ballot
	}
	a.Start(env)
	if b := promised(1, 1); b.Round != 0 {
		t.Errorf("promised %v just after a start: a lease of before may stand", b)
	}
	env.now = o.Lease
	if b := promised(1, 1); b.Round != 1 {
		t.Errorf("promised %v after the wait, want 1.1", b)
	}
	a.Receive(env, &messages.Confirm{From: "y", Ballot: ballot(1, 1), Number: 1, Lease: uint64(time.Second)})
	if granted := time.Duration(take[*messages.Confirmed](env)[0].Lease); granted != o.Lease {
		t.Errorf("granted %v, want %v at the most", granted, o.Lease)
	}
	env.now += o.Lease - 1
	if b := promised(2, 2); b.Round != 1 {
		t.Errorf("promised %v within the lease of 1.1", b)
	}
	if b := promised(2, 1); b.Round != 2 {
		t.Errorf("promised %v to the leader that holds the lease, want 2.1", b)
	}
	env.now++
	if b := promised(3, 2); b.Round != 3 {
		t.Errorf("promised %v after the lease, want 3.2", b)
	}
}

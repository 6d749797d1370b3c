package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// ErrRefused is in the chain of what Reconfigure returns for a change that cannot be.
var ErrRefused = errors.New("cluster: the change of configuration is refused")

// ErrNoMajority is in the chain, too, where too few of the acceptors are reached.
var ErrNoMajority = errors.New("there would be no majority")

// Change makes the next configuration out of the latest. It may be called again, when
// another change came first. Epoch, First, Window and LastID are filled in.
type Change func(latest actors.Configuration) (next actors.Configuration, err error)

// Reconfigure has the cluster decide its next configuration, and returns it once this
// node knows that it was. It governs from WINDOW slots later on (S3). A change
// waits for the one before it.
func (n *Node) Reconfigure(ctx context.Context, change Change) (actors.Configuration, error) {
	for {
		latest, err := n.settled(ctx)
		if err != nil {
			return actors.Configuration{}, err
		}
		given := latest
		given.Members = slices.Clone(latest.Members) // for change to change
		next, err := change(given)
		if err != nil {
			return actors.Configuration{}, err
		}
		next.Epoch = latest.Epoch + 1
		if err = errors.Join(next.Follows(latest), keepsNames(next, latest)); err == nil {
			err = n.survives(ctx, next)
		}
		if err != nil {
			return actors.Configuration{}, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		r, err := n.client.propose(ctx, &messages.Command{Configuration: next.Proto()})
		if err != nil {
			return actors.Configuration{}, err
		}
		if len(r.Output) == 0 {
			return n.await(ctx, next.Epoch)
		}
		// Another change was faster: else it would have been refused above.
		if _, err := n.await(ctx, latest.Epoch+1); err != nil {
			return actors.Configuration{}, fmt.Errorf("%w: %s: %w", ErrRefused, r.Output, err)
		}
	}
}

// keepsNames refuses to give a member's name to another member in one step: in the epochs that
// still govern slots, the blank node of the new one would answer for the old one's promises (S11).
func keepsNames(next, latest actors.Configuration) error {
	for _, m := range next.Members {
		if old, ok := latest.Named(m.Name); ok && old.ID != m.ID {
			return fmt.Errorf("%q is member %d: remove it in a change of its own before member %d gets its name", m.Name, old.ID, m.ID)
		}
	}
	return nil
}

// ErrNotInOffice is returned by MoveLeader of a node whose leader is not in office.
var ErrNotInOffice = errors.New("cluster: the leader of this node is not in office")

// MoveLeader has another member's leader take over from this node's, in one round trip
// to the acceptors, and returns once it has. It asks the leader in office, not its heir: with
// a lease, no other one is let into office before that one gave it up.
func (n *Node) MoveLeader(ctx context.Context, to uint32) error {
	c := n.Configuration()
	m, ok := c.Member(to)
	if !ok || !m.Leader {
		return fmt.Errorf("%w: member %d is no leader of epoch %d", ErrRefused, to, c.Epoch)
	}
	self := actors.LeaderAddr(n.options.Member, c.Epoch)
	ask := time.NewTicker(n.options.Protocol.Resend)
	defer ask.Stop()
	for moved := false; ; moved = true {
		office := n.office()
		switch {
		case !moved && office.Leader != n.me().ID:
			return ErrNotInOffice
		case office.Leader == to:
			return nil
		}
		n.tree.Send(self, &messages.Succeed{From: string(self), Ballot: office.Proto(), Heir: to})
		select {
		case <-ask.C:
		case <-ctx.Done():
			return fmt.Errorf("cluster: move the office to %s: %w", m.Name, context.Cause(ctx))
		case <-n.done:
			return ErrStopped
		}
	}
}

// office is the ballot of the leader in office, as far as this node's replica knows.
func (n *Node) office() actors.Ballot {
	v, _ := view[actors.ReplicaView](n, actors.ReplicaAddr(n.options.Member))
	return v.Office
}

// LatestConfiguration is the latest one at the time of the call or after it, where
// Configuration is what this node knows of.
func (n *Node) LatestConfiguration(ctx context.Context) (actors.Configuration, error) {
	if err := n.Barrier(ctx); err != nil {
		return actors.Configuration{}, err
	}
	// The replica knows it now; the node is told by the replica.
	for ctx.Err() == nil {
		if v, ok := view[actors.ReplicaView](n, actors.ReplicaAddr(n.options.Member)); ok {
			return n.await(ctx, v.Epoch)
		}
		select {
		case <-n.ending:
			return actors.Configuration{}, ErrStopped
		default:
		}
	}
	return actors.Configuration{}, fmt.Errorf("cluster: the replica does not show itself: %w", context.Cause(ctx))
}

// settled waits until one configuration is in force, as of now, and returns it.
func (n *Node) settled(ctx context.Context) (actors.Configuration, error) {
	if _, err := n.LatestConfiguration(ctx); err != nil {
		return actors.Configuration{}, err
	}
	c, err := n.poll(ctx, func(all []actors.Configuration) bool { return len(all) == 1 })
	if _, ok := c.Named(n.options.Member); err == nil && !ok {
		return c, ErrRemoved // the node is about to end
	}
	return c, err
}

// await waits until this node knows of an epoch.
func (n *Node) await(ctx context.Context, epoch uint64) (actors.Configuration, error) {
	return n.poll(ctx, func(all []actors.Configuration) bool {
		return len(all) > 0 && all[len(all)-1].Epoch >= epoch
	})
}

// pollEvery is how often a wait looks at the configurations.
const pollEvery = 10 * time.Millisecond

func (n *Node) poll(ctx context.Context, holds func([]actors.Configuration) bool) (actors.Configuration, error) {
	ticks := time.NewTicker(pollEvery)
	defer ticks.Stop()
	for !holds(n.epochs()) {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return actors.Configuration{}, fmt.Errorf("cluster: an earlier change of configuration is under way: %w", context.Cause(ctx))
		case <-n.ending:
			if !holds(n.epochs()) { // the change may be what ended this node
				return actors.Configuration{}, ErrStopped
			}
		}
	}
	return n.Configuration(), nil
}

// reachPatience is how long a change waits for acceptors that this node does not reach:
// with one that has just been added, the connection may be under way.
const reachPatience = 2 * time.Second

// survives tells why the cluster would stand still in a configuration, as far as this
// node can see: a majority of its acceptors must be reached.
func (n *Node) survives(ctx context.Context, next actors.Configuration) error {
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	ticks := time.NewTicker(pollEvery)
	defer ticks.Stop()
	for {
		acceptors, silent := n.reaches(next)
		if 2*len(silent) < acceptors {
			return nil
		}
		select {
		case <-ticks.C:
		case <-n.ending:
			return ErrStopped
		case <-ctx.Done():
			return fmt.Errorf("of its %d acceptors this node does not reach %q: %w", acceptors, silent, ErrNoMajority)
		}
	}
}

// reaches counts a configuration's acceptors, and names those without a connection.
func (n *Node) reaches(next actors.Configuration) (acceptors int, silent []string) {
	peers := n.transport.Stats().Peers
	for _, m := range next.Members {
		if !m.Acceptor {
			continue
		}
		acceptors++
		if m.Name != n.options.Member && !peers[m.Name].Connected {
			silent = append(silent, m.Name)
		}
	}
	return acceptors, silent
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"github.com/pmmc-go/pmmc/cluster/gateway"
)

// This file is about the commands that wait for a learner.

// lookAgain is between two looks whether it has caught up, and every sayAgain of them what
// its node does is said, if that is new.
const (
	lookAgain = 250 * time.Millisecond
	sayAgain  = 8
)

func newMemberReplace() *cobra.Command {
	f := memberFlags{clientFlags: clientFlags{changes: true}}
	c := &cobra.Command{
		Use:   "replace OLD NEW --peer HOST:PORT",
		Short: "Put a new member in the place of another",
		Long: `Add NEW as a learner, wait until it has caught up, and then, in one step, give it all
roles and remove OLD, whose node may run or not. So there is never an acceptor more or
less. What is interrupted goes on when the same command is given again.`,
		Example: "  pmmc member replace alpha delta --peer 10.0.0.4:7001 --client 10.0.0.4:2379",
		Args:    cobra.ExactArgs(2),
		RunE:    func(c *cobra.Command, args []string) error { return f.replace(c, args[0], args[1]) },
	}
	f.addAddresses(c)
	c.Flags().DurationVar(&f.wait, "wait", 10*time.Minute, "how long to wait until NEW has caught up, at the most")
	c.ValidArgsFunction = f.completeMembers(1)
	f.addTo(c)
	return c
}

func (f *memberFlags) replace(c *cobra.Command, old, name string) error {
	v, err := f.newest(c)
	if err != nil {
		return err
	}
	there := v.member(name)
	switch {
	case v.member(old) == nil && there != nil && there.Acceptor:
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s is in the place of %s already\n", name, old)
		return err
	case v.member(old) == nil:
		_, err := f.find(c, old)
		return err
	case there == nil:
		added, err := f.add(c, name, nil, true)
		if err != nil {
			return err
		}
		if err := f.printAdded(c, added); err != nil {
			return err
		}
	case there.Peer != f.peer || there.Acceptor:
		return &usageError{c, fmt.Errorf("there is a member %q already, at %s, with the number %d", name, there.Peer, there.Id)}
	}
	out := v.member(old)
	err = f.patiently(c, name, func() (bool, error) {
		err := f.change(c, fmt.Sprintf("replaced by %s", name), out, func(ctx context.Context, client *clientv3.Client) (any, error) {
			return client.MemberRemove(metadata.AppendToOutgoingContext(ctx, gateway.MetadataReplacement, name), uint64(out.Id))
		})
		if errors.Is(err, rpctypes.ErrMemberLearnerNotReady) {
			return false, nil
		}
		return true, err
	})
	return err
}

// addAgain goes on with the learner of an earlier add that was the same; any other member of
// that name is why this one was refused. With --wait it may have been promoted since then.
func (f *memberFlags) addAgain(c *cobra.Command, name string, roles []string, learner bool, refused error) error {
	v, err := f.newest(c)
	if err != nil {
		return err
	}
	m := v.member(name)
	promoted := m.GetReplica() && m.GetLeader() && m.GetAcceptor() && f.wait > 0
	same := m.GetPeer() == f.peer && (f.client == "" || m.GetClient() == f.client)
	if len(roles) > 0 || !same || !promoted && (m.GetAcceptor() || m.GetPromote() == learner) {
		return &hinted{refused, "`pmmc member list` shows it. It has another address, or other roles: remove it first, or choose another name."}
	}
	_, err = fmt.Fprintf(c.ErrOrStderr(), "there already: member %s, number %d\n", m.Name, m.Id)
	return err
}

// waitPromoted waits until a member that was added is promoted by itself.
func (f *memberFlags) waitPromoted(c *cobra.Command, name string) error {
	return f.patiently(c, name, func() (bool, error) {
		v, err := f.newest(c)
		if err != nil {
			return false, err
		}
		m := v.member(name)
		switch {
		case m == nil:
			return false, fmt.Errorf("member %s was removed", name)
		case !m.Acceptor:
			return false, nil
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "promoted: member %s, number %d\n", m.Name, m.Id)
		return true, err
	})
}

// patiently does something again and again until it is done, for as long as --wait says.
func (f *memberFlags) patiently(c *cobra.Command, name string, do func() (done bool, err error)) error {
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	enough := time.NewTimer(f.wait)
	defer enough.Stop()
	said := ""
	for looks := 0; ; looks++ {
		if done, err := do(); done || err != nil {
			return err
		}
		if looks%sayAgain == 0 {
			if now := f.statusNow(c, name); now != said {
				said = now
				fmt.Fprintf(c.ErrOrStderr(), "waiting until %s has caught up: %s\n", name, now)
			}
		}
		select {
		case <-again.C:
		case <-enough.C:
			return &hinted{fmt.Errorf("%s has not caught up within %s", name, f.wait), "Is its node running? `pmmc member list` shows how far it is. It stays a learner; give the same command again to go on."}
		case <-c.Context().Done():
			return &hinted{fmt.Errorf("%w: %s stays a learner", context.Cause(c.Context()), name), "Remove it, or give the same command again to go on."}
		}
	}
}

// statusNow is what `pmmc member list` says of a member.
func (f *memberFlags) statusNow(c *cobra.Command, name string) string {
	rows, err := f.list(c)
	if err != nil {
		return briefly(err)
	}
	for _, r := range rows {
		if r.Name == name {
			return r.Status
		}
	}
	return "not a member"
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/agext/levenshtein"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/pmmc-go/pmmc/cluster/gateway"
	"github.com/pmmc-go/pmmc/config"
	"github.com/pmmc-go/pmmc/messages"
	"github.com/pmmc-go/pmmc/messages/admin"
)

const memberHelp = `List, add, remove, replace and promote the members of a running cluster. Members
are named, or given by their number. Etcd's clients can do the same: etcdctl member.`

func newMember() *cobra.Command {
	return onlyChildren(&cobra.Command{
		Use:     "member",
		GroupID: "ask",
		Short:   "List, add, remove, replace and promote members",
		Long:    memberHelp,
	}, newMemberList(), newMemberAdd(), newMemberRemove(), newMemberReplace(), newMemberPromote())
}

// memberFlags are those of the commands about members.
type memberFlags struct {
	clientFlags
	asJSON       bool
	peer, client string
	wait         time.Duration
}

func (f *memberFlags) addTo(c *cobra.Command) {
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	f.clientFlags.addTo(c, askTimeout)
	c.GroupID = ""
}

// addAddresses gives a command the flags about where a new member is.
func (f *memberFlags) addAddresses(c *cobra.Command) {
	c.Flags().StringVar(&f.peer, "peer", "", "where the other members will reach it, as host:port")
	c.Flags().StringVar(&f.client, "client", "", "where clients will reach it, as host:port (default: what its node says)")
	if err := c.MarkFlagRequired("peer"); err != nil {
		panic(err) // the flag is two lines above
	}
}

func newMemberList() *cobra.Command {
	var f memberFlags
	c := &cobra.Command{
		Use:   "list",
		Short: "Show the members in a table",
		Long: `Show the members, as the node among the endpoints knows them that knows most.

  ROLES    r replica, l leader, a acceptor
  LEARNER  yes until it is promoted, auto if it will be by itself
  STATUS   what the member's own node says when it is asked`,
		Example: "  pmmc member list\n  pmmc member list --json --endpoints 10.0.0.1:2379,10.0.0.2:2379",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			rows, err := f.list(c)
			switch {
			case err != nil:
				return err
			case f.asJSON:
				return printJSON(c.OutOrStdout(), rows)
			}
			return printMembers(c.OutOrStdout(), rows)
		},
	}
	f.addTo(c)
	return c
}

func newMemberAdd() *cobra.Command {
	f := memberFlags{clientFlags: clientFlags{changes: true}}
	var learner bool
	var roles []string
	c := &cobra.Command{
		Use:   "add NAME --peer HOST:PORT",
		Short: "Add a member",
		Long: `Add a member. It begins as a learner, which executes what the others decide, and
becomes a leader and an acceptor by itself once it has kept up with them for a while
(auto_promote in the configuration), so a node that never starts weakens nobody.
With --roles it has these at once. Its node is started with join in its configuration,
before or after this. What is interrupted goes on when the same command is given again.`,
		Example: "  pmmc member add delta --peer 10.0.0.4:7001 --client 10.0.0.4:2379\n  pmmc member add delta --peer 10.0.0.4:7001 --roles acceptor",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			added, err := f.add(c, args[0], roles, learner)
			var refused *refusedError
			switch {
			case errors.As(err, &refused) && refused.code == codes.AlreadyExists:
				err = f.addAgain(c, args[0], roles, learner, err)
			case err == nil:
				err = f.printAdded(c, added)
			}
			if err != nil || f.wait == 0 {
				return err
			}
			return f.waitPromoted(c, args[0])
		},
	}
	flags := c.Flags()
	f.addAddresses(c)
	flags.BoolVar(&learner, "learner", false, "it stays a learner, until it is promoted by hand")
	flags.StringSliceVar(&roles, "roles", nil, "what it does, at once: replica, leader, acceptor")
	flags.DurationVar(&f.wait, "wait", 0, "wait until it is promoted, for so long at the most (5m if no time is given)")
	flags.Lookup("wait").NoOptDefVal = "5m"
	c.MarkFlagsMutuallyExclusive("roles", "learner", "wait")
	completeRoles(c)
	f.addTo(c)
	return c
}

func newMemberRemove() *cobra.Command {
	f := memberFlags{clientFlags: clientFlags{changes: true}}
	c := &cobra.Command{
		Use:   "remove MEMBER",
		Short: "Remove a member",
		Long: `Remove a member, whether its node runs or not. If it runs, it ends by itself. Its
number, and what is on its disk, are of no use to anybody from then on.`,
		Example: "  pmmc member remove alpha",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := f.find(c, args[0])
			if err != nil {
				return err
			}
			return f.change(c, "removed", m, func(ctx context.Context, client *clientv3.Client) (any, error) {
				return client.MemberRemove(ctx, uint64(m.Id))
			})
		},
	}
	c.ValidArgsFunction = f.completeMembers(1)
	f.addTo(c)
	return c
}

func newMemberPromote() *cobra.Command {
	f := memberFlags{clientFlags: clientFlags{changes: true}}
	c := &cobra.Command{
		Use:     "promote MEMBER",
		Short:   "Make a learner a leader and an acceptor",
		Long:    "Make a learner a leader and an acceptor. It is refused while the learner lags.",
		Example: "  pmmc member promote delta",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := f.find(c, args[0])
			if err != nil {
				return err
			}
			return f.change(c, "promoted", m, func(ctx context.Context, client *clientv3.Client) (any, error) {
				return client.MemberPromote(ctx, uint64(m.Id))
			})
		},
	}
	c.ValidArgsFunction = f.completeMembers(1)
	f.addTo(c)
	return c
}

// add has a member added, and returns it.
func (f *memberFlags) add(c *cobra.Command, name string, roles []string, learner bool) (added *clientv3.Member, err error) {
	for _, address := range []string{f.peer, f.client} {
		if host, port, err := net.SplitHostPort(address); address != "" && (err != nil || host == "" || port == "") {
			return nil, &usageError{c, fmt.Errorf("want host:port, such as 10.0.0.4:7001, not %q", address)}
		}
	}
	pairs := []string{gateway.MetadataName, name}
	if f.client != "" {
		pairs = append(pairs, gateway.MetadataClient, f.client)
	}
	for _, role := range roles {
		if !slices.Contains(config.Roles(), config.Role(role)) {
			return nil, &usageError{c, fmt.Errorf("--roles has %q: want any of replica, leader, acceptor", role)}
		}
		pairs = append(pairs, gateway.MetadataRoles, role)
	}
	err = f.do(c, func(ctx context.Context, client *clientv3.Client) error {
		ctx = metadata.AppendToOutgoingContext(ctx, pairs...)
		add := client.MemberAdd
		if learner {
			add = client.MemberAddAsLearner
		}
		answer, err := add(ctx, []string{"http://" + f.peer}) // the scheme says nothing
		if err == nil {
			added = (*clientv3.Member)(answer.Member)
		}
		return err
	})
	return added, advised(err)
}

// change makes one change of a member, and says so.
func (f *memberFlags) change(c *cobra.Command, done string, m *messages.Member, ask func(context.Context, *clientv3.Client) (any, error)) error {
	return advised(f.do(c, func(ctx context.Context, client *clientv3.Client) error {
		answer, err := ask(ctx, client)
		switch {
		case err != nil:
			return err
		case f.asJSON:
			return printJSON(c.OutOrStdout(), answer)
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s: member %s, number %d\n", done, m.Name, m.Id)
		return err
	}))
}

// advised adds what to do to etcd's errors about members.
func advised(err error) error {
	for etcd, hint := range map[error]string{
		rpctypes.ErrUnhealthy:              "Too few of the acceptors that there would be are reached. `pmmc member list` shows which are not: start them, or remove them first.",
		rpctypes.ErrMemberNotEnoughStarted: "No member would be left with one of the roles replica, leader and acceptor. Add another member first.",
		rpctypes.ErrMemberLearnerNotReady:  "It is not connected, or lags. Is its node running? `pmmc member list` shows how far it is.",
		rpctypes.ErrPeerURLExist:           "`pmmc member list` shows which member has this peer address.",
	} {
		if errors.Is(err, etcd) {
			return &hinted{err, hint}
		}
	}
	if s := answered(err); strings.HasPrefix(s.Message(), "pmmc: ") {
		return &refusedError{s.Code(), strings.TrimPrefix(s.Message(), "pmmc: ")}
	}
	return err
}

// refusedError is what a node refused, in words of our own.
type refusedError struct {
	code codes.Code
	why  string
}

func (e *refusedError) Error() string { return e.why }

// view is what a node that was asked about members answered.
type view struct {
	cluster string
	*messages.Configuration
}

// newest is the latest configuration that any of the endpoints knows.
func (f *memberFlags) newest(c *cobra.Command) (view, error) {
	if err := f.check(); err != nil {
		return view{}, &usageError{c, err}
	}
	secure, err := f.tls.load()
	if err != nil {
		return view{}, &usageError{c, err}
	}
	ctx, cancel := context.WithTimeout(c.Context(), f.timeout)
	defer cancel()
	answers, errs := make([]*admin.StatusResponse, len(f.endpoints)), make([]error, len(f.endpoints))
	var all sync.WaitGroup
	for i, endpoint := range f.endpoints {
		all.Go(func() { answers[i], errs[i] = askStatus(ctx, endpoint, secure) })
	}
	all.Wait()
	var latest view
	for _, a := range answers {
		if a.GetConfiguration().GetEpoch() > latest.GetEpoch() {
			latest = view{a.Cluster, a.Configuration}
		}
	}
	if latest.Configuration != nil {
		return latest, nil
	}
	for i, err := range errs {
		if err != nil {
			return view{}, &hinted{fmt.Errorf("no member answers: %s: %s", f.endpoints[i], briefly(err)), whyUnreached}
		}
	}
	return view{}, &hinted{errors.New("none of the endpoints is a member"), "A node that waits to be added knows of no members: ask others."}
}

// find finds a member by its name or its number.
func (f *memberFlags) find(c *cobra.Command, which string) (*messages.Member, error) {
	v, err := f.newest(c)
	if err != nil {
		return nil, err
	}
	if m := v.member(which); m != nil {
		return m, nil
	}
	return nil, &hinted{fmt.Errorf("there is no member %q%s", which, v.similar(which)), "`pmmc member list` shows all."}
}

func (v view) member(which string) *messages.Member {
	i := slices.IndexFunc(v.GetMembers(), func(m *messages.Member) bool {
		return m.Name == which || strconv.FormatUint(uint64(m.Id), 10) == which
	})
	if i < 0 {
		return nil
	}
	return v.Members[i]
}

// similar suggests a member that was perhaps meant, or says nothing.
func (v view) similar(which string) string {
	for _, m := range v.Members {
		if levenshtein.Distance(which, m.Name, nil) < 3 {
			return fmt.Sprintf("; did you mean %q?", m.Name)
		}
	}
	return ""
}

// completeMembers offers the names of members as arguments.
func (f *memberFlags) completeMembers(most int) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begin string) (names []string, _ cobra.ShellCompDirective) {
		if v, err := f.newest(c); err == nil && len(args) < most {
			for _, m := range v.Members {
				if strings.HasPrefix(m.Name, begin) {
					names = append(names, m.Name)
				}
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func completeRoles(c *cobra.Command) {
	var roles []string
	for _, r := range config.Roles() {
		roles = append(roles, string(r))
	}
	if err := c.RegisterFlagCompletionFunc("roles", cobra.FixedCompletions(roles, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is there, and has no other
	}
}

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

const rootHelp = `pmmc keeps keys and values on several machines that agree on every change by the
algorithm of "Paxos Made Moderately Complex" (PMMC). It speaks etcd's v3 API.

Exit codes: 0 done, 1 failed, 2 bad usage or configuration.`

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "pmmc",
		Short:         "A replicated key-value store on multi-decree Paxos, for etcd clients",
		Long:          rootHelp,
		SilenceErrors: true, // run prints them,
		SilenceUsage:  true, // and where to read more
		Example: `  pmmc dev                             # three nodes in this process, to try
  pmmc node --config /etc/pmmc         # one node, for real
  pmmc put colour red && pmmc get colour`,
	}
	root.AddGroup(&cobra.Group{ID: "run", Title: "Run nodes:"}, &cobra.Group{ID: "ask", Title: "Talk to them:"})
	root.AddCommand(
		newNode(), newDev(), newConfig(), newCert(), newAudit(), newSim(), newRecover(), newCheck(),
		newMember(), newStatus(), newTop(), newGet(), newPut(), newDel(), newTxn(), newSnapshot(), newBench(),
		newPaper(), newVersion(),
	)
	root.SetHelpCommandGroupID("")
	return root
}

// onlyChildren makes a command that does nothing itself.
func onlyChildren(c *cobra.Command, children ...*cobra.Command) *cobra.Command {
	c.AddCommand(children...)
	c.SuggestionsMinimumDistance = 2
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return &usageError{c, errors.New(unknown(c, args[0]))}
	}
	return c
}

// unknown says that a command has no such child, and which was perhaps meant.
func unknown(c *cobra.Command, name string) string {
	text := `unknown command "` + name + `" for "` + c.CommandPath() + `"`
	for i, s := range c.SuggestionsFor(name) {
		if i == 0 {
			text += "; did you mean"
		}
		text += ` "` + s + `"`
	}
	return text
}

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/pmmc-go/pmmc/test/conformance"
)

const auditHelp = `Judge what nodes did against the paper and the safety rules of this program: the
traces that "pmmc node --trace FILE" wrote, one of each node of the cluster. They must
begin together: at the first start of the nodes, or after all were down. Where several
orders of what happened on different nodes are possible, the verdict holds for all.

It prints what was seen and exits with 0, or names the first rule that was broken, the
line of the paper's figure and the lines of the traces that break it, and exits with 1.
A trace in which nothing was decided does not pass.`

func newAudit() *cobra.Command {
	return &cobra.Command{
		Use:     "audit FILE…",
		GroupID: "run",
		Short:   "Judge the traces of a cluster against the paper",
		Long:    auditHelp,
		Example: "  pmmc audit alpha.trace beta.trace gamma.trace",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) (err error) {
			var sources []conformance.Source
			for _, name := range files {
				f, err := os.Open(name)
				if err != nil {
					return &usageError{c, err}
				}
				defer f.Close() // it was only read
				sources = append(sources, conformance.Source{Name: name, In: f})
			}
			counts, err := conformance.Audit(sources...)
			if _, printed := fmt.Fprintln(c.OutOrStdout(), counts); printed != nil {
				return printed
			}
			var breach *conformance.Breach
			switch {
			case errors.As(err, &breach):
				return &hinted{err, "docs/paper.md says how each rule is judged. What it names was done by a node, or the trace was changed."}
			case err != nil:
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), "good: no rule is broken")
			return err
		},
	}
}

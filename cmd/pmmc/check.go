package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

const checkHelp = `Read all files of a data directory and compare their checksums. Its node must not run;
one that runs does so by itself, every check_every of its configuration.

What is damaged is named, with the byte and, in the journal, the slot that it is behind.
The exit code is 1 then. Nothing is changed, but that what a crash left undone at the end
of the journal is completed, as by a start.`

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use:     "check DIR",
		GroupID: "run",
		Short:   "Read a data directory and compare its checksums",
		Long:    checkHelp,
		Example: "  pmmc check data/alpha",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			parts, err := cluster.CheckDataDir(args[0], kv.CheckDir)
			if err != nil {
				return advise(err)
			}
			var failures []error
			for _, part := range parts {
				if part.Err == nil {
					fmt.Fprintf(c.OutOrStdout(), "ok       %s, %s\n", part.Path, part.Says)
					continue
				}
				fmt.Fprintf(c.OutOrStdout(), "DAMAGED  %s, %s\n", part.Path, part.Says)
				failures = append(failures, part.Err)
			}
			return advise(errors.Join(failures...))
		},
	}
}

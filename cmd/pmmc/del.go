package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func newDel() *cobra.Command {
	f := clientFlags{changes: true}
	var prefix, asJSON bool
	var end string
	c := &cobra.Command{
		Use:     "del KEY",
		Short:   "Delete a key, or the keys of a range",
		Long:    "Delete KEY, or with --prefix or --range-end all keys of a range, and say how many\nthere were.",
		Example: "  pmmc del colour\n  pmmc del --prefix users/",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var options []clientv3.OpOption
			switch {
			case prefix:
				options = append(options, clientv3.WithPrefix())
			case end != "":
				options = append(options, clientv3.WithRange(end))
			}
			return f.do(c, func(ctx context.Context, client *clientv3.Client) error {
				answer, err := client.Delete(ctx, args[0], options...)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(c.OutOrStdout(), answer)
				}
				return printHeader(c.OutOrStdout(), fmt.Sprintf("deleted %d", answer.Deleted), answer.Header)
			})
		},
	}
	flags := c.Flags()
	flags.BoolVar(&prefix, "prefix", false, "all keys that begin with KEY")
	flags.StringVar(&end, "range-end", "", "all keys from KEY to before this one")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagsMutuallyExclusive("prefix", "range-end")
	f.addTo(c, askTimeout)
	return c
}

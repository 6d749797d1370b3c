package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func newPut() *cobra.Command {
	f := clientFlags{changes: true}
	var asJSON bool
	c := &cobra.Command{
		Use:     "put KEY VALUE|-",
		Short:   "Give a key a value",
		Long:    "Give KEY a value. The value - is what comes from the standard input, to its end.\nA value that begins with - needs -- before the key.",
		Example: "  pmmc put colour red\n  pmmc put notes - <notes.txt",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			key, value := args[0], args[1]
			if value == "-" {
				text, err := readInput(c, io.ReadAll)
				if err != nil {
					return err
				}
				value = text
			}
			return f.do(c, func(ctx context.Context, client *clientv3.Client) error {
				answer, err := client.Put(ctx, key, value)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(c.OutOrStdout(), answer)
				}
				return printHeader(c.OutOrStdout(), "put", answer.Header)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	f.addTo(c, askTimeout)
	return c
}

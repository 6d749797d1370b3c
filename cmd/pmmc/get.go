package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// askTimeout is how long the commands wait for an answer.
const askTimeout = 10 * time.Second

// getFlags say which keys, and how they are shown.
type getFlags struct {
	client       clientFlags
	prefix       bool
	end          string
	limit        int64
	revision     int64
	serializable bool
	json         bool
}

func newGet() *cobra.Command {
	f := new(getFlags)
	c := &cobra.Command{
		Use:   "get KEY",
		Short: "Print the value of a key, or the keys and values of a range",
		Long: `Print the value of KEY, or with --prefix or --range-end each key and, after a tab,
its value. The exit code is 1 when there is no such key; a range may be empty.

What is read is at least as new as whatever was answered to anybody before. With
--serializable the node that is asked answers from what it has, which may be old,
and needs no majority. A node that has just started answers once it has caught up.`,
		Example: "  pmmc get colour\n  pmmc get --prefix users/ --limit 10",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	flags := c.Flags()
	flags.BoolVar(&f.prefix, "prefix", false, "all keys that begin with KEY")
	flags.StringVar(&f.end, "range-end", "", "all keys from KEY to before this one")
	flags.Int64Var(&f.limit, "limit", 0, "so many keys at the most; 0 is all")
	flags.Int64Var(&f.revision, "rev", 0, "as of this revision; 0 is the last one")
	flags.BoolVar(&f.serializable, "serializable", false, "whatever the node has; it may be old")
	flags.BoolVar(&f.json, "json", false, "print JSON, in which keys and values are base64")
	c.MarkFlagsMutuallyExclusive("prefix", "range-end")
	f.client.addTo(c, askTimeout)
	return c
}

func (f *getFlags) run(c *cobra.Command, key string) error {
	options := []clientv3.OpOption{clientv3.WithLimit(f.limit), clientv3.WithRev(f.revision)}
	if f.serializable {
		options = append(options, clientv3.WithSerializable())
	}
	ranged := f.prefix || f.end != ""
	switch {
	case f.prefix:
		options = append(options, clientv3.WithPrefix())
	case f.end != "":
		options = append(options, clientv3.WithRange(f.end))
	case key == "":
		return &usageError{c, errors.New("KEY is empty: want one, or --prefix for all keys")}
	}
	return f.client.do(c, func(ctx context.Context, client *clientv3.Client) error {
		answer, err := client.Get(ctx, key, options...)
		if err != nil {
			return err
		}
		switch {
		case f.json:
			err = printJSON(c.OutOrStdout(), answer)
		case ranged:
			err = printPairs(c.OutOrStdout(), answer.Kvs)
		case len(answer.Kvs) > 0:
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", answer.Kvs[0].Value)
		}
		if err == nil && !ranged && len(answer.Kvs) == 0 {
			err = fmt.Errorf("there is no key %q", key)
		}
		return err
	})
}

// printPairs prints keys and values, one of each a line.
func printPairs(w io.Writer, pairs []*mvccpb.KeyValue) error {
	for _, kv := range pairs {
		if _, err := fmt.Fprintf(w, "%s\t%s\n", kv.Key, kv.Value); err != nil {
			return err
		}
	}
	return nil
}

// printJSON prints an answer on one line, as etcdctl does.
func printJSON(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }

// printHeader prints at which revision a change was made.
func printHeader(w io.Writer, what string, h *pb.ResponseHeader) error {
	_, err := fmt.Fprintf(w, "%s at revision %d\n", what, h.GetRevision())
	return err
}

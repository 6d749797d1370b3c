package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const txnHelp = `Run operations as one: those of --then if all conditions of --if hold, and
otherwise those of --else. Each flag can be given more than once. The first line
printed is "then" or "else", and says which were run.

A condition is value(KEY), version(KEY), create(KEY) or mod(KEY), then =, !=, < or >,
then a value, or for the latter three a number: create and mod are revisions, and
version(KEY) = 0 holds where there is no such key.

An operation is put KEY VALUE, get KEY or del KEY; get and del take --prefix.

Keys and values with a space or anything else in them are quoted: "two words",
"a\nb". Without flags all is read from the standard input, one a line, in three
paragraphs that an empty line separates: conditions, then, else.`

// txnFlags are a transaction as text.
type txnFlags struct {
	client            clientFlags
	when, then, other []string
	json              bool
}

func newTxn() *cobra.Command {
	f := &txnFlags{client: clientFlags{changes: true}}
	c := &cobra.Command{
		Use:   "txn",
		Short: "Run operations as one, if conditions hold",
		Long:  txnHelp,
		Example: `  pmmc txn --if 'value(colour) = red' --then 'put colour blue' --else 'get colour'
  printf 'version(lock) = 0\n\nput lock me\n\nget lock\n' | pmmc txn`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	flags := c.Flags()
	flags.StringArrayVar(&f.when, "if", nil, "a condition, such as 'value(a) = 1'")
	flags.StringArrayVar(&f.then, "then", nil, "an operation for when all conditions hold, such as 'put a 2'")
	flags.StringArrayVar(&f.other, "else", nil, "an operation for when they do not")
	flags.BoolVar(&f.json, "json", false, "print JSON, in which keys and values are base64")
	f.client.addTo(c, askTimeout)
	return c
}

func (f *txnFlags) run(c *cobra.Command) error {
	if len(f.when)+len(f.then)+len(f.other) == 0 {
		text, err := readInput(c, io.ReadAll)
		if err != nil {
			return err
		}
		if err := f.read(text); err != nil {
			return &usageError{c, err}
		}
	}
	conditions, err := parseAll(f.when, parseCondition)
	then, thenErr := parseAll(f.then, parseOperation)
	other, otherErr := parseAll(f.other, parseOperation)
	if err := errors.Join(err, thenErr, otherErr); err != nil {
		return &usageError{c, err}
	}
	if len(then)+len(other) == 0 {
		return &usageError{c, errors.New("there is no operation: want --then or --else, or both")}
	}
	return f.client.do(c, func(ctx context.Context, client *clientv3.Client) error {
		answer, err := client.Txn(ctx).If(conditions...).Then(then...).Else(other...).Commit()
		if err != nil {
			return err
		}
		if f.json {
			return printJSON(c.OutOrStdout(), answer)
		}
		return printTxn(c.OutOrStdout(), (*pb.TxnResponse)(answer))
	})
}

// read takes the three paragraphs apart.
func (f *txnFlags) read(text string) error {
	paragraphs := []*[]string{&f.when, &f.then, &f.other}
	at := 0
	for line := range strings.Lines(text) {
		switch line = strings.TrimRight(line, "\r\n"); {
		case line == "":
			at++
		case at >= len(paragraphs):
			return fmt.Errorf("a fourth paragraph on the standard input: %q: want conditions, then, else", line)
		default:
			*paragraphs[at] = append(*paragraphs[at], line)
		}
	}
	return nil
}

// parseAll parses each text, and says what is wrong with all that are wrong.
func parseAll[T any](texts []string, parse func(string) (T, error)) ([]T, error) {
	var all []T
	var errs []error
	for _, text := range texts {
		one, err := parse(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", text, err))
		}
		all = append(all, one)
	}
	return all, errors.Join(errs...)
}

// printTxn prints what was run, and what came of each operation.
func printTxn(w io.Writer, answer *pb.TxnResponse) error {
	ran := "else"
	if answer.Succeeded {
		ran = "then"
	}
	_, err := fmt.Fprintln(w, ran)
	for _, r := range answer.Responses {
		switch {
		case err != nil:
			return err
		case r.GetResponsePut() != nil:
			err = printHeader(w, "put", answer.Header)
		case r.GetResponseDeleteRange() != nil:
			err = printHeader(w, fmt.Sprintf("deleted %d", r.GetResponseDeleteRange().Deleted), answer.Header)
		case r.GetResponseRange() != nil:
			err = printPairs(w, r.GetResponseRange().Kvs)
		}
	}
	return err
}

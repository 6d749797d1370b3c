// Command pmmc runs nodes of a replicated key-value store, and talks to them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // the command line or a configuration is wrong; nothing was done
)

func main() {
	keepUsageApart()
	if len(os.Args) > 1 && os.Args[1] == "node" {
		relaxTimers()
	}
	ctx := endOnSignal(context.Background())
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// keepUsageApart has a crash end the process by SIGABRT. Go ends a program that panics, that
// runs out of memory or that receives SIGQUIT with code 2, which is exitUsage here: a service
// manager must start a node that crashed again, and one whose configuration is wrong not.
// No wrapper could tell the two apart better, and no recover reaches goroutines of libraries.
func keepUsageApart() { debug.SetTraceback("crash") }

// echo is how long after the first signal another one may be the same wish: GNU timeout
// signals its child, and then its child's process group, milliseconds later.
const echo = 500 * time.Millisecond

// endOnSignal returns a context that the first SIGINT or SIGTERM ends. The next one that is
// no echo of it ends the process at once.
func endOnSignal(parent context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		first := <-signals
		cancel(&signalError{first})
		fmt.Fprintf(os.Stderr, "Error: %s again: ended at once\n", afterEcho(signals))
		os.Exit(exitFailed)
	}()
	return ctx
}

// afterEcho waits for the first signal that comes when the echo is over.
func afterEcho(signals <-chan os.Signal) os.Signal {
	began := time.Now()
	for {
		if next := <-signals; time.Since(began) >= echo {
			return next
		}
	}
}

// signalError is why a context ended that a signal ended.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string { return e.signal.String() }

// run runs one command line and returns its exit code.
func run(ctx context.Context, args []string, in io.Reader, out, err io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(err)
	began := watchBeginning(root)
	cmd, failure := root.ExecuteContextC(ctx)
	if failure == nil {
		return exitDone
	}
	var usage *usageError
	var diagnosed *configError
	switch {
	case errors.As(failure, &diagnosed): // it was printed where it was found
		return exitUsage
	case errors.As(failure, &usage):
	case !*began:
		failure = &usageError{cmd, failure}
	default:
		report(err, failure)
		return exitFailed
	}
	report(err, failure)
	return exitUsage
}

// watchBeginning tells whether a command of the tree began to run: an error before
// that is one of usage.
func watchBeginning(c *cobra.Command) *bool {
	began := new(bool)
	var watch func(*cobra.Command)
	watch = func(c *cobra.Command) {
		if run := c.RunE; run != nil {
			c.RunE = func(c *cobra.Command, args []string) error {
				*began = true
				return run(c, args)
			}
		}
		for _, child := range c.Commands() {
			watch(child)
		}
	}
	watch(c)
	return began
}

// usageError is a command line, or what a configuration says, that cannot be right.
type usageError struct {
	cmd *cobra.Command // may be nil where err has a hint of its own
	err error
}

func (e *usageError) Error() string { return e.err.Error() }

// Hint tells where to look.
func (e *usageError) Hint() string {
	var h interface{ Hint() string }
	if errors.As(e.err, &h) {
		return h.Hint()
	}
	return fmt.Sprintf("`%s --help` shows how it is used.", e.cmd.CommandPath())
}

// hinted is an error that knows what to do about it.
type hinted struct {
	error
	hint string
}

// Hint tells it.
func (e *hinted) Hint() string { return e.hint }

// Unwrap returns the error without the hint.
func (e *hinted) Unwrap() error { return e.error }

// report prints an error, and its hint if it has one.
func report(w io.Writer, err error) {
	fmt.Fprintf(w, "Error: %s\n", strings.TrimSpace(err.Error()))
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		fmt.Fprintf(w, "Hint: %s\n", h.Hint())
	}
}

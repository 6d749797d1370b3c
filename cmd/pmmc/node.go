package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/kv"
	"github.com/pmmc-go/pmmc/cluster/trace"
	"github.com/pmmc-go/pmmc/config"
)

const nodeHelp = `Run a node until it is told to end: the first SIGINT or SIGTERM ends it cleanly,
within shutdown_timeout of its configuration, another one at once, if it comes half a
second later or more. Both lose nothing.

When it takes part in the cluster, and so can answer clients, it prints one line
that begins with "ready". All else that it has to say goes to the standard error.

Upon SIGHUP it reads its configuration again. The log level and the limits are then those
that are written there, but for what its log names, which takes a new start.

With join in its configuration it waits until it is added to the cluster, and says
by which command that is done. A node whose member is removed says so, and what to
do next, and ends with exit code 0.`

func newNode() *cobra.Command {
	var path, level, tracePath string
	c := &cobra.Command{
		Use:     "node --config FILE|FOLDER",
		GroupID: "run",
		Short:   "Run a node",
		Long:    nodeHelp,
		Example: "  pmmc node --config config/samples/alpha.hcl",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			hangups := make(chan os.Signal, 1) // from now on, or one while the node starts would end it
			signal.Notify(hangups, syscall.SIGHUP)
			defer signal.Stop(hangups)
			cfg, err := loadConfig(path, c.ErrOrStderr())
			if err != nil {
				return err
			}
			if level != "" {
				if err := checkLevel(level); err != nil {
					return &usageError{c, err}
				}
				cfg.Node.LogLevel = level
			}
			var observe func(actors.Event)
			if tracePath != "" {
				w, err := trace.Create(tracePath)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, w.Close()) }()
				observe = w.Observe
			}
			return runNode(c.Context(), cfg, observe, reloading{path, level, hangups}, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&path, "config", "", "its configuration: a file, or a folder of files *.hcl")
	c.Flags().StringVar(&level, "log-level", "", "what is logged, instead of what the configuration says: "+strings.Join(levels, ", "))
	c.Flags().StringVar(&tracePath, "trace", "", "append all that the roles do to this `FILE`, for pmmc audit; it grows fast")
	if err := c.MarkFlagRequired("config"); err != nil {
		panic(err) // the flag is three lines above
	}
	return c
}

var levels = []string{"trace", "debug", "info", "warn", "error", "off"}

func checkLevel(level string) error {
	for _, l := range levels {
		if l == level {
			return nil
		}
	}
	return fmt.Errorf("--log-level is %q: want one of %s", level, strings.Join(levels, ", "))
}

// gcPercent is how much garbage there may be before it is collected, for 100 of what
// lives, unless GOGC says it. Little lives on a node's heap: Pebble's memory is not there.
const gcPercent = 200

// rebuilds is how often a process begins anew with an empty state, at the most: a disk that
// damages it again and again is of no use.
const rebuilds = 3

// runNode runs one node until ctx ends, or the node does. One that ends because its state
// is damaged is started again: it puts that aside, and fetches what the others have.
func runNode(ctx context.Context, cfg *config.Config, observe func(actors.Event), again reloading, out, logs io.Writer) error {
	log := newLogger(cfg, logs)
	for begins := 0; ; begins++ {
		err := runOnce(ctx, cfg, observe, again, log, out, logs)
		var damage *kv.DamagedError
		if !errors.As(err, &damage) || !hasOthers(cfg) || begins == rebuilds || ctx.Err() != nil {
			return err
		}
		log.Warn("starting again, to fetch the state from the other members", "because", damage)
	}
}

// runOnce runs a node until ctx ends, or the node does.
func runOnce(ctx context.Context, cfg *config.Config, observe func(actors.Event), again reloading, log hclog.Logger, out, logs io.Writer) error {
	secure, err := loadTLS(cfg, log)
	if err != nil {
		return badTLS(err, logs)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	s, err := startServer(cfg, secure, observe, log)
	if err != nil {
		return err
	}
	// Started is what began to serve, or to wait for others: those may be started after it.
	notify(log, daemon.SdNotifyReady, "STATUS=waits for a majority of the members")
	announced, cancel := context.WithCancel(ctx)
	var announcing sync.WaitGroup
	announcing.Go(func() { keepAlive(announced, func() { s.node.Status() }, log) })
	failed := make(chan error, 1)
	announcing.Go(func() {
		if s.servesLater() {
			if err := s.join(announced, logs); err != nil {
				failed <- err
				return
			}
		}
		if s.waitReady(announced) == nil {
			fmt.Fprintf(out, "ready: node %s of cluster %q: clients at %s, http at %s, peers at %s\n",
				cfg.Node.Name, cfg.Cluster, cfg.Listen.Client, cmp.Or(cfg.Listen.HTTP, "off"), cfg.Listen.Peer)
			notify(log, "STATUS=takes part in the cluster")
		}
	})
	var cause error
	for running := true; running; {
		running = false
		select {
		case <-again.hangups:
			again.reload(s, log, logs)
			running = true
		case <-ctx.Done():
			log.Info("ending", "cause", context.Cause(ctx))
		case cause = <-failed:
		case <-s.node.Done():
			cause = cmp.Or(s.node.Err(), errors.New("the node ended"))
		}
	}
	notify(log, daemon.SdNotifyStopping)
	cancel()
	announcing.Wait()
	err = s.stop()
	switch {
	case errors.Is(cause, cluster.ErrRemoved):
		return printRemoved(out, cfg)
	case cause != nil:
		return cmp.Or(err, cause)
	case err == nil:
		log.Info("ended")
	}
	return err
}

// printRemoved says that the member was removed, which is no failure, and what to do.
func printRemoved(out io.Writer, cfg *config.Config) error {
	_, err := fmt.Fprintf(out, `removed: node %[1]s is no member of cluster %[2]q any more
What to do next:
  - Do not start it again. Its data in %[3]s is of no use to any member: delete it.
  - To have this machine in the cluster again, give it an empty data_dir, set join to
    the members' peer addresses, and have it added: pmmc member add %[1]s --peer %[4]s --client %[5]s
`, cfg.Node.Name, cfg.Cluster, cfg.Node.DataDir, cfg.Self().Peer, cfg.Self().Client)
	return err
}

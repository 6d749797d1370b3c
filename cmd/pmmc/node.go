package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/trace"
	"github.com/pmmc-go/pmmc/config"
)

const nodeHelp = `Run a node until it is told to end: the first SIGINT or SIGTERM ends it cleanly,
within shutdown_timeout of its configuration, the second at once. Both lose nothing.

When it takes part in the cluster, and so can answer clients, it prints one line
that begins with "ready". All else that it has to say goes to the standard error.`

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
			secure, err := loadTLS(cfg.TLS)
			if err != nil {
				return badTLS(err, c.ErrOrStderr())
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
			return runNode(c.Context(), cfg, secure, observe, c.OutOrStdout(), newLogger(cfg, c.ErrOrStderr()))
		},
	}
	c.Flags().StringVar(&path, "config", "", "its configuration: a file, or a folder of files *.hcl")
	c.Flags().StringVar(&level, "log-level", "", "what is logged, instead of what the configuration says: "+strings.Join(levels, ", "))
	c.Flags().StringVar(&tracePath, "trace", "", "append all that the roles do to this file, for `pmmc audit`; it grows fast")
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

// runNode runs one node until ctx ends, or the node does.
func runNode(ctx context.Context, cfg *config.Config, secure serverTLS, observe func(actors.Event), out io.Writer, log hclog.Logger) error {
	s, err := startServer(cfg, secure, observe, log)
	if err != nil {
		return err
	}
	announced, cancel := context.WithCancel(ctx)
	var announcing sync.WaitGroup
	announcing.Go(func() {
		if s.waitReady(announced) == nil {
			fmt.Fprintf(out, "ready: node %s of cluster %q: clients at %s, http at %s, peers at %s\n",
				cfg.Node.Name, cfg.Cluster, cfg.Listen.Client, cmp.Or(cfg.Listen.HTTP, "off"), cfg.Listen.Peer)
		}
	})
	defer announcing.Wait()
	defer cancel()
	select {
	case <-ctx.Done():
		log.Info("ending", "cause", context.Cause(ctx))
		err := s.stop()
		if err == nil {
			log.Info("ended")
		}
		return err
	case <-s.node.Done():
		return cmp.Or(s.stop(), errors.New("the node ended"))
	}
}

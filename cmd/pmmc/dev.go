package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pmmc-go/pmmc/config"
)

// devFlags say how the three nodes differ from the samples.
type devFlags struct {
	dataDir string
	level   string
	shift   int
}

func newDev() *cobra.Command {
	f := new(devFlags)
	c := &cobra.Command{
		Use:     "dev",
		GroupID: "run",
		Short:   "Run three nodes in this process, to try things out",
		Long: `Run the sample cluster, three nodes on loopback, in this process, until SIGINT or
SIGTERM. Its data goes to a temporary folder, which is removed at the end, unless
--data-dir names one to keep it in.`,
		Example: "  pmmc dev\n  pmmc dev --data-dir ./data",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	c.Flags().StringVar(&f.dataDir, "data-dir", "", "keep the data in this folder (default: a temporary one)")
	c.Flags().StringVar(&f.level, "log-level", "warn", "what is logged: "+strings.Join(levels, ", "))
	c.Flags().IntVar(&f.shift, "shift-ports", 0, "add this to each port, for a second cluster on one machine")
	return c
}

func (f *devFlags) run(c *cobra.Command) (err error) {
	if err := checkLevel(f.level); err != nil {
		return &usageError{c, err}
	}
	dir, fate := f.dataDir, "kept"
	if dir == "" {
		if dir, err = os.MkdirTemp("", "pmmc-dev-"); err != nil {
			return fmt.Errorf("temporary folder: %w", err)
		}
		fate = "removed at the end"
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	configs, err := f.configs(dir)
	if err != nil {
		return &usageError{c, err}
	}
	servers, err := startAll(configs, c.ErrOrStderr())
	defer func() { err = errors.Join(err, stopAll(servers)) }()
	if err != nil {
		return err
	}
	if err := printDev(c.OutOrStdout(), configs, fmt.Sprintf("data in %s, %s", dir, fate)); err != nil {
		return err
	}
	return waitAll(c.Context(), servers, c.OutOrStdout())
}

// configs are the samples, with data and ports of their own.
func (f *devFlags) configs(dir string) ([]*config.Config, error) {
	all := config.Samples()
	for _, c := range all {
		c.Node.DataDir, c.Node.LogLevel = filepath.Join(dir, c.Node.Name), f.level
		addresses := []*string{&c.Listen.Peer, &c.Listen.Client, &c.Listen.HTTP}
		for i := range c.Members {
			addresses = append(addresses, &c.Members[i].Peer, &c.Members[i].Client)
		}
		for _, a := range addresses {
			var err error
			if *a, err = shifted(*a, f.shift); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func shifted(address string, by int) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return "", err
	}
	if n += by; n < 1 || n > 65535 {
		return "", fmt.Errorf("--shift-ports %d makes port %s %d: want 1 to 65535", by, port, n)
	}
	return net.JoinHostPort(host, strconv.Itoa(n)), nil
}

// startAll starts servers; those that were started are returned also when one fails.
func startAll(configs []*config.Config, logs io.Writer) ([]*server, error) {
	var servers []*server
	for _, c := range configs {
		s, err := startServer(c, serverTLS{}, nil, newLogger(c, logs))
		if err != nil {
			return servers, err
		}
		servers = append(servers, s)
	}
	return servers, nil
}

// stopAll stops servers, all at once.
func stopAll(servers []*server) error {
	errs := make([]error, len(servers))
	var all sync.WaitGroup
	for i, s := range servers {
		all.Go(func() { errs[i] = s.stop() })
	}
	all.Wait()
	return errors.Join(errs...)
}

// waitAll says when all servers are ready, and returns when ctx ends, or a server does.
func waitAll(ctx context.Context, servers []*server, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var ended sync.WaitGroup
	defer ended.Wait()
	for _, s := range servers {
		ended.Go(func() {
			select {
			case <-s.node.Done():
				cancel(fmt.Errorf("node %s ended: %w", s.config.Node.Name, s.node.Err()))
			case <-ctx.Done():
			}
		})
	}
	for _, s := range servers {
		if s.waitReady(ctx) != nil {
			break
		}
	}
	if ctx.Err() == nil {
		fmt.Fprintln(out, "ready; Ctrl-C ends it")
	}
	<-ctx.Done()
	var signal *signalError
	if errors.As(context.Cause(ctx), &signal) {
		return nil
	}
	return context.Cause(ctx)
}

// printDev prints where the nodes are, and what to try.
func printDev(out io.Writer, configs []*config.Config, data string) error {
	fmt.Fprintf(out, "three nodes in this process, %s\n\n", data)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  NODE\tCLIENTS\tHTTP\tPEERS")
	var endpoints []string
	for _, c := range configs {
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", c.Node.Name, c.Listen.Client, c.Listen.HTTP, c.Listen.Peer)
		endpoints = append(endpoints, c.Listen.Client)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	list, flag := strings.Join(endpoints, ","), ""
	if list != strings.Join(sampleEndpoints(), ",") {
		flag = " --endpoints=" + list
	}
	_, err := fmt.Fprintf(out, "\nto try, in another terminal:\n\n  pmmc put a 1%s\n  pmmc get a%s\n"+
		"  etcdctl --endpoints=%s get a\n\nthe page of the cluster: http://%s/\n\n", flag, flag, list, configs[0].Listen.HTTP)
	return err
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/test/simulation"
)

func newSim() *cobra.Command {
	var seed uint64
	var node, role, html string
	c := &cobra.Command{
		Use:     "sim --seed N",
		GroupID: "run",
		Short:   "Replay a seed of the simulator, and print its messages",
		Long: `Run the cluster of a seed in the simulator: the production roles, on virtual time, over
a network and disks that fail as the seed draws it. Each line is a message that is sent,
or, after **, a fault. The same seed gives the same lines each time.`,
		Example: "  pmmc sim --seed 7\n  pmmc sim --seed 7 --node n2 --role acceptor\n  pmmc sim --seed 7 --html run.html",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if html != "" {
				return writePage(html, seed)
			}
			out := bufio.NewWriter(c.OutOrStdout())
			w := simulation.Print(out, seed, func(e actors.Event) bool { return speaks(e, node, role) })
			for _, b := range w.Broken {
				fmt.Fprintf(out, "broken: %s\n", b)
			}
			fmt.Fprintf(out, "%s of virtual time; %d commands acknowledged, %d reads, %d crashes, %d panics, %d reconfigurations\n",
				w.Now, w.Counts["acked"], w.Counts["read"], w.Counts["crash"], w.Counts["panic"], w.Counts["reconfiguration"])
			if err := out.Flush(); err != nil {
				return fmt.Errorf("sim: %w", err)
			}
			if len(w.Broken) > 0 {
				return errors.New("the seed broke a rule")
			}
			return nil
		},
	}
	c.Flags().Uint64Var(&seed, "seed", 1, "which run")
	c.Flags().StringVar(&node, "node", "", "only what this node says or hears, such as n2")
	c.Flags().StringVar(&role, "role", "", "only what roles of this kind say or hear: replica, leader, scout, commander, acceptor")
	c.Flags().StringVar(&html, "html", "", "write the run to this file as a page with a space-time diagram, instead of printing it")
	return c
}

// writePage writes a seed's page.
func writePage(path string, seed uint64) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w, err := simulation.Page(f, seed)
	if err == nil && len(w.Broken) > 0 {
		err = errors.New("the seed broke a rule")
	}
	return err
}

// speaks tells whether an event is of a node and a kind of role, on either side.
func speaks(e actors.Event, node, role string) bool {
	one := func(a actors.Addr) bool {
		return (node == "" || a.Member() == node) && (role == "" || kindOf(a) == role)
	}
	return one(e.Self) || one(e.Peer)
}

// kindOf is what kind of role has an address: its last part, without numbers.
func kindOf(a actors.Addr) string {
	last := a.Path()[strings.LastIndexByte(a.Path(), '/')+1:]
	kind, _, _ := strings.Cut(last, "-")
	return kind
}

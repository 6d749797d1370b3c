package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/config"
)

const recoverHelp = `When a majority of the acceptors is lost for good, nothing can be decided any more. Make
a new cluster, of one member, out of one data directory that is left. Its node must not
run. What there is and what may be lost is shown first, and nothing is done unless the
cluster's name is typed, or --yes given.

Choose the member that is furthest (SLOT_OUT of pmmc status). The others, should they
come back, are refused: add them as new members, on empty data directories.`

func newRecover() *cobra.Command {
	var path string
	var yes bool
	c := &cobra.Command{
		Use:     "recover --config FILE|FOLDER",
		GroupID: "run",
		Short:   "After the loss of a majority: make a cluster of one member out of what is left",
		Long:    recoverHelp,
		Example: "  pmmc recover --config /etc/pmmc",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path, c.ErrOrStderr())
			if err != nil {
				return err
			}
			log := newLogger(cfg, c.ErrOrStderr())
			open := func(dir string) (cluster.StateMachine, error) { return openStore(dir, log) }
			err = cluster.Recover(clusterOptions(cfg, log), open, func(r cluster.Remains) error {
				printRemains(c.OutOrStdout(), cfg, r)
				if yes {
					return nil
				}
				return confirmed(c, cfg.Cluster)
			})
			if err != nil {
				return advise(err)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "recovered: %s is the only member of cluster %q now; start its node, then add others\n",
				cfg.Node.Name, cfg.Cluster)
			return err
		},
	}
	c.Flags().StringVar(&path, "config", "", "the configuration of the member that is left: a file, or a folder of files *.hcl")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	if err := c.MarkFlagRequired("config"); err != nil {
		panic(err) // the flag is in a line above
	}
	return c
}

// confirmed wants the cluster's name typed.
func confirmed(c *cobra.Command, name string) error {
	fmt.Fprintf(c.OutOrStdout(), "\ntype the name of the cluster to go on: ")
	typed, err := readInput(c, func(r io.Reader) ([]byte, error) {
		line, err := bufio.NewReader(r).ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			err = nil // it shows in what was typed
		}
		return line, err
	})
	if err != nil {
		return err
	}
	if strings.TrimSpace(typed) != name {
		return errors.New("that is not the name of the cluster: nothing was done")
	}
	return nil
}

// printRemains shows what is there, and what may not be.
func printRemains(w io.Writer, cfg *config.Config, r cluster.Remains) {
	c := r.Configuration
	var members, others []string
	for _, m := range c.Members {
		members = append(members, fmt.Sprintf("%s (%s)", m.Name, strings.Join(rolesOf(m), ", ")))
		if m.Name != cfg.Node.Name {
			others = append(others, m.Name)
		}
	}
	fmt.Fprintf(w, `cluster %q, as its member %s knows it in %s:

  configuration   epoch %d, from slot %d on: %s
  executed        all slots below %d
  decided         all slots below %d
  accepted        all slots below %d

The slots from %d to below %d are taken as decided and executed: %d of them. %s

What may be lost: writes that were acknowledged and of which this member had not heard. It
cannot know how many; one that was a follower is usually behind by what the others did within
some milliseconds. Where it was cut off or down before they were lost, it misses all since then.
What may be there though nobody was told so: writes among those slots that were not decided.

Do this only if %s will never run again on the data they have. Together they would
still be a majority, and there would be two clusters.
`,
		cfg.Cluster, cfg.Node.Name, cfg.Node.DataDir, c.Epoch, c.First, strings.Join(members, ", "),
		r.Executed, r.Decided, r.Adoptable, r.Executed, r.Adoptable, r.Adoptable-r.Executed, beyond(r), orNobody(others))
}

func beyond(r cluster.Remains) string {
	if r.Beyond == 0 {
		return "Behind them there is nothing."
	}
	return fmt.Sprintf("Behind them is a gap, and behind it %d that were accepted: they are dropped.", r.Beyond)
}

func orNobody(names []string) string {
	if len(names) == 0 {
		return "nobody else"
	}
	return strings.Join(names, ", ")
}

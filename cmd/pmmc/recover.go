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
	var yes, damaged bool
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
			open := func(dir string) (cluster.StateMachine, error) { return openStore(dir, false, log) }
			err = cluster.Recover(clusterOptions(cfg, log), open, damaged, func(r cluster.Remains) error {
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
	c.Flags().BoolVar(&damaged, "damaged-journal", false, "go on with a journal that is damaged or missing: read it up to there, then put it aside")
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
	for _, m := range c.Proto().Members {
		members = append(members, fmt.Sprintf("%s (%s)", m.Name, strings.Join(rolesOf(m), ", ")))
		if m.Name != cfg.Node.Name {
			others = append(others, m.Name)
		}
	}
	fmt.Fprintf(w, `cluster %q, as its member %s knows it in %s:

  configuration  epoch %d, from slot %d on: %s
  executed       %d slots
  to be executed %s
  to be dropped  %s
%s
What is to be executed was accepted here, and is taken as decided; it may not have been.

What may be lost: writes that were acknowledged and of which this member had not heard. Nothing
here can tell how many. While it ran and was connected, that is what the others did in the last
milliseconds; where it was down or cut off before they were lost, it is all since then.

Do this only if the data of %s will never be used again. Nodes on it would be another
cluster, with the same name.
`,
		cfg.Cluster, cfg.Node.Name, cfg.Node.DataDir, c.Epoch, c.First, strings.Join(members, ", "),
		r.Executed-1, adopted(r), dropped(r), damage(r), orNobody(others))
}

// adopted shows what is executed though nobody said that it was decided.
func adopted(r cluster.Remains) string {
	if r.Adoptable == r.Executed {
		return "nothing"
	}
	known := min(max(r.Decided, r.Executed), r.Adoptable) - r.Executed
	return fmt.Sprintf("slots %d to %d, of which %d are known to be decided", r.Executed, r.Adoptable-1, known)
}

// damage says what a damaged journal makes uncertain.
func damage(r cluster.Remains) string {
	if r.Damage == nil {
		return ""
	}
	return fmt.Sprintf(`
The journal is damaged: %v
What it held behind the damage is lost: slots from %d on, as far as they are not executed. Writes
in them were acknowledged, perhaps with the help of this member alone. The journal is put aside.
`, r.Damage, r.Adoptable)
}

func dropped(r cluster.Remains) string {
	if r.Beyond == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%d slots that were accepted behind a gap, which begins at slot %d", r.Beyond, r.Adoptable)
}

func orNobody(names []string) string {
	if len(names) == 0 {
		return "nobody else"
	}
	return strings.Join(names, ", ")
}

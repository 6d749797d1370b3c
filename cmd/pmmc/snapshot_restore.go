package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pmmc-go/pmmc/cluster"
)

const restoreHelp = `Make the data directory of a member of a new cluster out of a snapshot. The new cluster
is that of --config: its name, and its members, none of whom need be in the snapshot.

Restore every member from the same file and with the same members, each with its own
configuration, and start the nodes only then. A node that was not restored so is refused
by those that were. The new cluster begins with the keys, revisions and sessions in the
file; nodes of the old one cannot speak with it, even where names and addresses are the
same.

The data directory must be empty. If this is cut off, no node starts on what is there.`

func newSnapshotRestore() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:     "restore FILE --config FILE|FOLDER",
		Short:   "Make a member of a new cluster out of a file",
		Long:    restoreHelp,
		Example: "  pmmc snapshot restore backup.snap --config /etc/pmmc",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return restoreSnapshot(c, args[0], path) },
	}
	c.Flags().StringVar(&path, "config", "", "the configuration of the member: a file, or a folder of files *.hcl")
	if err := c.MarkFlagRequired("config"); err != nil {
		panic(err) // the flag is in the line above
	}
	return c
}

func restoreSnapshot(c *cobra.Command, file, path string) error {
	cfg, err := loadConfig(path, c.ErrOrStderr())
	if err != nil {
		return err
	}
	s, err := inspect(file)
	if err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	log := newLogger(cfg, c.ErrOrStderr())
	open := func(dir string) (cluster.StateMachine, error) { return openStore(dir, false, log) }
	if err := cluster.Restore(clusterOptions(cfg, log), open, f, s.hash); err != nil {
		return advise(err)
	}
	var others []string
	for _, m := range cfg.Members {
		if m.Name != cfg.Node.Name {
			others = append(others, m.Name)
		}
	}
	w := c.OutOrStdout()
	fmt.Fprintf(w, "restored: member %s of the new cluster %q begins at revision %d, with %d keys, in %s\n",
		cfg.Node.Name, cfg.Cluster, s.Revision, s.Keys, cfg.Node.DataDir)
	if len(others) > 0 {
		fmt.Fprintf(w, "before you start any node, restore the others from the same file, unless that is done: %s\n", strings.Join(others, ", "))
	}
	return nil
}

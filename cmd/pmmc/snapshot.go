package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

func newSnapshot() *cobra.Command {
	return onlyChildren(&cobra.Command{
		Use:     "snapshot",
		GroupID: "ask",
		Short:   "Back a cluster up into a file, look at it, make a new cluster of it",
	}, newSnapshotSave(), newSnapshotStatus(), newSnapshotRestore())
}

func newSnapshotStatus() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status FILE",
		Short: "Check a snapshot to its last byte, and tell what is in it",
		Long: `Read a snapshot from its first byte to its last, check all of it, and tell what is in
it. The exit code is 1 when anything is wrong.`,
		Example: "  pmmc snapshot status backup.snap",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := inspect(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), s)
			}
			return s.print(c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// snapshotStatus is what is shown of a snapshot.
type snapshotStatus struct {
	File      string           `json:"file"`
	Hash      string           `json:"hash"` // SHA-256, as the file's last bytes say
	Bytes     int64            `json:"bytes"`
	Revision  int64            `json:"revision"`
	Compacted int64            `json:"compact_revision"` // -1 for none
	Keys      int64            `json:"keys"`
	Versions  int64            `json:"versions"`
	Slot      uint64           `json:"slot"` // the last in it
	Cluster   string           `json:"cluster"`
	Origin    string           `json:"origin,omitempty"`
	Epoch     uint64           `json:"epoch"`
	Members   []snapshotMember `json:"members"`

	hash []byte
}

// snapshotMember is a member of the configuration in a snapshot.
type snapshotMember struct {
	ID    uint32   `json:"id"`
	Name  string   `json:"name"`
	Roles []string `json:"roles"`
	Peer  string   `json:"peer"`
}

// inspect checks a file and tells what is in it.
func inspect(path string) (*snapshotStatus, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	contents, err := kv.Inspect(f)
	if err != nil {
		return nil, &hinted{fmt.Errorf("%s: %w", path, err), "The file is damaged, cut, or no snapshot of pmmc. Take another one."}
	}
	s := &snapshotStatus{
		File: path, Hash: hex.EncodeToString(contents.Hash[:]), Bytes: contents.Bytes,
		Revision: contents.Revision, Compacted: contents.Compacted, Keys: contents.Keys, Versions: contents.Versions,
		Slot: contents.Executed - 1, hash: contents.Hash[:],
	}
	var all []actors.Configuration
	if s.Cluster, all, err = cluster.EpochsOf(contents.Records); err != nil {
		return nil, fmt.Errorf("%s: its configurations: %w", path, err)
	}
	if len(all) > 0 {
		latest := all[len(all)-1]
		s.Epoch = latest.Epoch
		if latest.Origin != 0 {
			s.Origin = fmt.Sprintf("%016x", latest.Origin)
		}
		for _, m := range latest.Proto().Members {
			s.Members = append(s.Members, snapshotMember{m.Id, m.Name, rolesOf(m), m.Peer})
		}
	}
	return s, nil
}

// named is a member as people know it.
func (s *snapshotStatus) named(id uint32) string {
	i := slices.IndexFunc(s.Members, func(m snapshotMember) bool { return m.ID == id })
	if i < 0 {
		return fmt.Sprintf("member %d", id)
	}
	return fmt.Sprintf("%s (id %d)", s.Members[i].Name, id)
}

func (s *snapshotStatus) print(w io.Writer) error {
	var members []string
	for _, m := range s.Members {
		members = append(members, s.named(m.ID))
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(table, name+"\t"+format+"\n", args...) }
	row("file", "%s", s.File)
	row("hash", "%s  (SHA-256, right)", s.Hash)
	row("size", "%s", size(s.Bytes))
	row("revision", "%d", s.Revision)
	row("keys", "%d, in %d versions", s.Keys, s.Versions)
	row("slot", "%d", s.Slot)
	row("cluster", "%s", orDash(s.Cluster))
	row("configuration", "epoch %d: %s", s.Epoch, orDash(strings.Join(members, ", ")))
	return table.Flush()
}

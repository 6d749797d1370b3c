package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

const saveHelp = `Have a node write its state, as it is at one moment, into FILE. Writes go on meanwhile.
It is written to FILE.part, checked to its last byte, made durable, and only then put in
FILE's place: whatever happens, FILE is whole.

The file holds all keys with their history, the sessions of the members, and who the
members are. Nothing of it is encrypted. --timeout is how long nothing may come.`

func newSnapshotSave() *cobra.Command {
	var f clientFlags
	c := &cobra.Command{
		Use:     "save FILE",
		Short:   "Write the state of a cluster into a file",
		Long:    saveHelp,
		Example: "  pmmc snapshot save backup.snap --endpoints 10.0.0.1:2379,10.0.0.2:2379",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return saveSnapshot(c, &f, args[0]) },
	}
	f.addTo(c, askTimeout)
	c.GroupID = "" // of its parent
	return c
}

func saveSnapshot(c *cobra.Command, f *clientFlags, path string) (err error) {
	part := path + ".part"
	file, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part))
		}
	}()
	from, err := f.receiveSnapshot(c, file)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return err
	}
	s, err := inspect(part)
	if err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	if err := syncDirectory(filepath.Dir(path)); err != nil {
		return err
	}
	s.File = path
	fmt.Fprintf(c.OutOrStdout(), "saved from %s\n", s.named(uint32(from)))
	return s.print(c.OutOrStdout())
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// receiveSnapshot writes what a node sends to w, and returns the node's member.
func (f *clientFlags) receiveSnapshot(c *cobra.Command, w io.Writer) (member uint64, err error) {
	client, err := f.connect(c)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	silence := time.AfterFunc(f.timeout, cancel)
	defer silence.Stop()
	stream, err := pb.NewMaintenanceClient(client.ActiveConnection()).Snapshot(ctx, &pb.SnapshotRequest{})
	if err != nil {
		return 0, f.explain(ctx, err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return member, nil
		}
		if err != nil {
			return 0, f.explain(ctx, err)
		}
		silence.Reset(f.timeout)
		if h := m.GetHeader(); h != nil {
			member = h.MemberId
		}
		if _, err := w.Write(m.GetBlob()); err != nil {
			return 0, err
		}
	}
}

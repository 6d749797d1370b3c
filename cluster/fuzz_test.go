package cluster

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// FuzzIdentity reads whatever stands in identity.json: it is this member's, or refused.
func FuzzIdentity(f *testing.F) {
	dir := f.TempDir()
	id := drawIdentity("test", 2, "beta")
	id.Seen = map[uint32]uint64{1: 99}
	id.Configurations = []*messages.Configuration{(&actors.Configuration{Epoch: 2, First: 9, Window: 4}).Proto()}
	if err := saveIdentity(dir, id); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, identityFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(`{"cluster":"test","member":2,"name":"beta","seen":{"4294967296":"1"}}`))
	f.Add([]byte(`{"cluster":"test","member":2,"name":"beta","unfinished":true}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, identityFile), text, 0o600); err != nil {
			t.Fatal(err)
		}
		id, err := openIdentity(dir, "test", 2, "beta")
		if err != nil {
			return
		}
		if id.Cluster != "test" || id.Member != 2 || id.Name != "beta" || id.Unfinished {
			t.Errorf("%v was taken for beta's", id)
		}
		for _, m := range id.Configurations {
			actors.ConfigurationOf(m)
		}
		again, err := readIdentity(dir, "test", 2, "beta")
		if err != nil || again.Incarnation != id.Incarnation {
			t.Errorf("what was saved reads as %v, %v", again, err)
		}
	})
}

// FuzzStateFile restores a machine in memory from a state file, or a snapshot of a peer,
// with a checksum that is right.
func FuzzStateFile(f *testing.F) {
	k, err := keep(&text{s: "abc"}, f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	if err := k.Commit(7, []Record{{Key: "a", Value: []byte("1")}}); err != nil {
		f.Fatal(err)
	}
	s, err := k.Snapshot()
	if err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := s.WriteTo(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes()[:b.Len()-4])
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, body []byte) {
		k, err := keep(new(text), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		sealed := binary.BigEndian.AppendUint32(bytes.Clone(body), crc32.Checksum(body, castagnoli))
		if k.Restore(bytes.NewReader(sealed)) != nil {
			return
		}
		if _, err := k.Flush(); err != nil {
			t.Errorf("it was restored, and cannot be written: %v", err)
		}
	})
}

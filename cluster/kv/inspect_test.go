package kv_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

// file is a file with a snapshot of the node.
func (n *node) file() []byte {
	n.t.Helper()
	snapshot := must(n.Snapshot())
	defer snapshot.(io.Closer).Close()
	var b bytes.Buffer
	if err := kv.WriteFile(&b, snapshot); err != nil {
		n.t.Fatal(err)
	}
	return b.Bytes()
}

// A file tells what is in it, and a store is restored from it as it is.
func TestInspect(t *testing.T) {
	n := filled(t, vfs.NewMem())
	file := n.file()
	c, err := kv.Inspect(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if c.Executed != n.Executed() || c.Revision != n.Revision() || c.Compacted != 100 || c.Keys != n.all(0).Count ||
		c.Bytes != int64(len(file)) || !bytes.HasSuffix(file, c.Hash[:]) || len(c.Records) != 1 || c.Records[0].Key != "session" {
		t.Errorf("contents %+v", c)
	}
	sameState(t, restored(t, file), n)
}

// A file that is changed in any byte, cut anywhere, or longer, is refused.
func TestInspectDamage(t *testing.T) {
	small := newNode(t)
	small.put("a", "1")
	small.put("b", "2")
	file := small.file()
	refused := func(what string, file []byte) {
		t.Helper()
		if _, err := kv.Inspect(bytes.NewReader(file)); !errors.Is(err, kv.ErrSnapshot) || !strings.Contains(err.Error(), "at byte ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range file {
		damaged := bytes.Clone(file)
		damaged[i] ^= byte(1 + rand.IntN(255))
		refused(fmt.Sprint("changed at ", i), damaged)
		refused(fmt.Sprint("cut at ", i), file[:i])
	}
	refused("longer", append(file, 0))
	refused("another format", []byte("SQLite format 3"+strings.Repeat("\x00", 1000)))
}

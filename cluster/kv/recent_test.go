package kv_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"
)

// present is a key's value and the revision that wrote it, as a query reads them.
func (n *node) present(key string) (string, int64) {
	n.t.Helper()
	kvs := n.get(requestKey(key)).Kvs
	if len(kvs) == 0 {
		return "", 0
	}
	return string(kvs[0].Value), kvs[0].ModRevision
}

// expect reads a key, twice: the second time what the first remembered.
func (n *node) expect(key, value string, rev int64) {
	n.t.Helper()
	for range 2 {
		if v, r := n.present(key); v != value || r != rev {
			n.t.Fatalf("%s is %.20q, of revision %d: want %.20q, of %d", key, v, r, value, rev)
		}
	}
}

func TestGetsAreRemembered(t *testing.T) {
	n := newNode(t)
	n.put("a", "1")
	n.put("b", strings.Repeat("x", 2000))
	if n.Recalled("a") {
		t.Fatal("it remembers what nobody read")
	}
	n.expect("a", "1", 2)
	if !n.Recalled("a") {
		t.Error("it does not remember what was read")
	}
	if n.expect("b", strings.Repeat("x", 2000), 3); n.Recalled("b") {
		t.Error("it remembers a long value")
	}
	n.put("b", "2")
	if n.expect("b", "2", 4); !n.Recalled("a") {
		t.Error("it forgot a key that nobody wrote")
	}
}

// A key and its value are remembered up to a length, together.
func TestLongKeysAreNotRemembered(t *testing.T) {
	n := newNode(t)
	for _, length := range []int{1000, 1024, 1025, 5000} {
		key, before := strings.Repeat("k", length), n.RecalledKeys()
		n.put(key, "")
		n.present(key)
		if remembered := n.RecalledKeys() > before; remembered != (length <= 1024) || n.Recalled(key) != remembered {
			t.Errorf("remembers a key of %d bytes: %v, and its value: %v", length, remembered, n.Recalled(key))
		}
	}
}

// A get of the past finds the value of its version, not that of the newest.
func TestGetsAtAnOlderRevision(t *testing.T) {
	n := newNode(t)
	n.put("a", "1")
	n.put("a", "2")
	n.expect("a", "2", 3)
	for range 2 {
		r := requestKey("a")
		r.Revision = 2
		if kvs := n.get(r).Kvs; len(kvs) != 1 || string(kvs[0].Value) != "1" || kvs[0].ModRevision != 2 {
			t.Fatalf("as of revision 2 a is %v, want 1", kvs)
		}
		n.expect("a", "2", 3)
	}
}

func TestGetsAfterWrites(t *testing.T) {
	n := newNode(t)
	n.put("a", "1")
	n.expect("a", "1", 2)
	n.put("a", "2")
	n.expect("a", "2", 3)
	n.delete("a", "")
	n.expect("a", "", 0)
	n.put("a", "3")
	n.expect("a", "3", 5)
	before := n.snapshot()
	n.put("a", "4")
	n.expect("a", "4", 6)
	if err := n.Restore(bytes.NewReader(before)); err != nil {
		t.Fatal(err)
	}
	n.slot = n.Executed()
	n.put("a", "5") // the same revision as before, and another value
	n.expect("a", "5", 6)
}

// A query that looks at an older state, and tells late what it read, does not make others
// see that; nor does it see itself what others read.
func TestGetsOfAnOlderState(t *testing.T) {
	n := newNode(t)
	n.put("a", "1")
	old, end, err := n.Hold()
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	expectOld := func() {
		t.Helper()
		for range 2 {
			if v, rev, err := old("a"); v != "1" || rev != 2 || err != nil {
				t.Fatalf("the older state has %q, of revision %d, %v: want 1, of 2", v, rev, err)
			}
		}
	}
	// Staged, and nobody can read it yet: not even if a query comes in between.
	n.Apply(n.slot, [][]byte{must(proto.Marshal(put("a", "2")))})
	expectOld()
	n.expect("a", "1", 2)
	if err := n.Commit(n.slot, nil); err != nil {
		t.Fatal(err)
	}
	n.slot++
	expectOld()
	n.expect("a", "2", 3)
	expectOld()
	n.delete("a", "")
	expectOld()
	n.expect("a", "", 0)
	expectOld()
	n.put("a", "3")
	n.expect("a", "3", 5)
	expectOld()
	n.expect("a", "3", 5)
}

// Each revision writes the next of a few keys. Whatever a query reads beside that is what
// its revision has.
func TestGetsBesideWrites(t *testing.T) {
	const keys, revisions, reads, readers = 5, 2000, 2000, 4
	n := newNode(t)
	done := make(chan struct{})
	var compared atomic.Int64
	var reading sync.WaitGroup
	for i := range readers {
		reading.Go(func() {
			for round := i; ; round++ {
				select {
				case <-done:
					return
				default:
				}
				which := int64(round % keys)
				r := n.get(requestKey(fmt.Sprint("key", which)))
				now := r.Header.Revision
				want := now - (now-which+keys)%keys // the last up to now that wrote it
				if want < 2 {
					continue
				}
				if len(r.Kvs) != 1 || r.Kvs[0].ModRevision != want || string(r.Kvs[0].Value) != fmt.Sprint(want) {
					t.Errorf("revision %d has %v for key %d, want what revision %d wrote", now, r.Kvs, which, want)
					return
				}
				compared.Add(1)
			}
		})
	}
	for rev := int64(2); !t.Failed() && (rev < revisions || compared.Load() < reads); rev++ {
		n.put(fmt.Sprint("key", rev%keys), fmt.Sprint(rev))
	}
	close(done)
	reading.Wait()
}

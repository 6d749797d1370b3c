package kv_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster/kv"
)

const benchKeys = 10_000

func benchNode(b *testing.B) *node {
	s, err := kv.Open(kv.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return &node{t: b, Store: s, slot: 1}
}

func benchPuts() [][]byte {
	value := string(make([]byte, 256))
	ops := make([][]byte, benchKeys)
	for i := range ops {
		ops[i] = must(proto.Marshal(put(fmt.Sprintf("key-%06d", i), value)))
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(ops), func(i, j int) { ops[i], ops[j] = ops[j], ops[i] })
	return ops
}

// BenchmarkPut executes puts of 256 bytes under keys in no order, 100 in a slot.
func BenchmarkPut(b *testing.B) {
	n, ops := benchNode(b), benchPuts()
	b.ReportAllocs()
	for i := 0; i < b.N; i += 100 {
		at := i % benchKeys
		n.executeBytes(ops[at:at+100], nil)
	}
}

func BenchmarkGet(b *testing.B) {
	n, ops := benchNode(b), benchPuts()
	for range 10 {
		n.executeBytes(ops, nil)
	}
	n.flush()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n.get(requestKey(fmt.Sprintf("key-%06d", i%benchKeys)))
	}
}

// BenchmarkScan reads 100 keys of many.
func BenchmarkScan(b *testing.B) {
	n, ops := benchNode(b), benchPuts()
	n.executeBytes(ops, nil)
	r := requestKey("key-001000")
	r.RangeEnd = []byte("key-001100")
	b.ReportAllocs()
	for b.Loop() {
		if got, err := n.Range(context.Background(), r); err != nil || got.Count != 100 {
			b.Fatal(got, err)
		}
	}
}

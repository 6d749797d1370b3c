package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pmmc-go/pmmc/cluster"
)

// Bank is a state machine: accounts between which money moves.
type Bank struct {
	mu       sync.Mutex
	accounts map[string]int
}

func (b *Bank) Apply(_ uint64, operations [][]byte) (results [][]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, op := range operations {
		var t struct {
			From, To string
			Amount   int
		}
		if err := json.Unmarshal(op, &t); err != nil {
			results = append(results, []byte("malformed: "+err.Error()))
			continue
		}
		b.accounts[t.From] -= t.Amount
		b.accounts[t.To] += t.Amount
		results = append(results, []byte("done"))
	}
	return results
}

func (b *Bank) Query(account []byte) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Append(nil, b.accounts[string(account)]), nil
}

func (b *Bank) Snapshot() (io.WriterTo, error) {
	all, err := json.Marshal(b.accounts)
	return bytes.NewReader(all), err
}

func (b *Bank) Restore(r io.Reader) error {
	accounts := make(map[string]int) // not into b.accounts: what a snapshot does not have must go
	if err := json.NewDecoder(r).Decode(&accounts); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accounts = accounts
	return nil
}

// A bank of one member; with three, each Start runs in a process of its own.
func Example() {
	dir, _ := os.MkdirTemp("", "bank")
	defer os.RemoveAll(dir)
	node, err := cluster.Start(cluster.Options{
		Cluster: "bank", Member: "alpha", DataDir: filepath.Join(dir, "alpha"),
		Members: []cluster.Member{{ID: 1, Name: "alpha", Address: "127.0.0.1:7071", Replica: true, Leader: true, Acceptor: true}},
		Listen:  "127.0.0.1:0", // any port: nobody looks for a bank of one
		Machine: &Bank{accounts: make(map[string]int)},
	})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	result, err := node.Propose(ctx, []byte(`{"From":"ann","To":"bob","Amount":7}`))
	fmt.Println(string(result.Output), err)
	balance, err := node.Read(ctx, []byte("bob"))
	fmt.Println(string(balance), err, node.Stop(ctx))
	// Output:
	// done <nil>
	// 7 <nil> <nil>
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/pmmc-go/pmmc/cluster/certs"
	"github.com/pmmc-go/pmmc/cluster/transport/testcert"
)

// secured is a cluster whose nodes read their certificates from folders of their own.
type secured struct {
	*sample
	peers, clients map[string]string // folders, by member
}

func newSecured(t *testing.T, peers, clients *testcert.Authority) *secured {
	s := &secured{sample: newSample(t, 3, ""), peers: make(map[string]string), clients: make(map[string]string)}
	for i, name := range names {
		s.peers[name], s.clients[name] = t.TempDir(), t.TempDir()
		text := s.config(i) + "tls {\n"
		for kind, files := range map[string][3]string{
			"peer":   files(peers.Files(s.peers[name], name)),
			"client": files(clients.Files(s.clients[name], "localhost")),
		} {
			text += fmt.Sprintf("  %s {\n    cert = %q\n    key = %q\n    ca = %q\n  }\n", kind, files[0], files[1], files[2])
		}
		s.write(name, text+"}\n")
	}
	return s
}

func files(cert, key, ca string) [3]string { return [3]string{cert, key, ca} }

// load writes until told to stop, and returns how many writes there were; one that fails
// fails the test.
func (s *secured) load(config clientv3.Config) (stop func() int64) {
	s.t.Helper()
	config.Logger = zap.NewNop()
	for i := range s.size {
		config.Endpoints = append(config.Endpoints, "https://"+s.address(i, 1))
	}
	client, err := clientv3.New(config)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	var writers sync.WaitGroup
	var written atomic.Int64
	for w := range 4 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := client.Put(s.t.Context(), fmt.Sprintf("key%d", w), fmt.Sprint(i)); err != nil {
					s.t.Errorf("write %d of writer %d: %v", i, w, err)
					return
				}
				written.Add(1)
			}
		})
	}
	return func() int64 {
		cancel()
		writers.Wait()
		if err := client.Close(); err != nil {
			s.t.Error(err)
		}
		return written.Load()
	}
}

// renew puts a member's certificate of another authority into the place of the one in a
// folder, file by file.
func renew(t *testing.T, authority *testcert.Authority, dir string, names ...string) {
	t.Helper()
	cert, key, _ := authority.Files(t.TempDir(), names...)
	for _, file := range []string{cert, key} {
		if err := os.Rename(file, filepath.Join(dir, filepath.Base(file))); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRollingRestart shows that no write fails while each node in turn, the one in office
// among them, ends and starts, and that nodes that were not started again show, and want
// to see, certificates of the authority that took the other one's place meanwhile.
func TestRollingRestart(t *testing.T) {
	oldPeers, oldClients, peers, clients := testcert.New(t), testcert.New(t), testcert.New(t), testcert.New(t)
	s := newSecured(t, oldPeers, oldClients)
	s.start(names...)

	// The order of docs/operations.md: trust both, show the new ones, trust the new alone.
	for _, name := range names {
		oldPeers.Bundle(s.peers[name], peers)
		oldClients.Bundle(s.clients[name], clients)
	}
	writer := oldClients.TLS("writer")
	var err error
	if writer.RootCAs, err = certs.ReadPool(filepath.Join(s.clients["alpha"], "ca.pem")); err != nil {
		t.Fatal(err)
	}
	stop := s.load(clientv3.Config{TLS: writer})
	for _, name := range names {
		renew(t, peers, s.peers[name], name)
		renew(t, clients, s.clients[name], "localhost")
	}
	for _, name := range names {
		peers.Bundle(s.peers[name])
	}

	for _, name := range names {
		s.nodes[name].signal(syscall.SIGTERM)
		if code := s.nodes[name].code(); code != exitDone {
			t.Errorf("%s: code %d after SIGTERM, want %d", name, code, exitDone)
		}
		s.start(name)
	}
	if n := stop(); n < 100 {
		t.Errorf("%d writes: too few to tell", n)
	}
	cert, key, ca := clients.Files(t.TempDir(), "reader")
	s.do("get", "key0", "--cert", cert, "--key", key, "--cacert", ca)
	s.stop()
}

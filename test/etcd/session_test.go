package etcd

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// TestSession: the reference command line says of pmmc what it says of etcd.
func TestSession(t *testing.T) {
	bin := t.TempDir()
	for name, path := range map[string]string{"etcd": "go.etcd.io/etcd/server/v3", "etcdctl": "go.etcd.io/etcd/etcdctl/v3"} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, name), path).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", path, err, out)
		}
	}
	want := session(t, bin, startEtcd(t, filepath.Join(bin, "etcd")))
	got := session(t, bin, startProcesses(t, pmmc).nodes[0].endpoint)
	if len(want) < 100 {
		t.Fatalf("etcd's session has %d lines: it means nothing\n%s", len(want), strings.Join(want, "\n"))
	}
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			from := max(0, i-8)
			t.Fatalf("line %d differs.\netcd:\n%s\n\npmmc:\n%s", i+1,
				strings.Join(want[from:min(len(want), i+8)], "\n"), strings.Join(got[from:min(len(got), i+8)], "\n"))
		}
	}
	t.Logf("%d lines, all the same", len(want))
}

// identifies are the numbers that may differ.
var identifies = regexp.MustCompile(`[0-9a-f]{15,16}|"(Cluster|Member)ID" : [0-9]+|"RaftTerm" : [0-9]+|\[?127\.0\.0\.1:[0-9]+|10\.77\.0\.[0-9:]+`)

// session runs the script and returns what it prints.
func session(t *testing.T, bin, endpoint string) []string {
	t.Helper()
	cmd := exec.Command("bash", "testdata/session.sh")
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "ETCDCTL_ENDPOINTS="+endpoint)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the session: %v\n%s", err, out)
	}
	lines := strings.Split(identifies.ReplaceAllString(string(out), "…"), "\n")
	return slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, `{"level":`) }) // the client's own log
}

// startEtcd starts etcd itself, one member, and returns where it serves.
func startEtcd(t *testing.T, etcd string) string {
	t.Helper()
	var ports [2]string
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = l.Addr().String()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	peer, client := "http://"+ports[0], "http://"+ports[1]
	cmd := exec.Command(etcd, "--name", "alpha", "--data-dir", t.TempDir(), "--log-level", "error", "--initial-cluster", "alpha="+peer,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--listen-client-urls", client, "--advertise-client-urls", client)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed, and says so
	})
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{ports[1]}, Logger: zap.NewNop(), DialTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for deadline := time.Now().Add(patience); ; {
		ctx, done := context.WithTimeout(t.Context(), time.Second)
		_, err = c.Get(ctx, "is it there")
		if done(); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.Fatal(fmt.Errorf("etcd does not serve: %w", err))
	}
	return ports[1]
}

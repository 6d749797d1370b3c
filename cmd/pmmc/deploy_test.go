package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDeployExample runs the example of docs/deploy: its files, but for addresses and
// paths, and certificates made as docs/operations.md says.
func TestDeployExample(t *testing.T) {
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join("../../docs/deploy", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	s := newSample(t, 3, "")
	dir := t.TempDir()
	cert := func(args ...string) {
		t.Helper()
		if _, err, code := pmmc(t, append(append([]string{"cert"}, args...), "--dir", dir)...); code != exitDone {
			t.Fatal(err)
		}
	}
	cert("authority")
	cert("client", "operator")
	for i, name := range names {
		cert("member", name, "--host", "10.0.0.1")
		s.write(name, strings.NewReplacer(
			"10.0.0.1:7001", s.address(0, 0), "10.0.0.2:7001", s.address(1, 0), "10.0.0.3:7001", s.address(2, 0),
			"10.0.0.1:2379", s.address(0, 1), "10.0.0.2:2379", s.address(1, 1), "10.0.0.3:2379", s.address(2, 1),
			`":2379"`, `"`+s.address(i, 1)+`"`, `":2380"`, `"`+s.address(i, 2)+`"`,
			`node "alpha"`, `node "`+name+`"`, "/var/lib/pmmc", filepath.Join(s.dir, "data", name),
			"/etc/pmmc/tls", filepath.Join(dir, name),
		).Replace(read("cluster.hcl")+read("node.hcl")))
	}
	s.start(names...)
	operator := []string{
		"--cacert", filepath.Join(dir, "operator", "client-ca.pem"),
		"--cert", filepath.Join(dir, "operator", "client.pem"), "--key", filepath.Join(dir, "operator", "client.key"),
	}
	s.do(append([]string{"put", "colour", "red"}, operator...)...)
	if out := s.do(append([]string{"get", "colour"}, operator...)...); out != "red\n" {
		t.Errorf("get: %s", out)
	}
	s.stop()
}

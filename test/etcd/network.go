package etcd

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// The nodes' network: namespaces behind a bridge. A node's way to another is cut in the
// node's own namespace, one direction at a time, by a route that drops what it sends.
const (
	bridge = "pmmc-robust"
	here   = "10.77.0.254"
)

func hostOf(i int) string { return fmt.Sprintf("10.77.0.%d", i+1) }

// network makes the namespaces, for the time of the test.
func network(t *testing.T) {
	t.Helper()
	removeNetwork() // one that a killed test left behind
	t.Cleanup(removeNetwork)
	commands := []string{
		"ip link add " + bridge + " type bridge", "ip addr add " + here + "/24 dev " + bridge, "ip link set " + bridge + " up",
	}
	for i, name := range names {
		inside := "ip -n " + name + " "
		commands = append(commands,
			"ip netns add "+name,
			fmt.Sprintf("ip link add pmmc-%d type veth peer name eth0 netns %s", i, name),
			fmt.Sprintf("ip link set pmmc-%d master %s up", i, bridge),
			inside+"addr add "+hostOf(i)+"/24 dev eth0", inside+"link set eth0 up", inside+"link set lo up",
		)
	}
	for _, command := range commands {
		if err := run(command); err != nil {
			t.Fatalf("no network for the nodes (it takes root, and the package iproute2): %v", err)
		}
	}
}

// removeNetwork removes it, and those who live in it: they may be of a test that was killed.
func removeNetwork() {
	for i, name := range names {
		pids, _ := exec.Command("ip", "netns", "pids", name).Output() // there may be none, of all this
		for _, pid := range strings.Fields(string(pids)) {
			_ = run("kill -9 " + pid)
		}
		_ = run("ip netns del " + name)
		_ = run(fmt.Sprintf("ip link del pmmc-%d", i))
	}
	_ = run("ip link del " + bridge)
}

func run(command string) error {
	args := strings.Fields(command)
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", command, err, out)
	}
	return nil
}

// cut drops all that one node sends to another.
func (c *processes) cut(from, to *process) {
	if err := run("ip -n " + from.space + " route replace blackhole " + to.host + "/32"); err != nil {
		c.t.Error(err)
	}
}

// heal ends that.
func (c *processes) heal(from, to *process) {
	if err := run("ip -n " + from.space + " route del blackhole " + to.host + "/32"); err != nil {
		c.t.Error(err)
	}
}

package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// processes is a cluster of pmmc's processes, each in a network namespace of its own, so
// that its links can be cut.
type processes struct {
	t     *testing.T
	dir   string
	pmmc  string // the program
	nodes []*process
	gone  []*process // members that were removed
}

// process is one node.
type process struct {
	name     string
	space    string // its namespace
	host     string // its address
	endpoint string
	config   string
	trace    string
	cmd      *exec.Cmd // nil while it is down
}

// Ports of every node.
const (
	peerPort   = "7001"
	clientPort = "2379"
)

// names are those of nodes, the fourth for the one that replaces another.
var names = []string{"alpha", "beta", "gamma", "delta"}

// startProcesses starts three nodes and waits until they serve.
func startProcesses(t *testing.T, pmmc string) *processes {
	c := &processes{t: t, dir: t.TempDir(), pmmc: pmmc}
	network(t)
	for i := range 3 {
		c.nodes = append(c.nodes, c.newProcess(names[i], hostOf(i), names[i]))
	}
	members := c.members()
	for _, p := range c.nodes {
		c.write(p, members)
	}
	t.Cleanup(func() {
		c.killAll()
		for _, p := range slices.Concat(c.nodes, c.gone) {
			if log, err := os.ReadFile(c.log(p)); t.Failed() && err == nil {
				t.Logf("what %s said:\n%s", p.name, log)
			}
		}
	})
	for _, p := range c.nodes {
		c.start(p)
	}
	for _, p := range c.nodes {
		c.await(p)
	}
	return c
}

// newProcess returns a node that is to run in a namespace, at its address.
func (c *processes) newProcess(name, host, space string) *process {
	return &process{
		name: name, host: host, space: space, endpoint: host + ":" + clientPort,
		config: filepath.Join(c.dir, name+".hcl"), trace: filepath.Join(c.dir, name+".trace"),
	}
}

func (c *processes) members() string {
	var b strings.Builder
	for i, p := range c.nodes {
		fmt.Fprintf(&b, "member %q {\n  id = %d\n  peer = \"%s:%s\"\n  client = %q\n}\n", p.name, i+1, p.host, peerPort, p.endpoint)
	}
	return b.String()
}

// replace removes a member and puts a new one in its place, with an empty disk and another
// name, by the commands that an operator gives.
func (c *processes) replace(old *process, by string) {
	at := slices.Index(c.nodes, old)
	others := slices.Delete(slices.Clone(c.nodes), at, at+1)
	endpoints := others[0].endpoint + "," + others[1].endpoint
	c.command("member", "remove", old.name, "--endpoints", endpoints)
	if err := old.cmd.Wait(); err != nil {
		c.t.Errorf("%s was removed, and ended with: %v", old.name, err)
	}
	old.cmd = nil
	p := c.newProcess(by, old.host, old.space)
	c.write(p, fmt.Sprintf("join = [\"%s:%s\"]\nmember %q {\n  peer = \"%s:%s\"\n  client = %q\n}\n",
		others[0].host, peerPort, p.name, p.host, peerPort, p.endpoint))
	c.start(p)
	c.nodes[at], c.gone = p, append(c.gone, old)
	c.command("member", "add", p.name, "--peer", p.host+":"+peerPort, "--client", p.endpoint, "--endpoints", endpoints, "--wait")
	c.await(p)
}

// command runs one of pmmc's commands.
func (c *processes) command(args ...string) {
	c.t.Helper()
	if out, err := exec.Command(c.pmmc, args...).CombinedOutput(); err != nil {
		c.t.Errorf("pmmc %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// write writes a node's configuration. All decrees are kept, but for that it is the default.
func (c *processes) write(p *process, members string) {
	text := fmt.Sprintf("cluster = \"robust\"\nnode %q {\n  data_dir = %q\n  insecure = true\n}\n%s",
		p.name, filepath.Join(c.dir, p.name), members)
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// start starts a node's process.
func (c *processes) start(p *process) {
	c.t.Helper()
	log, err := os.OpenFile(c.log(p), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("ip", "netns", "exec", p.space, c.pmmc, "node", "--config", p.config, "--trace", p.trace)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		c.t.Fatalf("start %s: %v", p.name, err)
	}
	p.cmd = cmd
}

func (c *processes) log(p *process) string { return filepath.Join(c.dir, p.name+".log") }

// killAll kills all nodes. Their traces say no more from then on.
func (c *processes) killAll() {
	for _, p := range slices.Concat(c.nodes, c.gone) {
		c.kill(p)
	}
}

// kill ends a node as a crash would.
func (c *processes) kill(p *process) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it was killed, and says so
	p.cmd = nil
}

// stop and resume hold a process up.
func (c *processes) stop(p *process)   { c.signal(p, syscall.SIGSTOP) }
func (c *processes) resume(p *process) { c.signal(p, syscall.SIGCONT) }

func (c *processes) signal(p *process, s syscall.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil {
		c.t.Errorf("%v to %s: %v", s, p.name, err)
	}
}

// patience is how long anything may take.
const patience = 30 * time.Second

// await waits until a node answers a fresh read.
func (c *processes) await(p *process) {
	c.t.Helper()
	err := c.ask(p, func(ctx context.Context, client *clientv3.Client) error {
		_, err := client.Get(ctx, "is it there")
		return err
	})
	if err != nil {
		c.t.Fatalf("%s does not serve: %v", p.name, err)
	}
}

// ask asks one node until it answers.
func (c *processes) ask(p *process, f func(context.Context, *clientv3.Client) error) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{p.endpoint}, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		once, done := context.WithTimeout(ctx, time.Second)
		err := f(once, client)
		if done(); err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// inOffice returns the node in office, and one that is not.
func (c *processes) inOffice() (leader, follower *process) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for ctx.Err() == nil {
		leader, follower = nil, nil
		for _, p := range c.nodes {
			if p.cmd == nil {
				continue
			}
			_ = c.ask(p, func(ctx context.Context, client *clientv3.Client) error {
				s, err := client.Status(ctx, p.endpoint)
				if err != nil {
					return errors.Join(err, context.Canceled)
				}
				if s.Leader == s.Header.MemberId {
					leader = p
				} else {
					follower = p
				}
				return nil
			})
		}
		if leader != nil && follower != nil {
			return leader, follower
		}
	}
	c.t.Fatal("nobody is in office")
	return nil, nil
}

func (c *processes) endpoints() (all []string) {
	for _, p := range c.nodes {
		all = append(all, p.endpoint)
	}
	return all
}

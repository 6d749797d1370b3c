package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/pmmc-go/pmmc/cluster/clustertest/freeport"
	"github.com/pmmc-go/pmmc/test/bench/load"
)

// server is a cluster of three processes.
type server struct {
	name      string
	dir       string // of the nodes' folders
	endpoints []string
	start     [3]func() *exec.Cmd
	processes [3]*exec.Cmd
	client    *clientv3.Client
	release   func() // of the ports
}

var names = [3]string{"alpha", "beta", "gamma"}

// startServer starts three nodes of pmmc, or of etcd, in a folder of their own.
func startServer(ctx context.Context, p *programs, isEtcd bool, dir string) (s *server, err error) {
	dir, err = os.MkdirTemp(dir, "server-")
	if err != nil {
		return nil, err
	}
	addresses, release, err := freeport.TakeAddresses(9)
	if err != nil {
		return nil, err
	}
	address := func(node, kind int) string { return addresses[3*node+kind] } // peer, client, http
	s = &server{name: "pmmc", dir: dir, release: release}
	if isEtcd {
		s.name = "etcd"
	}
	for i, name := range names {
		s.endpoints = append(s.endpoints, address(i, 1))
		data := filepath.Join(dir, name)
		var args []string
		if isEtcd {
			args = etcdArgs(name, data, i, address)
			args = append([]string{p.etcd}, args...)
		} else {
			path := filepath.Join(dir, name+".hcl")
			if err := os.WriteFile(path, []byte(configOf(name, data, i, address)), 0o600); err != nil {
				return nil, errors.Join(err, s.stop())
			}
			args = []string{p.pmmc, "node", "--config", path, "--log-level", "error"}
		}
		s.start[i] = func() *exec.Cmd { return exec.CommandContext(ctx, args[0], args[1:]...) }
	}
	for i := range names {
		if err := s.startNode(i); err != nil {
			return nil, errors.Join(err, s.stop())
		}
	}
	s.client, err = clientv3.New(clientv3.Config{Endpoints: s.endpoints, Logger: zap.NewNop()})
	if err == nil {
		_, err = s.leader(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func etcdArgs(name, data string, i int, address func(int, int) string) []string {
	var all []string
	for j, other := range names {
		all = append(all, other+"=http://"+address(j, 0))
	}
	return []string{
		"--name", name, "--data-dir", data, "--initial-cluster", strings.Join(all, ","), "--log-level", "error",
		"--listen-peer-urls", "http://" + address(i, 0), "--initial-advertise-peer-urls", "http://" + address(i, 0),
		"--listen-client-urls", "http://" + address(i, 1), "--advertise-client-urls", "http://" + address(i, 1),
		"--quota-backend-bytes", strconv.Itoa(8 << 30),
	}
}

func configOf(name, data string, i int, address func(int, int) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "cluster = \"bench\"\nnode %q {\n  data_dir = %q\n}\nlisten {\n  http = %q\n}\n", name, data, address(i, 2))
	for j, other := range names {
		fmt.Fprintf(&b, "member %q {\n  id = %d\n  peer = %q\n  client = %q\n}\n", other, j+1, address(j, 0), address(j, 1))
	}
	return b.String()
}

func (s *server) startNode(i int) error {
	s.processes[i] = s.start[i]()
	if err := s.processes[i].Start(); err != nil {
		return fmt.Errorf("start %s's %s: %w", s.name, names[i], err)
	}
	return nil
}

// kill ends a node as a crash would.
func (s *server) kill(i int) {
	_ = s.processes[i].Process.Kill()
	_ = s.processes[i].Wait() // it was killed, and says so
}

func (s *server) stop() error {
	for i, p := range s.processes {
		if p != nil && p.Process != nil {
			s.kill(i)
		}
	}
	s.release()
	if s.client == nil {
		return nil
	}
	return s.client.Close()
}

// patience is how long a cluster has to agree on a leader.
const patience = 20 * time.Second

// leader finds the node in office, as soon as there is one.
func (s *server) leader(ctx context.Context) (int, error) {
	i, _, err := s.office(ctx)
	return i, err
}

// office finds the node in office, and its term.
func (s *server) office(ctx context.Context) (int, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for ctx.Err() == nil {
		for i, e := range s.endpoints {
			asked, done := context.WithTimeout(ctx, 500*time.Millisecond)
			status, err := s.client.Status(asked, e)
			if done(); err == nil && status.Leader != 0 && status.Leader == status.Header.MemberId {
				return i, status.RaftTerm, nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return 0, 0, fmt.Errorf("%s: nobody is in office after %s", s.name, patience)
}

// usage is the time that processors spent on the three processes, and their memory.
func (s *server) usage() (cpu time.Duration, memory int64) {
	for _, p := range s.processes {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid)); err == nil {
			fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
			for _, f := range fields[11:13] { // utime and stime, in hundredths of a second
				n, _ := strconv.ParseInt(f, 10, 64)
				cpu += time.Duration(n) * 10 * time.Millisecond
			}
			pages, _ := strconv.ParseInt(fields[21], 10, 64)
			memory += pages * int64(os.Getpagesize())
		}
	}
	return cpu, memory
}

// measureServers measures pmmc and etcd in turn, each in a fresh cluster.
func (r *results) measureServers(ctx context.Context, p plan, dir string, programs *programs, round int) error {
	kinds := []bool{false, true}
	if programs.etcd == "" {
		kinds = kinds[:1]
	} else if round%2 == 1 {
		kinds = []bool{true, false}
	}
	for _, isEtcd := range kinds {
		s, err := startServer(ctx, programs, isEtcd, dir)
		if err != nil {
			return err
		}
		if err := errors.Join(r.measureServer(ctx, p, s, programs.pmmc), s.stop()); err != nil {
			return err
		}
	}
	return nil
}

func (r *results) measureServer(ctx context.Context, p plan, s *server, pmmc string) error {
	leader, err := s.leader(ctx)
	if err != nil {
		return err
	}
	one := s.endpoints[leader : leader+1]
	for _, n := range p.clients {
		if err := r.bench(ctx, p, s, pmmc, "put", one, n); err != nil {
			return err
		}
	}
	if !p.reads {
		return nil
	}
	return errors.Join(
		r.bench(ctx, p, s, pmmc, "put, spread over all nodes", s.endpoints, 256),
		r.bench(ctx, p, s, pmmc, "get", one, 256),
		r.bench(ctx, p, s, pmmc, "get, serializable", one, 256))
}

// bench runs pmmc bench against a server.
func (r *results) bench(ctx context.Context, p plan, s *server, pmmc, what string, endpoints []string, clients int) error {
	verb, option, _ := strings.Cut(what, ", ")
	args := []string{
		"--clients", strconv.Itoa(clients), "--conns", strconv.Itoa(min(clients, 12)), "--endpoints", strings.Join(endpoints, ","),
	}
	if option == "serializable" {
		args = append(args, "--serializable")
	}
	before, _ := s.usage()
	line, err := runBench(ctx, p, pmmc, verb, args...)
	if err != nil {
		return err
	}
	after, memory := s.usage()
	line.CPU = float64((after - before).Microseconds()) / (line.Rate * (p.warm + p.long).Seconds())
	line.Memory = memory
	say("  %-5s %-28s %5d clients  %7.0f/s", s.name, what, clients, line.Rate)
	r.add(key{"server", s.name, what, clients}, line)
	return nil
}

// runBench returns what pmmc bench prints.
func runBench(ctx context.Context, p plan, pmmc, verb string, args ...string) (line load.Line, err error) {
	args = append([]string{"bench", verb, "--json", "--warm", p.warm.String(), "--for", p.long.String()}, args...)
	out, err := exec.CommandContext(ctx, pmmc, args...).Output()
	if err != nil {
		return line, fmt.Errorf("pmmc %s: %w", strings.Join(args, " "), err)
	}
	if err := json.Unmarshal(out, &line); err != nil {
		return line, fmt.Errorf("pmmc bench printed %q: %w", out, err)
	}
	return line, nil
}

// plot draws latency against load, of pmmc's server and of etcd's.
func (r *results) plot(ctx context.Context, p plan, dir string, programs *programs) error {
	return r.eachServer(ctx, p.plots != "", dir, programs, func(s *server) error {
		r.plots = append(r.plots, s.name)
		return s.plot(ctx, programs.pmmc, filepath.Join(p.plots, "latency-"+s.name+".svg"))
	})
}

// eachServer does something with a fresh cluster of pmmc, and with one of etcd.
func (r *results) eachServer(ctx context.Context, wanted bool, dir string, programs *programs, do func(*server) error) error {
	for _, isEtcd := range []bool{false, true} {
		if !wanted || isEtcd && programs.etcd == "" {
			continue
		}
		s, err := startServer(ctx, programs, isEtcd, dir)
		if err != nil {
			return err
		}
		if err := errors.Join(do(s), s.stop()); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) plot(ctx context.Context, pmmc, path string) error {
	leader, err := s.leader(ctx)
	if err != nil {
		return err
	}
	args := []string{"bench", "put", "--clients", "256", "--conns", "12", "--for", "2s", "--plot", path, "--endpoints", s.endpoints[leader]}
	if out, err := exec.CommandContext(ctx, pmmc, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("pmmc %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

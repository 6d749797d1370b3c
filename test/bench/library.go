package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pmmc-go/pmmc/test/bench/load"
)

// programs are what was built, and etcd's server if there is one.
type programs struct {
	libraries []string
	pmmc      string
	etcd      string
}

// build builds pmmc and the programs that measure libraries, two of which are modules of
// their own. etcd is the one that ETCD names or that is installed; otherwise the
// release that test/etcd pins is built, but for a run that has to be short.
func build(ctx context.Context, p plan, bin string) (*programs, error) {
	built := &programs{pmmc: filepath.Join(bin, "pmmc"), etcd: os.Getenv("ETCD")}
	if built.etcd == "" {
		built.etcd, _ = exec.LookPath("etcd") // none is an answer, too
	}
	todo := []struct{ in, what, name string }{
		{".", "./cmd/pmmc", "pmmc"},
		{".", "./test/bench/library", "library"},
		{"test/bench/hashiraft", ".", "hashiraft"},
		{"test/bench/etcdraft", ".", "etcdraft"},
	}
	if built.etcd == "" && p.rounds > 1 {
		built.etcd = filepath.Join(bin, "etcd")
		todo = append(todo, struct{ in, what, name string }{"test/etcd", "go.etcd.io/etcd/server/v3", "etcd"})
	}
	for _, b := range todo {
		path := filepath.Join(bin, b.name)
		c := exec.CommandContext(ctx, "go", "build", "-o", path, b.what)
		c.Dir = b.in
		if out, err := c.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s in %s: %w\n%s", b.what, b.in, err, out)
		}
		if path != built.pmmc && path != built.etcd {
			built.libraries = append(built.libraries, path)
		}
	}
	return built, nil
}

// measureLibrary runs one of the programs.
func (r *results) measureLibrary(ctx context.Context, p plan, dir, program string) error {
	proposers := strings.Trim(strings.ReplaceAll(fmt.Sprint(p.proposers), " ", ","), "[]")
	lines, err := runLibrary(ctx, p, dir, program, "-proposers", proposers)
	for _, line := range lines {
		say("  %-16s %5d proposers  %7.0f/s", line.Name, line.Workers, line.Rate)
		r.add(key{"library", line.Name, "", line.Workers}, line)
	}
	return err
}

// runLibrary returns the lines that a program prints.
func runLibrary(ctx context.Context, p plan, dir, program string, args ...string) (lines []load.Line, err error) {
	args = append(args, "-dir", dir, "-warm", p.warm.String(), "-for", p.long.String())
	c := exec.CommandContext(ctx, program, args...)
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(program), err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var line load.Line
		err := d.Decode(&line)
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s printed %q: %w", filepath.Base(program), out, err)
		}
		lines = append(lines, line)
	}
}

// measureGrowth runs pmmc's library with more nodes, and with longer operations.
func (r *results) measureGrowth(ctx context.Context, p plan, dir string, programs *programs) error {
	if !p.growth {
		return nil
	}
	for _, nodes := range []string{"3", "5", "7"} {
		for _, size := range []string{"256", "1024", "16384", "262144", "1048576"} {
			if nodes != "3" && size != "256" {
				continue
			}
			lines, err := runLibrary(ctx, p, dir, programs.libraries[0], "-nodes", nodes, "-size", size, "-proposers", "64")
			if err != nil {
				return err
			}
			say("  %s nodes, %7s bytes  %7.0f/s", nodes, size, lines[0].Rate)
			r.growth = append(r.growth, grown{nodes, size, lines[0]})
		}
	}
	return nil
}

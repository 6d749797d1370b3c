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
// their own.
func build(ctx context.Context, bin string) (*programs, error) {
	p := &programs{pmmc: filepath.Join(bin, "pmmc")}
	for _, b := range []struct{ in, what, name string }{
		{".", "./cmd/pmmc", "pmmc"},
		{".", "./test/bench/library", "library"},
		{"test/bench/hashiraft", ".", "hashiraft"},
		{"test/bench/etcdraft", ".", "etcdraft"},
	} {
		path := filepath.Join(bin, b.name)
		c := exec.CommandContext(ctx, "go", "build", "-o", path, b.what)
		c.Dir = b.in
		if out, err := c.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s in %s: %w\n%s", b.what, b.in, err, out)
		}
		if path != p.pmmc {
			p.libraries = append(p.libraries, path)
		}
	}
	p.etcd = os.Getenv("ETCD")
	if p.etcd == "" {
		p.etcd, _ = exec.LookPath("etcd") // none is an answer, too
	}
	return p, nil
}

// measureLibrary runs one of the programs.
func (r *results) measureLibrary(ctx context.Context, p plan, dir, program string) error {
	proposers := strings.Trim(strings.ReplaceAll(fmt.Sprint(p.proposers), " ", ","), "[]")
	c := exec.CommandContext(ctx, program, "-dir", dir, "-proposers", proposers, "-warm", p.warm.String(), "-for", p.long.String())
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(program), err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var line load.Line
		err := d.Decode(&line)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s printed %q: %w", filepath.Base(program), out, err)
		}
		say("  %-16s %5d proposers  %7.0f/s", line.Name, line.Workers, line.Rate)
		r.add(key{"library", line.Name, "", line.Workers}, line)
	}
}

package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPowerCuts cuts the power of nodes whose data directories are ext4 file systems on loop
// devices. Such a device writes to its file directly, so the file holds what a disk would: what
// the file system has not sent to it is only in the page cache, and lost. One node loses its
// power, or all three at the same moment.
func TestPowerCuts(t *testing.T) {
	wantLoops(t)
	r := newReport(t)
	p := &cutter{pmmc: build(t), report: r}
	p.run(t, *cutsFlag)
	t.Logf("crash: %d power cuts, %d of them of all nodes, %d writes, %d acknowledged: %v", p.cuts, p.ofAll, p.writes, p.known, r)
}

// cutter cuts the power of nodes of one cluster after another.
type cutter struct {
	pmmc          string
	report        *report
	calm          bool // no cluster is busy: a file that is sealed without a sync would be seen at once
	cuts, ofAll   int
	writes, known int
}

func (p *cutter) run(t *testing.T, cuts int) {
	for seed := *seedFlag; p.cuts < cuts && !p.report.enough(); seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			p.report.t = t
			rnd := rand.New(rand.NewPCG(seed, 2))
			more := []string{"", busy}[rnd.IntN(2)]
			if p.calm {
				more = ""
			}
			c := newCluster(t, p.pmmc, len(names), p.report, more)
			disks := make(map[*node]*disk)
			for _, n := range c.nodes {
				disks[n] = newDisk(c, n)
			}
			p.report.now("seed %d, first start", seed)
			up := p.start(c, rnd)
			for round := 0; up && round < rounds && p.cuts < cuts && !p.report.enough(); round++ {
				p.round(c, disks, rnd, fmt.Sprintf("seed %d, cut %d", seed, round))
				up = p.start(c, rnd)
			}
			if up && c.restart() {
				c.verify()
				c.stop()
			}
			writes, known := c.ledger.size()
			p.writes, p.known = p.writes+writes, p.known+known
		})
	}
}

// start starts the nodes that are down, and does so for good in three of four cases: in the
// fourth, the power is cut again before they are ready. It reports whether to go on.
func (p *cutter) start(c *cluster, rnd *rand.Rand) bool {
	if rnd.IntN(4) > 0 {
		if !c.restart() {
			return false
		}
		c.verify()
		c.compact(rnd)
		return true
	}
	for _, n := range c.nodes {
		if n.down() {
			c.start(n)
		}
	}
	return true
}

func (p *cutter) round(c *cluster, disks map[*node]*disk, rnd *rand.Rand, name string) {
	victims := c.nodes
	if at := rnd.IntN(2 * len(c.nodes)); at < len(c.nodes) {
		victims = c.nodes[at : at+1]
	} else {
		p.ofAll++
	}
	p.report.now("%s of %d nodes", name, len(victims))
	stop := c.load()
	c.ledger.await(1+rnd.IntN(600), time.Duration(rnd.IntN(1500))*time.Millisecond)
	for _, n := range victims {
		_ = n.cmd.Process.Signal(syscall.SIGSTOP) // one that ended does not come back, and that is reported
	}
	for _, n := range victims {
		c.must(disks[n].capture())
	}
	for _, n := range victims {
		n.kill()
	}
	stop()
	p.cuts++
	for _, n := range victims {
		c.must(disks[n].swap())
		if rnd.IntN(2) == 0 {
			c.check(n)
		}
	}
}

// disk is an image of a file system that is mounted at the folder above a data directory.
type disk struct {
	image  string
	number int // of images so far
	folder string
	device string // of the mounted image
}

const imageBytes = 192 << 20

// newDisk makes a file system for a node, and mounts it until the test ends.
func newDisk(c *cluster, n *node) *disk {
	c.t.Helper()
	folder := filepath.Dir(n.data)
	d := &disk{folder: folder, image: folder + ".0.img"}
	file, err := os.Create(d.image)
	c.must(err)
	c.must(errors.Join(file.Truncate(imageBytes), file.Close()))
	c.must(do("mkfs.ext4", "-q", "-F", d.image))
	c.must(d.mount())
	c.t.Cleanup(func() {
		n.kill()
		if err := do("umount", d.folder); err != nil {
			c.t.Error(err)
		}
	})
	return d
}

// mount mounts the image by a loop device, which goes away when it is unmounted.
func (d *disk) mount() error {
	out, err := exec.Command("losetup", "--find", "--show", "--direct-io=on", d.image).CombinedOutput()
	if err != nil {
		return fmt.Errorf("losetup %s: %w: %s", d.image, err, out)
	}
	d.device = strings.TrimSpace(string(out))
	err = do("mount", d.device, d.folder)
	return errors.Join(err, do("losetup", "-d", d.device))
}

// statistics are the device's: of writes, and of requests that have not ended.
func (d *disk) statistics() (writes string, waiting bool, err error) {
	text, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(d.device), "stat"))
	f := strings.Fields(string(text))
	if err == nil && len(f) < 17 {
		err = fmt.Errorf("the statistics of %s are %q: want 17 numbers", d.device, text)
	}
	if err != nil {
		return "", false, err
	}
	return strings.Join([]string{f[4], f[6], f[11], f[13], f[15]}, " "), f[8] != "0", nil
}

// next is the image of what the disk held when it was captured.
func (d *disk) next() string { return fmt.Sprintf("%s.%d.img", d.folder, d.number+1) }

// capture copies what the disk holds. The node is stopped, but the kernel may still write what
// it wrote before: a copy counts if no request was on its way while it was made.
func (d *disk) capture() error {
	for range 200 {
		before, waiting, err := d.statistics()
		if err != nil {
			return err
		}
		if waiting {
			pause(context.Background())
			continue
		}
		if err := do("cp", "--sparse=auto", d.image, d.next()); err != nil {
			return err
		}
		after, waiting, err := d.statistics()
		if err != nil || before == after && !waiting {
			return err
		}
	}
	return fmt.Errorf("%s is written to all the time: no copy of it is of one moment", d.image)
}

// swap mounts the image that was captured in the place of the one that went on.
func (d *disk) swap() error {
	if err := do("umount", d.folder); err != nil {
		return err
	}
	old := d.image
	d.image = d.next()
	d.number++
	return errors.Join(d.mount(), os.Remove(old))
}

func do(program string, args ...string) error {
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, out)
	}
	return nil
}

// wantLoops skips a test where file systems cannot be mounted from images, or where their
// devices do not write directly: then a copy of the image would hold what was not synced.
func wantLoops(t *testing.T) {
	t.Helper()
	want(t, true, "losetup", "mkfs.ext4", "mount", "umount", "cp")
	image := filepath.Join(t.TempDir(), "try.img")
	if err := os.WriteFile(image, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", "--direct-io=on", image).CombinedOutput()
	if err != nil {
		t.Skipf("there are no loop devices: losetup: %v: %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	direct, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(device), "loop/dio"))
	if err := do("losetup", "-d", device); err != nil {
		t.Fatal(err)
	}
	if err != nil || strings.TrimSpace(string(direct)) != "1" {
		t.Skipf("%s does not write to a file in %s directly: set TMPDIR to a folder on another file system", device, filepath.Dir(image))
	}
}

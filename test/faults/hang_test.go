package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
	"github.com/pmmc-go/pmmc/cluster/journal"
)

// TestAHungDisk freezes disks: an fsync that was begun does not return. Leadership leaves
// the node, also when no client writes, and does not come back while its disk hangs. A
// follower's disk changes nothing. Both say so, and go on when their disk does.
func TestAHungDisk(t *testing.T) {
	for _, victim := range []string{"leader", "follower"} {
		t.Run(victim, func(t *testing.T) {
			disks := make(map[string]*hangingDisk)
			var logs safeBuffer
			p := cluster.DefaultProtocol()
			p.DiskTimeout = 2 * time.Second
			c := watched(t, 3, clustertest.Options{
				Disk: true, Protocol: &p,
				Logger: hclog.New(&hclog.LoggerOptions{Output: &logs}),
				Change: func(o *cluster.Options) {
					disk := newHangingDisk()
					disks[o.Member] = disk
					log, err := journal.NewMemory(disk.sync).Open(journal.Options{
						Failed: func(err error) { t.Errorf("journal of %s: %v", o.Member, err) },
					})
					if err != nil {
						t.Fatal(err)
					}
					o.Journal = log
				},
			})
			leader, other := officeOf(t, c)
			hung, works := other, leader
			if victim == "leader" {
				hung, works = leader, other
			}
			disks[hung.Name].freeze()
			if victim == "leader" { // and no client writes
				c.Eventually("another one is in office", func() error {
					if now := works.Status().InOffice; now == "" || now == hung.Name {
						return fmt.Errorf("%q is in office", now)
					}
					return nil
				})
			}
			ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
			defer cancel()
			now := works.Status().InOffice
			for range 200 {
				if _, err := works.Propose(ctx, []byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			told := func(what string) {
				t.Helper()
				c.Eventually(what, func() error {
					if !strings.Contains(logs.String(), what) {
						return errors.New("nobody says so")
					}
					return nil
				})
			}
			told("the disk hangs")
			if got := works.Status().InOffice; got != now || got == hung.Name {
				t.Errorf("%q was in office, and %q is while the disk of %s hangs", now, got, hung.Name)
			}
			if n := works.Status().Runtime.Office.Reasons[actors.WhyDisk]; n > 0 {
				t.Errorf("%s gave up %d offices because of the disk of %s", works.Name, n, hung.Name)
			}
			disks[hung.Name].thaw()
			told("the disk completes writes again")
			c.WaitAgreement()
		})
	}
}

// hangingDisk completes nothing while it is frozen.
type hangingDisk struct {
	mu     sync.Mutex
	frozen chan struct{} // closed when it is thawed
}

func newHangingDisk() *hangingDisk {
	d := &hangingDisk{frozen: make(chan struct{})}
	close(d.frozen)
	return d
}

func (d *hangingDisk) freeze() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.frozen = make(chan struct{})
}

func (d *hangingDisk) thaw() { close(d.frozen) }

func (d *hangingDisk) sync(ctx context.Context) error {
	d.mu.Lock()
	frozen := d.frozen
	d.mu.Unlock()
	select {
	case <-frozen:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// safeBuffer takes logs of many goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

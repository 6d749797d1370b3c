package cluster

import (
	"slices"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/actors/runtime"
	"github.com/pmmc-go/pmmc/actors/runtime/measure"
	"github.com/pmmc-go/pmmc/cluster/transport"
)

// well is a node of three at which all is as it should be.
func well(now time.Time) Status {
	s := Status{At: now, Member: "alpha", InOffice: "beta"}
	for i, name := range []string{"alpha", "beta", "gamma"} {
		s.Configuration.Members = append(s.Configuration.Members, actors.Member{ID: uint32(i + 1), Name: name, Acceptor: true})
	}
	up := transport.PeerStats{Connected: true, Since: now.Add(-time.Hour), RoundTrip: time.Millisecond}
	s.Transport.Peers = map[string]transport.PeerStats{"beta": up, "gamma": up}
	s.Replica.SlotOut, s.Replica.Ahead = 100, 100
	s.Runtime.Began, s.Runtime.Office.Since = now.Add(-time.Hour), now.Add(-time.Hour)
	return s
}

func TestWarnings(t *testing.T) {
	now := time.Now()
	away := transport.PeerStats{Since: now.Add(-3 * time.Minute)}
	syncs := func(n int, took time.Duration) measure.Distribution {
		h := measure.Times()
		for range n {
			h.Took(took)
		}
		return h.Show()
	}
	for _, tt := range []struct {
		spoil func(*Status)
		want  []string
	}{
		{func(*Status) {}, nil},
		{func(s *Status) { s.Transport.Peers["gamma"] = away }, []string{"gamma cannot be reached from alpha"}},
		{func(s *Status) { s.Transport.Peers["gamma"] = transport.PeerStats{Since: now} }, nil},
		{func(s *Status) { s.Transport.Peers["beta"], s.Transport.Peers["gamma"] = away, away },
			[]string{"no majority: beta and gamma cannot be reached from alpha"}},
		{func(s *Status) { s.InOffice, s.Runtime.Office.Since = "", now.Add(-12*time.Second) }, []string{"alpha knows of nobody in office, for 12s"}},
		{func(s *Status) { s.Replica.Ahead += 12000 }, []string{"alpha lags 12,000 slots"}},
		{func(s *Status) { s.Replica.Ahead, s.Replica.Restoring = 1234667, true }, []string{"alpha lags 1,234,567 slots, and is fetching a snapshot"}},
		{func(s *Status) { s.Journal.SyncTimes = syncs(100, 110*time.Millisecond) }, []string{"alpha: fsync takes up to 130ms"}},
		{func(s *Status) { s.Journal.SyncTimes = syncs(100, time.Millisecond) }, nil},
		{func(s *Status) { s.Disk.Waits = 6 * time.Second }, []string{"alpha: its disk hangs or is full: it has completed no write for 6s"}},
		{func(s *Status) { s.Awaited = []string{"beta", "gamma"} }, []string{"alpha waits for beta and gamma before its acceptor and its leader run"}},
		{func(s *Status) { s.Disk.Short, s.Disk.Free, s.Disk.Files = true, 100<<20, -1 }, []string{"alpha: its disk is nearly full: 100 MiB are free"}},
		{func(s *Status) { s.Disk.Short, s.Disk.Free, s.Disk.Files = true, 100<<30, 12 }, []string{"alpha: its disk is nearly full: 12 files can be made"}},
		{func(s *Status) { s.Disk.Full, s.Disk.Short, s.Disk.Free = true, true, 100<<30 }, []string{"alpha: its disk is full: no space, no inode or no quota is left"}},
		{func(s *Status) { s.Disk.Unflushed = 25 * time.Second }, []string{"alpha: its state has not been made durable for 25s: its journal grows"}},
		{func(s *Status) { s.Silent = []string{"replica"} }, []string{"alpha: its replica is too busy to show itself"}},
		{func(s *Status) { s.Restarts = map[string]int{"replica": 2, "client": 1} },
			[]string{"alpha: client panicked and came back, once", "alpha: replica panicked and came back, 2 times"}},
		{func(s *Status) {
			s.Transport.Peers["gamma"] = transport.PeerStats{Connected: true, RoundTrip: 200 * time.Millisecond}
		}, []string{"alpha: a round trip to gamma takes 200ms"}},
		{func(s *Status) {
			for round := range uint64(12) { // one a minute and a half, each in office twice: scouting and active
				for _, standing := range []string{"scouting", "active"} {
					s.Runtime.Office.Changes = append(s.Runtime.Office.Changes, runtime.Change{
						At: now.Add(time.Duration(round-12) * 90 * time.Second), Stand: actors.Stand{Standing: standing, InOffice: actors.Ballot{Round: round + 1, Leader: 1}},
					})
				}
			}
		}, []string{"alpha saw the office change hands 6 times in the last 10 minutes"}},
		{func(s *Status) {
			for epoch := range uint64(12) { // members change, and who is in office stays
				s.Runtime.Office.Changes = append(s.Runtime.Office.Changes, runtime.Change{
					At: now, Epoch: epoch + 1, Stand: actors.Stand{Standing: "scouting", Why: actors.WhyEpoch},
				}, runtime.Change{
					At: now, Epoch: epoch + 1, Stand: actors.Stand{Standing: "active", Why: actors.WhyEpoch, InOffice: actors.Ballot{Round: epoch + 1, Leader: 1}},
				})
			}
		}, nil},
	} {
		s := well(now)
		tt.spoil(&s)
		if got := s.Warnings(Status{}); !slices.Equal(got, tt.want) {
			t.Errorf("warnings are %q, want %q", got, tt.want)
		}
	}
	// What was slow before the last seconds is no news.
	s := well(now)
	s.Journal.SyncTimes = syncs(100, time.Second)
	if got := s.Warnings(s); len(got) > 0 {
		t.Errorf("warnings of what is over: %q", got)
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1234 * time.Microsecond: "1ms", 1234 * time.Millisecond: "1.2s", 61 * time.Second: "1m01s", 62 * time.Minute: "1h02m", 49 * time.Hour: "2d01h",
	} {
		if got := Age(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}

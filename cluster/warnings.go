package cluster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pmmc-go/pmmc/actors"
)

// From where on something is worth a warning.
const (
	warnLag      = 1000                   // slots
	warnSync     = 100 * time.Millisecond // that one fsync of a hundred takes
	leastSyncs   = 20                     // of which that can be told
	warnWaiting  = time.Second            // that a record waits for the disk
	warnAway     = time.Second            // that a peer is not connected, or nobody in office
	warnElected  = 4                      // that came into office …
	recentOffice = 10 * time.Minute       // … within so long
	warnTrip     = 150 * time.Millisecond
)

// Warnings says, in words for an operator, what is not as it should be at this node, and
// of others as far as it knows. Earlier is a Status of some seconds before: what takes
// long is judged by what was done in between.
func (s Status) Warnings(earlier Status) []string {
	all := slices.Concat(s.officeWarnings(), s.peerWarnings(), s.diskWarnings(earlier))
	if since := s.At.Sub(s.Runtime.Began); !s.CaughtUp && slices.Contains(s.Roles, "replica") && since >= warnAway {
		all = append(all, fmt.Sprintf("%s started %s ago and has not caught up: it serves no reads, writes or watches yet", s.Member, Age(since)))
	}
	if lag := s.Lag(); lag >= warnLag {
		text := fmt.Sprintf("%s lags %s slots", s.Member, grouped(lag))
		if s.Replica.Restoring {
			text += ", and is fetching a snapshot"
		}
		all = append(all, text)
	}
	for _, d := range s.Replica.Diverged {
		all = append(all, fmt.Sprintf("%s and %s executed different decrees: the first is of a slot from %d to %d; %s agrees with %s",
			s.Member, d.With.Member(), d.First, d.Below-1, s.Member, cmp.Or(enumerated(membersOf(s.Replica.Agrees)), "no other member")))
	}
	if len(s.Awaited) > 0 {
		all = append(all, fmt.Sprintf("%s waits for %s before its acceptor and its leader run", s.Member, enumerated(s.Awaited)))
	}
	for _, role := range s.Silent {
		all = append(all, fmt.Sprintf("%s: its %s is too busy to show itself", s.Member, role))
	}
	for _, actor := range slices.Sorted(maps.Keys(s.Restarts)) {
		all = append(all, fmt.Sprintf("%s: %s panicked and came back, %s", s.Member, actor, times(uint64(s.Restarts[actor]))))
	}
	return all
}

func (s Status) officeWarnings() (all []string) {
	office := s.Runtime.Office
	since := cmp.Or(office.Since, s.Runtime.Began)
	if n := len(office.Changes); n > 0 && office.Changes[n-1].Why == actors.WhyEpoch {
		since = office.Changes[n-1].At // it runs in a new epoch, and was in office until then
	}
	if away := s.At.Sub(since); s.InOffice == "" && away >= warnAway && len(s.Silent) == 0 {
		all = append(all, fmt.Sprintf("%s knows of nobody in office, for %s", s.Member, Age(away)))
	}
	if elected := office.ElectedSince(s.At.Add(-recentOffice)); elected >= warnElected {
		all = append(all, fmt.Sprintf("%s saw the office change hands %d times in the last 10 minutes", s.Member, elected))
	}
	return all
}

// peerWarnings says who cannot be reached, and whether a majority can.
func (s Status) peerWarnings() (all []string) {
	var away []string
	reached, acceptors := 0, 0
	for _, m := range s.Configuration.Members {
		peer, known := s.Transport.Peers[m.Name]
		here := m.Name == s.Member || known && (peer.Connected || s.At.Sub(peer.Since) < warnAway)
		if m.Acceptor {
			acceptors++
		}
		switch {
		case !here:
			away = append(away, m.Name)
		case m.Acceptor:
			reached++
		}
		if trip := peer.RoundTrip; trip >= warnTrip && peer.Connected {
			all = append(all, fmt.Sprintf("%s: a round trip to %s takes %s", s.Member, m.Name, Age(trip)))
		}
	}
	switch {
	case len(away) == 0:
	case 2*reached <= acceptors:
		all = append(all, fmt.Sprintf("no majority: %s cannot be reached from %s", enumerated(away), s.Member))
	default:
		all = append(all, fmt.Sprintf("%s cannot be reached from %s", enumerated(away), s.Member))
	}
	return all
}

func (s Status) diskWarnings(earlier Status) (all []string) {
	if s.Disk.Waits >= warnWaiting {
		all = append(all, fmt.Sprintf("%s: its disk hangs or is full: it has completed no write for %s", s.Member, Age(s.Disk.Waits)))
	}
	switch {
	case s.Disk.Full:
		all = append(all, fmt.Sprintf("%s: its disk is full: no space, no inode or no quota is left", s.Member))
	case s.Disk.Short && s.Disk.Files >= 0 && s.Disk.Files < filesReserve:
		all = append(all, fmt.Sprintf("%s: its disk is nearly full: %s files can be made", s.Member, grouped(uint64(s.Disk.Files))))
	case s.Disk.Short:
		all = append(all, fmt.Sprintf("%s: its disk is nearly full: %s MiB are free", s.Member, grouped(uint64(max(0, s.Disk.Free)>>20))))
	}
	if s.Disk.Unflushed > 0 {
		all = append(all, fmt.Sprintf("%s: its state has not been made durable for %s: its journal grows", s.Member, Age(s.Disk.Unflushed)))
	}
	if s.Disk.Damage != nil {
		all = append(all, fmt.Sprintf("%s: a file is not what was written: %v", s.Member, s.Disk.Damage))
	}
	synced := s.Journal.SyncTimes.Since(earlier.Journal.SyncTimes)
	took := time.Duration(synced.Quantile(0.99) * float64(time.Second))
	if synced.Count() >= leastSyncs && took >= warnSync {
		all = append(all, fmt.Sprintf("%s: fsync takes up to %s", s.Member, Age(took)))
	}
	return all
}

// Age shows a duration as people do: in two units, or in one where it is short.
func Age(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// grouped writes a number with commas: 12,000.
func grouped(n uint64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func membersOf(replicas []actors.Addr) (names []string) {
	for _, a := range replicas {
		names = append(names, a.Member())
	}
	return names
}

// enumerated writes names as in a sentence.
func enumerated(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

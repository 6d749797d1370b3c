package overview

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pmmc-go/pmmc/actors/runtime/measure"
	"github.com/pmmc-go/pmmc/messages"
	"github.com/pmmc-go/pmmc/messages/admin"
)

// ErrSilent is why a node that runs is not shown: it serves nobody yet.
var ErrSilent = errors.New("it runs, and serves no clients yet")

// Ask asks one node to show itself.
type Ask func(ctx context.Context, target string) (*admin.StatusResponse, error)

// Board is what was seen of the nodes so far. It belongs to one goroutine.
type Board struct {
	From  string           // the node that looks, if it is one
	Clock func() time.Time // nil is the process's

	seen   map[string]*seen // by target
	latest *messages.Configuration
}

// seen is what a target showed.
type seen struct {
	reachable bool
	since     time.Time // when that was last changed
	err       error
	shown     *admin.StatusResponse // the last; nil if it never did
	at        time.Time             // when it showed that
	before    *admin.StatusResponse // the one before that of another time, for rates
	rated     Node                  // has the rates
}

// Look asks all targets at the same time, and shows what came of it.
func (b *Board) Look(ctx context.Context, targets []string, ask Ask) *Cluster {
	answers := make([]*admin.StatusResponse, len(targets))
	errs := make([]error, len(targets))
	var all sync.WaitGroup
	for i, target := range targets {
		all.Go(func() { answers[i], errs[i] = ask(ctx, target) })
	}
	all.Wait()
	now := time.Now()
	if b.Clock != nil {
		now = b.Clock()
	}
	for i, target := range targets {
		b.note(now, target, answers[i], errs[i])
	}
	for target := range b.seen {
		if !slices.Contains(targets, target) {
			delete(b.seen, target)
		}
	}
	return b.show(now, targets)
}

func (b *Board) note(now time.Time, target string, answer *admin.StatusResponse, err error) {
	if b.seen == nil {
		b.seen = make(map[string]*seen)
	}
	s, known := b.seen[target]
	if !known {
		s = &seen{since: now}
		b.seen[target] = s
	}
	if known && s.reachable != (err == nil) {
		s.since = now
	}
	s.reachable, s.err = err == nil, err
	if err != nil {
		return
	}
	if answer.SlotOut == 0 { // its replica was too busy to show itself, if it has one
		r := s.shown
		answer.SlotOut, answer.SlotIn, answer.Durable = r.GetSlotOut(), r.GetSlotIn(), r.GetDurable()
		answer.Commands, answer.Recent = r.GetCommands(), r.GetRecent()
	}
	if s.shown == nil || s.shown.Seen != answer.Seen {
		s.before = s.shown
		s.rate(answer)
	}
	s.shown, s.at = answer, now
	if answer.Configuration.GetEpoch() >= b.latest.GetEpoch() && answer.Configuration != nil {
		b.latest = answer.Configuration
	}
}

// maxBetween is how long two looks may be apart for a rate to tell of the present.
const maxBetween = 5 * time.Second

// rate finds out what happened since the last look.
func (s *seen) rate(now *admin.StatusResponse) {
	s.rated = Node{}
	before := s.before
	if before == nil || before.Process != now.Process || now.Seen <= before.Seen || now.SlotOut < before.SlotOut || now.Seen-before.Seen > int64(maxBetween) {
		return // it was started anew, or nobody looked
	}
	seconds := time.Duration(now.Seen - before.Seen).Seconds()
	s.rated.CommandsRate = float64(now.Commands-before.Commands) / seconds
	s.rated.SlotsRate = float64(now.SlotOut-before.SlotOut) / seconds
	s.rated.Latency = spread(times(now.Latency, before.Latency))
	s.rated.Sync = spread(times(now.Sync, before.Sync))
}

// show draws the picture.
func (b *Board) show(now time.Time, targets []string) *Cluster {
	c := &Cluster{
		At: now.UnixMilli(), From: b.From, Nodes: []Node{}, Members: membersOf(b.latest),
		Epoch: b.latest.GetEpoch(), First: b.latest.GetFirst(), Window: b.latest.GetWindow(),
	}
	for _, target := range targets {
		c.Nodes = append(c.Nodes, b.node(target))
	}
	var furthest uint64
	for _, n := range c.Nodes {
		if n.Reachable {
			furthest = max(furthest, n.SlotOut)
			c.CommandsRate = max(c.CommandsRate, n.CommandsRate)
		}
	}
	for i := range c.Nodes {
		n := &c.Nodes[i] // those that can be asked know it themselves: they were not asked all at once
		if !n.Reachable && n.SlotOut > 0 && n.SlotOut < furthest {
			n.Lag = furthest - n.SlotOut
		}
	}
	b.office(c)
	c.Latency = b.latency()
	c.Decrees = b.decrees(targets)
	c.Changes = b.changes(targets)
	c.Warnings = b.warnings(c, targets)
	return c
}

// latency is that of all nodes' clients.
func (b *Board) latency() *Spread {
	var sum measure.Distribution
	for _, s := range b.seen {
		if s.reachable && s.rated.Latency != nil {
			sum = sum.Plus(times(s.shown.Latency, s.before.Latency))
		}
	}
	return spread(sum)
}

// office is who leads as most nodes know it.
func (b *Board) office(c *Cluster) {
	votes := make(map[string]int)
	for _, s := range b.seen {
		if s.reachable {
			votes[s.shown.InOffice]++
			c.Name = s.shown.Cluster
		} else if s.shown != nil {
			c.Name = cmp.Or(c.Name, s.shown.Cluster)
		}
	}
	for name, n := range votes {
		if name != "" && (c.Leader == "" || n > votes[c.Leader] || n == votes[c.Leader] && name < c.Leader) {
			c.Leader = name
		}
	}
	for _, s := range b.seen {
		if !s.reachable || c.Leader == "" || s.shown.InOffice != c.Leader {
			continue
		}
		own := s.shown.Member == c.Leader
		if own {
			c.Ballot = Ballot(s.shown.Ballot)
		}
		if age := s.shown.OfficeAge; age > 0 && (own || c.Since == 0) {
			c.Since = before(c.At, age)
		}
	}
}

// shownActors is how many scouts and commanders are named.
const shownActors = 8

func (b *Board) node(target string) Node {
	s := b.seen[target]
	n := s.rated
	n.Name, n.Reachable, n.Since = target, s.reachable, s.since.UnixMilli()
	if s.err != nil {
		n.Error = s.err.Error()
		n.CommandsRate, n.SlotsRate, n.Latency, n.Sync = 0, 0, nil, nil
	}
	r := s.shown
	if r == nil {
		for _, m := range b.latest.GetMembers() {
			if m.Name == target || m.Client == target {
				n.Name, n.ID, n.Roles = m.Name, m.Id, rolesOf(m)
			}
		}
		return n
	}
	n.Name, n.ID, n.Roles, n.Ready, n.Version, n.PID, n.Restarts = r.Member, r.Id, r.Roles, r.Ready, r.Version, r.Process, r.Restarts
	n.Ballot, n.Standing, n.Promised, n.Office = Ballot(r.Ballot), r.Standing, Ballot(r.Promised), r.InOffice
	n.Lag, n.SlotOut, n.SlotIn, n.Durable, n.Restoring, n.Accepted = r.Behind, r.SlotOut, r.SlotIn, r.Durable, r.Restoring, r.Accepted
	n.Waiting, n.InFlight, n.JournalBytes, n.DatabaseBytes = r.Waiting, r.InFlight, r.JournalBytes, r.DatabaseBytes
	for _, p := range r.Peers {
		n.Peers = append(n.Peers, Peer{p.Name, p.Connected, 1000 * p.RoundTrip})
	}
	n.Page, n.Alive = b.page(r), len(r.Alive)
	for _, path := range r.Alive {
		switch last := path[strings.LastIndexByte(path, '/')+1:]; {
		case strings.HasPrefix(last, "scout-"):
			n.Scouts++
			if n.Scouts > shownActors {
				continue
			}
		case strings.HasPrefix(last, "commander-"):
			n.Flying++
			if n.Flying > shownActors {
				continue
			}
		}
		n.Actors = append(n.Actors, path)
	}
	return n
}

// page is where a node's own page is. Where it listens on all addresses of its machine,
// it is at the one at which clients find it.
func (b *Board) page(r *admin.StatusResponse) string {
	host, port, err := net.SplitHostPort(r.Http)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		for _, m := range b.latest.GetMembers() {
			if m.Id == r.Id {
				host, _, err = net.SplitHostPort(m.Client)
			}
		}
		if err != nil || host == "" {
			return ""
		}
	}
	scheme := "http://"
	if r.Secure {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, port) + "/"
}

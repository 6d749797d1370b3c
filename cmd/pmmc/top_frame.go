package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/overview"
)

// size2 is how large a terminal is; zero is as large as what is shown.
type size2 struct{ width, height int }

// ink is how lines are told apart: for a terminal by colours, else not at all.
type ink struct{ title, office, away, warning, heading, end string }

var (
	noInk   = ink{}
	colours = ink{
		title: "\x1b[1m", office: "\x1b[1;32m", away: "\x1b[31m", warning: "\x1b[33m", heading: "\x1b[2m", end: "\x1b[0m",
	}
)

// frame draws a cluster, in lines. What does not fit is left out: the end of a line, and
// the oldest decrees.
func frame(c *overview.Cluster, size size2, ink ink) []string {
	p := &painter{size: size, ink: ink}
	at := time.UnixMilli(c.At)
	p.add(ink.title, fmt.Sprintf("pmmc top   cluster %s   %s", orDash(c.Name), at.Format(time.TimeOnly)))
	p.add("", office(c, at))
	p.add("", fmt.Sprintf("%s commands/s   latency %s   %d slots decided", thousands(c.CommandsRate), spreadText(c.Latency), decided(c)))
	for _, w := range c.Warnings {
		p.add(ink.warning, "! "+w)
	}
	p.add("", "")
	p.nodes(c, at)
	p.add("", "")
	p.add(ink.heading, "WINDOW")
	for _, n := range c.Nodes {
		if n.SlotOut > 0 && c.Window > 0 {
			p.add("", fmt.Sprintf("%-12s %d %s %d", n.Name, n.SlotOut, bar(n.SlotIn-n.SlotOut, c.Window), n.SlotOut+c.Window))
		}
	}
	p.add("", "")
	p.add(ink.heading, "LEADER CHANGES")
	for i, change := range c.Changes {
		if i == 4 {
			break
		}
		p.add("", fmt.Sprintf("%s  %s (ballot %s)", time.UnixMilli(change.At).Format(time.TimeOnly), change.Text, change.Ballot))
	}
	p.add("", "")
	p.decrees(c)
	return p.lines
}

// painter gathers the lines of a frame.
type painter struct {
	size  size2
	ink   ink
	lines []string
}

// add adds a line, unless the frame is full. What a node says of itself cannot move the
// cursor.
func (p *painter) add(how, line string) {
	if p.size.height > 0 && len(p.lines) >= p.size.height {
		return
	}
	line = strings.TrimRight(strings.Map(printable, line), " ")
	if runes := []rune(line); p.size.width > 0 && len(runes) > p.size.width {
		line = string(runes[:p.size.width])
	}
	if how != "" {
		line = how + line + p.ink.end
	}
	p.lines = append(p.lines, line)
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return '?'
}

func office(c *overview.Cluster, at time.Time) string {
	text := "nobody is in office"
	if c.Leader != "" {
		text = fmt.Sprintf("%s is in office with ballot %s", c.Leader, orDash(c.Ballot))
		if c.Since > 0 {
			text += ", for " + cluster.Age(at.Sub(time.UnixMilli(c.Since)))
		}
	}
	return fmt.Sprintf("%s   epoch %d from slot %d, window %d", text, c.Epoch, c.First, c.Window)
}

func decided(c *overview.Cluster) (slots uint64) {
	for _, n := range c.Nodes {
		slots = max(slots, n.SlotOut)
	}
	return max(slots, 1) - 1
}

// nodes draws a row for each node. What matters most stands on the left: the right is
// cut off where there is no room.
func (p *painter) nodes(c *overview.Cluster, at time.Time) {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tSTATE\tBALLOT\tLAG\tCMD/S\tLATENCY\tFSYNC\tCOMM\tSCOUT\tACTORS\tSLOT_OUT\tSLOT_IN\tPROMISED\tJOURNAL\tDATABASE")
	for _, n := range c.Nodes {
		if !n.Reachable {
			fmt.Fprintf(table, "%s\taway%s\n", n.Name, strings.Repeat("\t-", 13))
			continue
		}
		state := n.Standing
		if n.Name == c.Leader {
			state = "in office"
		}
		fmt.Fprintln(table, strings.Join([]string{
			n.Name, orDash(state), orDash(n.Ballot), fmt.Sprint(n.Lag), thousands(n.CommandsRate), halfText(n.Latency), halfText(n.Sync),
			fmt.Sprint(n.Flying), fmt.Sprint(n.Scouts), fmt.Sprint(n.Alive), fmt.Sprint(n.SlotOut), fmt.Sprint(n.SlotIn),
			orDash(n.Promised), size(n.JournalBytes), size(n.DatabaseBytes),
		}, "\t"))
	}
	_ = table.Flush() // into memory
	for i, row := range strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n") {
		switch {
		case i == 0:
			p.add(p.ink.heading, row)
		case !c.Nodes[i-1].Reachable:
			n := c.Nodes[i-1]
			since := time.UnixMilli(n.Since)
			why := fmt.Sprintf("%s, since %s (%s)", n.Error, since.Format(time.TimeOnly), cluster.Age(at.Sub(since)))
			p.add(p.ink.away, row[:strings.Index(row, "away")]+"away: "+why)
		case c.Nodes[i-1].Name == c.Leader:
			p.add(p.ink.office, row)
		default:
			p.add("", row)
		}
	}
}

// decrees draws as many of the latest as there is room for.
func (p *painter) decrees(c *overview.Cluster) {
	p.add(p.ink.heading, fmt.Sprintf("%10s  %-8s  %-16s %8s %9s", "SLOT", "BALLOT", "DECREE", "COMMANDS", "BYTES"))
	shown := len(c.Decrees)
	if p.size.height == 0 {
		shown = min(shown, 8)
	}
	for _, d := range c.Decrees[:shown] {
		p.add("", fmt.Sprintf("%10d  %-8s  %-16s %8d %9d", d.Slot, d.Ballot, d.Kind, d.Commands, d.Bytes))
	}
}

// bar draws a part of a whole.
func bar(part, whole uint64) string {
	const cells = 32
	full := int(min(part, whole) * cells / whole)
	if part > 0 {
		full = max(full, 1)
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", cells-full) + "]"
}

func thousands(rate float64) string { return strconv.FormatFloat(rate, 'f', 0, 64) }

func halfText(s *overview.Spread) string {
	if s == nil {
		return "-"
	}
	return milliseconds(s.Half)
}

func spreadText(s *overview.Spread) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%s median, %s p99", milliseconds(s.Half), milliseconds(s.Most))
}

func milliseconds(ms float64) string { return strconv.FormatFloat(ms, 'g', 3, 64) + "ms" }

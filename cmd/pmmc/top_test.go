package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/pmmc-go/pmmc/cluster/overview"
)

// TestTopFrame holds what pmmc top draws equal to testdata/top_*.txt, on screens of two
// sizes and on paper.
func TestTopFrame(t *testing.T) {
	zone := time.Local
	time.Local = time.UTC
	defer func() { time.Local = zone }()
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC).UnixMilli()
	c := &overview.Cluster{
		Name: "shop", At: at, Leader: "beta", Ballot: "7.2", Since: at - 75_000, Epoch: 3, First: 1201, Window: 128,
		Nodes: []overview.Node{
			{
				Name: "alpha", Reachable: true, Since: at, Alive: 3, Standing: "passive", Promised: "7.2", SlotOut: 4801, SlotIn: 4801,
				CommandsRate: 312.4, Sync: &overview.Spread{Half: 0.512, Most: 3.1}, JournalBytes: 16 << 20, DatabaseBytes: 3 << 20,
			},
			{
				Name: "beta", Reachable: true, Since: at, Alive: 15, Scouts: 0, Flying: 12, Standing: "active", Ballot: "7.2", Promised: "7.2",
				SlotOut: 4800, SlotIn: 4812, Lag: 1, CommandsRate: 310, JournalBytes: 16 << 20, DatabaseBytes: 3 << 20,
				Latency: &overview.Spread{Half: 1.25, Most: 9}, Sync: &overview.Spread{Half: 0.4, Most: 1},
			},
			{Name: "gamma", Since: at - 3_700_000, Error: "no answer in time", SlotOut: 100, SlotIn: 100, Lag: 4701},
			{Name: "10.0.0.4:2379", Since: at, Error: "connection\x1b[2J refused"},
		},
		Changes: []overview.Change{
			{At: at - 75_000, Leader: "beta", Ballot: "7.2", Text: "beta came into office: a majority had heard nothing from anybody in office"},
			{At: at - 76_000, Node: "gamma", Ballot: "6.3", Text: "gamma left office: no majority of acceptors answered"},
		},
		Decrees: []overview.Decree{
			{Slot: 4800, Ballot: "7.2", Kind: "commands", Commands: 12, Bytes: 3556},
			{Slot: 4799, Ballot: "7.2", Kind: "no-op"},
			{Slot: 4798, Ballot: "6.3", Kind: "reconfiguration", Commands: 1, Bytes: 190},
		},
		CommandsRate: 312.4, Latency: &overview.Spread{Half: 1.25, Most: 9}, Warnings: []string{"gamma cannot be reached"},
	}
	for _, tt := range []struct {
		name string
		size size2
		ink  ink
	}{
		{"paper", size2{}, noInk}, {"wide", size2{140, 40}, colours}, {"narrow", size2{60, 14}, colours},
	} {
		got := strings.ReplaceAll(strings.Join(frame(c, tt.size, tt.ink), "\n")+"\n", "\x1b", "ESC")
		path := "testdata/top_" + tt.name + ".txt"
		if *rewrite {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("not as in %s; if it should be, go test ./cmd/pmmc -run TopFrame -rewrite\n%s", path, got)
		}
	}
	if lines := frame(&overview.Cluster{At: at}, size2{80, 24}, colours); len(lines) == 0 || !strings.Contains(lines[1], "nobody is in office") {
		t.Errorf("a cluster of which nothing is known: %q", lines)
	}
}

// TestTopOnATerminal shows that pmmc top draws anew, follows the size of its terminal,
// goes on when a node dies, and leaves the terminal as it was when q is typed.
func TestTopOnATerminal(t *testing.T) {
	s := newSample(t, 3, "")
	s.start(names...)
	s.do("put", "colour", "red")
	leader := s.leader()
	cmd := exec.Command(binary, "top", s.endpoints())
	screen, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 30, Cols: 150})
	if err != nil {
		t.Fatal(err)
	}
	var out output
	read := make(chan struct{})
	go func() { // until the terminal is closed at the other side
		defer close(read)
		b := make([]byte, 4096)
		for n, err := screen.Read(b); err == nil; n, err = screen.Read(b) {
			_, _ = out.Write(b[:n]) // it has no error
		}
	}()
	defer func() {
		_ = cmd.Process.Kill() // it has ended, if all is well
		_ = screen.Close()     // nothing is written any more
		<-read
	}()
	sees := func(what string, after int) {
		t.Helper()
		eventually(t, "on the screen: "+what, func() error {
			if text := out.String(); !strings.Contains(text[min(after, len(text)):], what) {
				return errors.New("it is not")
			}
			return nil
		})
	}
	sees(leader+" is in office", 0)
	sees("         1  ", 0) // the first slot's decree
	now := len(out.String())
	if err := pty.Setsize(screen, &pty.Winsize{Rows: 30, Cols: 20}); err != nil {
		t.Fatal(err)
	}
	sees(fmt.Sprintf("\r\n%.20s\x1b[K\r\n", leader+" is in office with ballot"), now)
	if err := pty.Setsize(screen, &pty.Winsize{Rows: 30, Cols: 150}); err != nil {
		t.Fatal(err)
	}
	s.nodes[leader].kill()
	sees("! "+leader+" cannot be reached", now)
	sees("away: dial tcp", now)
	if _, err := screen.Write([]byte("q")); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	if err != nil {
		t.Errorf("after q: %v", err)
	}
	<-read // all that it wrote
	if text := out.String(); !strings.Contains(text, enter) || !strings.HasSuffix(text, leave) {
		t.Errorf("the terminal is not left as it was: %q", text[max(0, len(text)-80):])
	}
	topPrinted(t, s, leader)
}

// topPrinted shows what is printed once, into a pipe, without a node and then without any.
func topPrinted(t *testing.T, s *sample, killed string) {
	printed, stderr, code := pmmc(t, "top", s.endpoints()) // into a pipe
	if code != exitDone || strings.Contains(printed, "\x1b") || strings.Count(printed, "\n") < 10 || !strings.Contains(printed, killed+" cannot be reached") {
		t.Errorf("printed once: code %d\n%s%s", code, printed, stderr)
	}
	for _, p := range s.nodes {
		p.kill()
	}
	if printed, stderr, code = pmmc(t, "top", "--once", s.endpoints()); code != exitFailed || !strings.Contains(stderr, "no node can be reached") {
		t.Errorf("of nobody: code %d\n%s%s", code, printed, stderr)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/pmmc-go/pmmc/cluster/overview"
	"github.com/pmmc-go/pmmc/messages/admin"
)

// topPause is between two looks.
const topPause = time.Second

const topHelp = `Show the cluster as its page does: the nodes with their actors, who is in office and
since when, the window of slots, throughput, latency and fsyncs, the last leader changes
and why, and the decrees as they are decided. It is drawn anew each second; q ends it.

  CMD/S    commands that its replica executed, a second
  LATENCY  of its clients' requests, and FSYNC of its journal: the medians
  COMM     commanders in flight; SCOUT scouts; ACTORS all roles that run

Where the output is no terminal, or with --once, it is printed once, after a second for
the rates. Nodes that cannot be reached are shown as such; the exit code is 1 when it is
printed once and none could be.`

func newTop() *cobra.Command {
	t := &topView{}
	c := &cobra.Command{
		Use:     "top",
		Short:   "Show the cluster live, in a terminal",
		Long:    topHelp,
		Example: "  pmmc top\n  pmmc top --once --endpoints 10.0.0.1:2379,10.0.0.2:2379",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return t.run(c) },
	}
	c.Flags().BoolVar(&t.once, "once", false, "print it once")
	t.flags.addTo(c, topPause)
	return c
}

// topView draws what is seen of the nodes, again and again.
type topView struct {
	flags clientFlags
	once  bool
	board overview.Board
	conns map[string]*grpc.ClientConn // by endpoint
}

func (t *topView) run(c *cobra.Command) (err error) {
	if err := t.connect(c); err != nil {
		return err
	}
	defer func() {
		for _, conn := range t.conns {
			err = errors.Join(err, conn.Close())
		}
	}()
	screen, isFile := c.OutOrStdout().(*os.File)
	if t.once || !isFile || !term.IsTerminal(int(screen.Fd())) {
		return t.print(c.Context(), c.OutOrStdout())
	}
	keys, isFile := c.InOrStdin().(*os.File)
	if !isFile || !term.IsTerminal(int(keys.Fd())) {
		keys = nil
	}
	return t.live(c.Context(), screen, keys)
}

// connect makes a connection to each endpoint, which is made anew within a second when
// it broke.
func (t *topView) connect(c *cobra.Command) error {
	if err := t.flags.check(); err != nil {
		return &usageError{c, err}
	}
	secure, err := t.flags.tls.load()
	if err != nil {
		return &usageError{c, err}
	}
	retry := backoff.DefaultConfig
	retry.BaseDelay, retry.MaxDelay = topPause/4, topPause
	t.conns = make(map[string]*grpc.ClientConn)
	for _, endpoint := range t.flags.endpoints {
		conn, err := dial(endpoint, secure, grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: t.flags.timeout}))
		if err != nil {
			return err
		}
		t.conns[endpoint] = conn
	}
	return nil
}

func (t *topView) look(ctx context.Context) *overview.Cluster {
	ctx, cancel := context.WithTimeout(ctx, t.flags.timeout)
	defer cancel()
	return t.board.Look(ctx, t.flags.endpoints, func(ctx context.Context, endpoint string) (*admin.StatusResponse, error) {
		answer, err := admin.NewAdminClient(t.conns[endpoint]).Status(ctx, &admin.StatusRequest{})
		if err != nil {
			return nil, errors.New(briefly(err))
		}
		return answer, nil
	})
}

// print prints one frame, after a first look that rates begin with.
func (t *topView) print(ctx context.Context, out io.Writer) error {
	t.look(ctx)
	pause := time.NewTimer(topPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	c := t.look(ctx)
	if _, err := io.WriteString(out, strings.Join(frame(c, size2{}, noInk), "\n")+"\n"); err != nil {
		return err
	}
	for _, n := range c.Nodes {
		if n.Reachable {
			return nil
		}
	}
	return anyReached(nil)
}

// What a terminal is told.
const (
	enter    = "\x1b[?1049h\x1b[?25l" // another screen, and no cursor
	leave    = "\x1b[?25h\x1b[?1049l"
	home     = "\x1b[H"
	endLine  = "\x1b[K\r\n"
	endFrame = "\x1b[K\x1b[J"
)

// live draws until q or Ctrl-C is typed, or a signal comes, and leaves the terminal as it
// was.
func (t *topView) live(ctx context.Context, screen, keys *os.File) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if keys != nil {
		before, err := term.MakeRaw(int(keys.Fd()))
		if err != nil {
			return fmt.Errorf("the terminal takes no single keys: %w", err)
		}
		defer func() { _ = term.Restore(int(keys.Fd()), before) }() // there is nothing else to be done
		go quitOnKey(keys, cancel)                                  // ends with the process
	}
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	if _, err := io.WriteString(screen, enter); err != nil {
		return err
	}
	defer func() {
		_, left := io.WriteString(screen, leave)
		err = errors.Join(err, left)
	}()
	again := time.NewTicker(topPause)
	defer again.Stop()
	seen := t.look(ctx)
	for {
		if err := draw(screen, seen); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-resized:
		case <-again.C:
			if now := t.look(ctx); ctx.Err() == nil {
				seen = now
			}
		}
	}
}

// quitOnKey ends what cancel ends when q, Ctrl-C or Ctrl-D is typed.
func quitOnKey(keys io.Reader, cancel func()) {
	var key [1]byte
	for {
		if n, err := keys.Read(key[:]); err != nil || n == 1 && strings.ContainsRune("qQ\x03\x04", rune(key[0])) {
			cancel()
			return
		}
	}
}

// draw draws a frame as large as the terminal is at present.
func draw(screen *os.File, c *overview.Cluster) error {
	width, height, err := term.GetSize(int(screen.Fd()))
	if err != nil || width == 0 || height == 0 {
		width, height = 80, 24
	}
	lines := frame(c, size2{width, height}, colours)
	_, err = io.WriteString(screen, home+strings.Join(lines, endLine)+endFrame)
	return err
}

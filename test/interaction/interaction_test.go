package interaction

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// TestScripts plays testdata/*.txt and compares the transcripts; -rewrite writes them
// anew. The commands of a script:
//
//	cluster n=3 [window=8]       members alpha, beta, gamma, … with all roles
//	elect NAME                   NAME misses the one in office, canvasses and scouts;
//	                             its p1a wait
//	lead NAME                    elect, and deliver all until it is in office
//	request at=NAME seq=N op=X [again]   a client speaks to its replica
//	reconfigure at=NAME seq=N without=NAME   a client asks for a configuration without a member
//	read at=NAME number=N        a client wants to read there
//	propose from=NAME to=NAME slot=N op=X   by hand, in the name of a replica
//	deliver [from=R] [to=R] [type=T]   what waits, and what that causes; R is a prefix
//	                             such as beta or beta.acceptor, T a word such as p2a
//	drop, dup [from] [to] [type] lose or repeat what waits
//	tick R                       a role's timer runs out
//	hold, sync R                 disks complete no write until synced
//	crash NAME, restart NAME     what was not on disk is lost, but the state is kept
//	state NAME                   what its replica and leader show
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var w *world
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "cluster" {
				n, window := 3, uint64(8)
				d.MaybeScanArgs(t, "n", &n)
				d.MaybeScanArgs(t, "window", &window)
				w = newWorld(n, window)
				return "ok\n"
			}
			w.out.Reset()
			w.run(t, d)
			w.settle()
			if w.out.Len() == 0 {
				return "ok\n"
			}
			return w.out.String()
		})
	})
}

func (w *world) run(t *testing.T, d *datadriven.TestData) {
	switch d.Cmd {
	case "elect":
		w.elect(t, name(d))
	case "lead":
		w.quiet = true
		w.elect(t, name(d))
		w.deliver(func(envelope) bool { return true })
		w.quiet = false
	case "request", "read", "propose", "reconfigure":
		w.speak(t, d)
	case "deliver":
		w.deliver(matcher(t, d))
	case "drop", "dup":
		w.meddle(t, d)
	case "tick":
		p := w.find(t, name(d))
		p.role.Receive(p, &messages.Tick{})
	case "hold":
		w.held = true
	case "sync":
		w.find(t, name(d)).sync()
	case "crash":
		w.crash(name(d))
	case "restart":
		for _, m := range w.config.Members {
			if m.Name == name(d) {
				w.start(m, 8)
			}
		}
	case "state":
		w.show(t, name(d))
	default:
		d.Fatalf(t, "no command %q", d.Cmd)
	}
}

func name(d *datadriven.TestData) string { return d.CmdArgs[0].Key }

// find finds a role by its short name.
func (w *world) find(t *testing.T, name string) *process {
	for addr, p := range w.roles {
		if short(addr) == name {
			return p
		}
	}
	t.Fatalf("no role %s lives", name)
	return nil
}

// elect lets a leader's timer run out until it has canvassed and scouts.
func (w *world) elect(t *testing.T, member string) {
	p := w.find(t, member+".leader")
	for range 40 {
		leader := p.role.(*actors.Leader)
		if leader.View().Standing == "scouting" {
			return
		}
		p.role.Receive(p, &messages.Tick{})
		w.deliver(func(e envelope) bool {
			switch e.m.(type) {
			case *messages.Canvass, *messages.Canvassed, *messages.Probe, *messages.Probed, *messages.Recorded:
				return true
			case *messages.Ping: // nobody answers: the one in office is gone, or thought to be
				return false
			}
			return false
		})
		w.queue = remove(w.queue, func(e envelope) bool { _, ok := e.m.(*messages.Ping); return ok })
	}
	w.say("%s does not run: %s\n", member, p.role.(*actors.Leader).View().Standing)
}

func remove(q []envelope, out func(envelope) bool) (kept []envelope) {
	for _, e := range q {
		if !out(e) {
			kept = append(kept, e)
		}
	}
	return kept
}

func (w *world) speak(t *testing.T, d *datadriven.TestData) {
	var at, op string
	var number uint64
	switch d.Cmd {
	case "request":
		d.ScanArgs(t, "at", &at)
		d.ScanArgs(t, "seq", &number)
		d.ScanArgs(t, "op", &op)
		m, _ := w.config.Named(at)
		c := &messages.Command{Client: m.ID, Incarnation: 1, Sequence: number, Operation: []byte(op)}
		w.queue = append(w.queue, envelope{actors.ClientAddr(at), actors.ReplicaAddr(at), &messages.Request{
			From: string(actors.ClientAddr(at)), Commands: []*messages.Command{c}, Again: d.HasArg("again"),
		}})
	case "reconfigure":
		d.ScanArgs(t, "at", &at)
		d.ScanArgs(t, "seq", &number)
		d.ScanArgs(t, "without", &op)
		w.reconfigure(at, number, op)
	case "read":
		d.ScanArgs(t, "at", &at)
		d.ScanArgs(t, "number", &number)
		w.queue = append(w.queue, envelope{actors.ClientAddr(at), actors.ReplicaAddr(at), &messages.Read{Number: number}})
	case "propose":
		var from, to string
		d.ScanArgs(t, "from", &from)
		d.ScanArgs(t, "to", &to)
		d.ScanArgs(t, "slot", &number)
		d.ScanArgs(t, "op", &op)
		m, _ := w.config.Named(from)
		w.queue = append(w.queue, envelope{actors.ReplicaAddr(from), actors.LeaderAddr(to, 1), &messages.Propose{
			From: string(actors.ReplicaAddr(from)), Slot: number, Decree: decreeOfOne(m.ID, 90, op),
		}})
	}
}

func (w *world) reconfigure(at string, number uint64, without string) {
	m, _ := w.config.Named(at)
	next := w.config
	next.Epoch++
	next.Members = slices.DeleteFunc(slices.Clone(next.Members), func(m actors.Member) bool { return m.Name == without })
	c := &messages.Command{Client: m.ID, Incarnation: 1, Sequence: number, Configuration: next.Proto()}
	w.queue = append(w.queue, envelope{actors.ClientAddr(at), actors.ReplicaAddr(at), &messages.Request{
		From: string(actors.ClientAddr(at)), Commands: []*messages.Command{c},
	}})
}

// matcher tells which waiting messages a command means.
func matcher(t *testing.T, d *datadriven.TestData) func(envelope) bool {
	var from, to, kind string
	d.MaybeScanArgs(t, "from", &from)
	d.MaybeScanArgs(t, "to", &to)
	d.MaybeScanArgs(t, "type", &kind)
	return func(e envelope) bool {
		text := describe(e.m)
		return strings.HasPrefix(short(e.from), from) && strings.HasPrefix(short(e.to), to) &&
			(kind == "" || strings.HasPrefix(text, kind+" "))
	}
}

func (w *world) meddle(t *testing.T, d *datadriven.TestData) {
	match := matcher(t, d)
	var all []envelope
	for _, e := range w.queue {
		switch {
		case !match(e) || describe(e.m) == "":
			all = append(all, e)
		case d.Cmd == "dup":
			all = append(all, e, e)
		default:
			w.say("lost: %s -> %s  %s\n", short(e.from), short(e.to), describe(e.m))
		}
	}
	w.queue = all
}

func (w *world) show(t *testing.T, member string) {
	r := w.find(t, member+".replica").role.(*actors.Replica).View()
	l := w.find(t, member+".leader").role.(*actors.Leader).View()
	fmt.Fprintf(&w.out, "%s: slot_in %d, slot_out %d, executed %v; leader %s with %s\n",
		member, r.SlotIn, r.SlotOut, w.states[member].log, l.Standing, l.Ballot)
}

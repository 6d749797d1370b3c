package conformance_test

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

var another = []byte("\x0a\x02\x08\x09") // a decree that nobody proposed

// tamperings are ways to make a good trace bad, by the rule that each breaks.
var tamperings = []tampering{
	{name: "an acceptor goes back in what it says", rule: "A1", somewhere: true, // not in the first word that an acceptor says
		at: change(actors.Sent, func(_ *actors.Event, m *messages.Confirmed) bool { m.Ballot.Round--; return true })},
	{name: "an acceptor adopts a ballot that nobody asked for", rule: "A1", at: record(actors.Persisted, func(rec *messages.Record) bool {
		b, ok := rec.Kind.(*messages.Record_Ballot)
		if ok {
			b.Ballot.Round++
		}
		return ok
	})},
	{name: "an acceptor accepts another decree", rule: "A2", at: record(actors.Persisted, func(rec *messages.Record) bool {
		v, ok := rec.Kind.(*messages.Record_Pvalue)
		if ok {
			v.Pvalue.Decree = another
		}
		return ok
	})},
	{name: "a p1b leaves out what was accepted", rule: "A3", somewhere: true,
		at: change(actors.Sent, func(_ *actors.Event, m *messages.P1B) bool {
			if len(m.Accepted) == 0 {
				return false
			}
			m.Accepted = m.Accepted[1:]
			return true
		})},
	{name: "a p1b does not say what is forgotten", rule: "A3",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.P1B) bool {
			had := m.Forgotten > 1
			m.Forgotten = 0
			return had
		})},
	{name: "a p2a is repeated with another decree", rule: "C1", somewhere: true,
		at: change(actors.Sent, func(e *actors.Event, m *messages.P2A) bool {
			m.Pvalue.Decree = another
			return e.Peer == actors.AcceptorAddr("n3", 1)
		})},
	{name: "a p2a speaks of another slot than its commander", rule: "C1",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.P2A) bool { m.Pvalue.Slot++; return true })},
	{name: "a leader proposes a no-op in place of what was accepted", rule: "C2", somewhere: true,
		at: change(actors.Sent, func(_ *actors.Event, m *messages.P2A) bool {
			had := len(m.Pvalue.Decree) > 0
			m.Pvalue.Decree = nil
			return had && m.Pvalue.Ballot.Round > 1
		})},
	{name: "a scout leaves out what it was told", rule: "C2", somewhere: true,
		at: change(actors.Sent, func(_ *actors.Event, m *messages.Adopted) bool {
			if len(m.Accepted) == 0 {
				return false
			}
			m.Accepted = m.Accepted[1:]
			return true
		})},
	{name: "a scout adds what it was not told", rule: "C2",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.Adopted) bool {
			m.Accepted = append(m.Accepted, &messages.PValue{Ballot: m.Ballot, Slot: 9999, Decree: another})
			return true
		})},
	{name: "a commander decides another decree", rule: "R1",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.Decision) bool {
			if m.Pvalue == nil {
				return false
			}
			m.Pvalue.Decree = another
			return true
		})},
	{name: "a commander names another ballot", rule: "R1",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.Decision) bool {
			if m.Pvalue == nil {
				m.Ballot.Round++
			}
			return m.Pvalue == nil
		})},
	{name: "a commander names another slot", rule: "R1",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.Decision) bool { m.Slot++; return m.Pvalue == nil })},
	{name: "an acceptor passes on another decree than it was sent", rule: "S11",
		at: change(actors.Sent, func(e *actors.Event, m *messages.P2A) bool {
			m.Pvalue.Decree = another
			return strings.HasSuffix(string(e.Self), "acceptor")
		})},
	{name: "an acceptor passes on to the replica of another member", rule: "S11",
		at: change(actors.Sent, func(e *actors.Event, _ *messages.P2A) bool {
			if !strings.HasSuffix(string(e.Self), "acceptor") {
				return false
			}
			e.Peer = actors.ReplicaAddr("n1")
			return e.Self.Member() != "n1"
		})},
	{name: "an acceptor tells a laggard another decree", rule: "R1", somewhere: true,
		at: change(actors.Sent, func(_ *actors.Event, m *messages.CaughtUp) bool {
			if len(m.Decided) > 0 {
				m.Decided[0].Decree = another
			}
			return len(m.Decided) > 0
		})},
	{name: "a replica tells its acceptor another decree", rule: "R1", somewhere: true,
		at: change(actors.Sent, func(_ *actors.Event, m *messages.Decided) bool { m.Decided[0].Decree = another; return true })},
	{name: "a replica leaves out a slot", rule: "R2",
		at: without(actors.Executed, func(e actors.Event) bool { return e.Self.Member() == "n2" })},
	{name: "a replica executes a slot that is not decided", rule: "R2", at: func(all []actors.Event, i int) []actors.Event {
		e, ok := is[*messages.Executed](all[i], actors.Executed)
		if !ok {
			return nil
		}
		next := all[i]
		next.Message = &messages.Executed{Slot: e.Slot + 1}
		more := all[i]
		more.Message = &messages.Executed{Slot: e.Slot + 2}
		last := all[i]
		last.Message = &messages.Executed{Slot: e.Slot + 3}
		rest := slices.Clone(all[:i+1])
		return append(rest, next, more, last)
	}, somewhere: true},
	{name: "a replica installs a snapshot of another slot", rule: "R2",
		at: change(actors.Installed, func(_ *actors.Event, m *messages.Installed) bool { m.Executed++; return true })},
	{name: "a replica says that it is further", rule: "R2",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.Learned) bool { m.Executed++; return true })},
	{name: "a p2b before its pvalue is on disk", rule: "S1", somewhere: true,
		at: without(actors.Durable, func(e actors.Event) bool { return strings.HasSuffix(string(e.Self), "acceptor") })},
	{name: "a p2b with a ballot that is not on disk", rule: "S1",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.P2B) bool { m.Ballot.Round++; return true })},
	{name: "a p1b with another decree", rule: "S1", somewhere: true,
		at: change(actors.Sent, func(_ *actors.Event, m *messages.P1B) bool {
			if len(m.Accepted) > 0 {
				m.Accepted[len(m.Accepted)-1].Decree = another
			}
			return len(m.Accepted) > 0
		})},
	{name: "an acceptor comes back without a pvalue", rule: "S1", at: func(all []actors.Event, i int) []actors.Event {
		if !lastRestored(all, i) {
			return nil
		}
		return replaced(all, i)
	}},
	{name: "an acceptor comes back with another pvalue", rule: "S1", at: func(all []actors.Event, i int) []actors.Event {
		if !lastRestored(all, i) {
			return nil
		}
		e := all[i]
		rec := proto.Clone(e.Message).(*messages.Record)
		rec.GetPvalue().Decree = another
		e.Message = rec
		return replaced(all, i, e)
	}},
	{name: "an acceptor comes back blank", rule: "S1", at: func(all []actors.Event, i int) []actors.Event {
		e := all[i]
		if e.Kind != actors.Started || i == 0 || all[i-1].Kind != actors.Restored || all[i-1].Message.(*messages.Record).Owner != "epoch-1/acceptor" {
			return nil
		}
		return slices.DeleteFunc(slices.Clone(all), func(x actors.Event) bool { return x.Kind == actors.Restored && x.Self == e.Self && x.Life == e.Life })
	}},
	{name: "a leader comes back without its round", rule: "S2", somewhere: true,
		at: without(actors.Restored, func(e actors.Event) bool { return e.Message.(*messages.Record).GetRound() > 0 })},
	{name: "a round is said before it is on disk", rule: "S2", somewhere: true,
		at: without(actors.Durable, func(e actors.Event) bool { return strings.HasSuffix(string(e.Self), "leader") })},
	{name: "a scout says another ballot", rule: "S2",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.P1A) bool { m.Ballot.Round++; return true })},
	{name: "a scout speaks with another leader's ballot", rule: "S2",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.P1A) bool { m.Ballot.Leader++; return true })},
	{name: "a node knows other members", rule: "S3", somewhere: true,
		at: change(actors.Opened, func(_ *actors.Event, m *messages.Opened) bool {
			m.Configurations[0].Members[0].Acceptor = false
			return true
		})},
	{name: "a replica proposes beyond its window", rule: "S4",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.Propose) bool { m.Slot += 16; return true })},
	{name: "a node has another window", rule: "S3", somewhere: true,
		at: change(actors.Opened, func(_ *actors.Event, m *messages.Opened) bool { m.Configurations[0].Window++; return true })},
	{name: "an acceptor forgets more", rule: "S5", at: record(actors.Persisted, func(rec *messages.Record) bool {
		f, ok := rec.Kind.(*messages.Record_Forgotten)
		if ok {
			f.Forgotten += 50
		}
		return ok
	})},
	{name: "a replica says that more is on disk", rule: "S5",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.Learned) bool { m.Durable++; return true })},
	{name: "a replica is told that more is on disk", rule: "S5",
		at: change(actors.Received, func(_ *actors.Event, m *messages.Flushed) bool { m.Below++; return true })},
	{name: "a replica comes back with less than it said to have on disk", rule: "S5", somewhere: true,
		at: change(actors.Opened, func(_ *actors.Event, m *messages.Opened) bool { m.Executed /= 2; return m.Incarnation > 1 })},
	{name: "a command is executed again", rule: "S6", somewhere: true,
		at: change(actors.Executed, func(_ *actors.Event, m *messages.Executed) bool {
			m.Operations = append(m.Operations, m.Operations...)
			return len(m.Operations) > 0
		})},
	{name: "a command is left out", rule: "S6", somewhere: true,
		at: change(actors.Executed, func(_ *actors.Event, m *messages.Executed) bool {
			had := len(m.Operations) > 0
			m.Operations = nil
			return had
		})},
	{name: "a client gets another answer", rule: "S6",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.Response) bool {
			m.Answers[0].Result = append([]byte("x"), m.Answers[0].Result...)
			return true
		})},
	{name: "replicas execute with different results", rule: "S7", somewhere: true,
		at: change(actors.Executed, func(_ *actors.Event, m *messages.Executed) bool {
			had := len(m.Results) > 0
			if had {
				m.Results[0]++
			}
			return had
		})},
	{name: "a mark is too low", rule: "S8",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.ReadMark) bool { m.Slot--; return true })},
	{name: "a mark without a majority", rule: "S8", somewhere: true, at: func(all []actors.Event, i int) []actors.Event {
		if _, ok := is[*messages.Confirmed](all[i], actors.Received); !ok {
			return nil
		}
		return replaced(all, i)
	}},
	{name: "a mark for nobody", rule: "S8", at: change(actors.Sent, func(_ *actors.Event, m *messages.ReadMark) bool { m.Number += 5000; return true })},
	{name: "a read looks before its mark is executed", rule: "S8",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.ReadReady) bool { m.Number += 1000; return true })},
	{name: "a leader leaves a hole", rule: "S9", somewhere: true, at: leaveHole},
	{name: "a leader runs and asked nobody", rule: "S10", somewhere: true, at: func(all []actors.Event, i int) []actors.Event {
		rec, ok := is[*messages.Record](all[i], actors.Persisted)
		if !ok || rec.GetRound() == 0 {
			return nil
		}
		kept := slices.DeleteFunc(slices.Clone(all[:i]), func(e actors.Event) bool {
			m, ok := is[*messages.Canvassed](e, actors.Received)
			return ok && e.Self == all[i].Self && e.Life == all[i].Life && !strings.HasPrefix(m.From, "n1/")
		})
		return append(kept, all[i:]...)
	}},
	{name: "a leader runs and its disk hangs", rule: "S10", somewhere: true, at: func(all []actors.Event, i int) []actors.Event {
		rec, ok := is[*messages.Record](all[i], actors.Persisted)
		if !ok || rec.GetRound() == 0 {
			return nil
		}
		kept := slices.DeleteFunc(slices.Clone(all[:i]), func(e actors.Event) bool {
			_, ok := is[*messages.Probed](e, actors.Received)
			return ok && e.Self == all[i].Self && e.Life == all[i].Life
		})
		return append(kept, all[i:]...)
	}},
	{name: "a message in another's name", rule: "S11",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.P2B) bool { m.From = "n9/epoch-1/acceptor"; return true })},
	{name: "a node comes back with another disk", rule: "S11", somewhere: true,
		at: change(actors.Opened, func(_ *actors.Event, m *messages.Opened) bool { m.Disk = 77; return m.Incarnation > 1 })},
	{name: "an incarnation is not above the last", rule: "S11",
		at: change(actors.Opened, func(_ *actors.Event, m *messages.Opened) bool {
			again := m.Incarnation>>32 > 1
			m.Incarnation = 1 << 32 // not above that of the first start
			return again
		})},
	{name: "two nodes share a disk", rule: "S11", at: change(actors.Opened, func(_ *actors.Event, m *messages.Opened) bool {
		m.Disk = 1
		return m.Member == 2
	})},
	{name: "a decision without a majority", rule: "S12", somewhere: true, at: func(all []actors.Event, i int) []actors.Event {
		if _, ok := is[*messages.P2B](all[i], actors.Received); !ok {
			return nil
		}
		return replaced(all, i)
	}},
	{name: "an adoption without a majority", rule: "S12", somewhere: true, at: func(all []actors.Event, i int) []actors.Event {
		if _, ok := is[*messages.P1B](all[i], actors.Received); !ok {
			return nil
		}
		return replaced(all, i)
	}},
	{name: "a p2b for another slot", rule: "figures",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.P2B) bool { m.Slot++; return true })},
	{name: "a p1b to a question that nobody asked", rule: "figures",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.P1B) bool {
			m.Slot += 7
			m.Accepted = nil
			m.Next = m.Slot
			return true
		})},
	{name: "a commander of a ballot that was not adopted", rule: "figures", somewhere: true, at: func(all []actors.Event, i int) []actors.Event {
		if _, ok := is[*messages.Adopted](all[i], actors.Received); !ok {
			return nil
		}
		return replaced(all, i)
	}},
	{name: "a preemption by a lower ballot", rule: "figures",
		at: change(actors.Sent, func(_ *actors.Event, m *messages.Preempted) bool { m.Ballot.Round = 0; return true })},
	{name: "a disk writes that was not asked to", rule: "figures", somewhere: true, at: func(all []actors.Event, i int) []actors.Event {
		if _, ok := is[*messages.Probed](all[i], actors.Sent); !ok {
			return nil
		}
		return replaced(all, i, all[i], all[i])
	}},
	{name: "a decree that nobody proposed", rule: "figures", somewhere: true,
		at: change(actors.Sent, func(_ *actors.Event, m *messages.P2A) bool { m.Pvalue.Decree = another; return true })},
	{name: "a message changes on its way", rule: "wire",
		at: change(actors.Received, func(_ *actors.Event, m *messages.Decision) bool { m.Slot++; return true })},
	{name: "a message that was never sent", rule: "wire", somewhere: true, at: func(all []actors.Event, i int) []actors.Event {
		if _, ok := is[*messages.Learned](all[i], actors.Sent); !ok {
			return nil
		}
		return replaced(all, i)
	}},
	{name: "a role that never began", rule: "trace", at: without(actors.Started, func(e actors.Event) bool { return e.Self.Path() == "replica" })},
	{name: "a role that speaks after its end", rule: "trace", at: func(all []actors.Event, i int) []actors.Event {
		if all[i].Kind != actors.Exited || all[i-1].Kind != actors.Sent {
			return nil
		}
		return replaced(all, i-1, all[i], all[i-1])
	}},
	{name: "a record that is missing", rule: "trace", somewhere: true,
		at: without(actors.Persisted, func(actors.Event) bool { return true })},
	{name: "more on disk than was written", rule: "trace", at: func(all []actors.Event, i int) []actors.Event {
		if all[i].Kind != actors.Durable {
			return nil
		}
		e := all[i]
		e.Number += 1000
		return replaced(all, i, e)
	}},
}

// lastRestored finds the last pvalue that is given back to an acceptor: those before it
// may be of forgotten slots. It must have been on disk when the acceptor last spoke, and
// must not be given back twice, as what was accepted twice is.
func lastRestored(all []actors.Event, i int) bool {
	rec, ok := is[*messages.Record](all[i], actors.Restored)
	twice := slices.ContainsFunc(all[:i], func(e actors.Event) bool {
		other, ok := is[*messages.Record](e, actors.Restored)
		return ok && e.Self == all[i].Self && e.Life == all[i].Life && proto.Equal(other.GetPvalue(), rec.GetPvalue())
	})
	return !twice && ok && rec.GetPvalue() != nil && all[i+1].Kind == actors.Started && slices.ContainsFunc(all[:i], func(e actors.Event) bool {
		b, ok := is[*messages.P2B](e, actors.Sent)
		return ok && e.Self == all[i].Self && b.Slot == rec.GetPvalue().Slot && proto.Equal(b.Ballot, rec.GetPvalue().Ballot)
	})
}

// leaveHole leaves out a commander of the turn in which a leader takes office. The
// trace ends with that turn, so that nobody misses the commander before.
func leaveHole(all []actors.Event, i int) []actors.Event {
	m, ok := is[*messages.Adopted](all[i], actors.Received)
	if !ok || len(m.Accepted) < 2 {
		return nil
	}
	leader := all[i].Self
	bad := slices.Clone(all[:i+1])
	left := false
	for _, e := range all[i+1:] {
		if e.Self == leader && e.Kind == actors.Spawned && !left {
			left = true
			continue
		}
		if e.Self == leader {
			bad = append(bad, e)
		}
		if e.Self == leader && e.Kind == actors.Received {
			break
		}
	}
	if !left {
		return nil
	}
	bad[len(bad)-1].Message = &messages.Tick{} // whatever it was: its sender is left out
	return bad
}

// forge changes a decision on its way to n2.
func forge(all []actors.Event, i int) []actors.Event {
	if all[i].Self.Member() != "n2" {
		return nil
	}
	return change(actors.Received, func(_ *actors.Event, m *messages.Decision) bool { m.Slot++; return true })(all, i)
}

package actors

import "github.com/pmmc-go/pmmc/messages"

// This file keeps leaders whose disk hangs out of office (S10). A process whose disk
// hangs goes on: it answers pings, and the acceptor beside the leader answers what
// needs no write. So a leader asks that acceptor for a write, and gives up its office,
// or does not run for it, when none is completed. What the acceptor answers comes from
// behind its disk barrier like all else that it says; no role looks at a disk.

// disk is what a leader knows of the disk beside it.
type disk struct {
	silent int  // ticks since it was seen to complete a write; of no use out of office
	proven bool // it completed one since the canvass began
}

// probesInTimeout is how many times within DiskTimeout each acceptor is asked for a write.
const probesInTimeout = 4

// acceptorBeside is the acceptor on this leader's node, if there is one. A leader without
// needs no disk while it is in office, and cannot begin to run without: its round must
// be on disk before its scout speaks (S2).
func (l *Leader) acceptorBeside() (own Addr, beside bool) {
	me, _ := l.Configuration.Member(l.ID)
	return AcceptorAddr(me.Name, l.Configuration.Epoch), me.Acceptor
}

// probeInTurn asks acceptors for a write, each at ticks of its own, so that reads find a
// majority of them that wait for no disk. The answers of the others are of no use here;
// that an idle node has something to write shows its operator when its disk hangs.
func (l *Leader) probeInTurn(env Env) {
	if l.DiskTimeout == 0 {
		return
	}
	every := max(1, int(l.DiskTimeout/l.Tick)/probesInTimeout)
	for i, a := range l.Configuration.Acceptors() {
		if l.office.ticks%every == i%every {
			env.Send(a, &messages.Probe{From: string(env.Self())})
		}
	}
}

// onProbed takes note of a write that was completed.
func (l *Leader) onProbed(m *messages.Probed) {
	if own, beside := l.acceptorBeside(); beside && Addr(m.From) == own {
		l.disk = disk{proven: true}
	}
}

// diskHangs tells whether the disk has completed no write for too long.
func (l *Leader) diskHangs() bool {
	_, beside := l.acceptorBeside()
	return beside && l.DiskTimeout > 0 && l.disk.silent > int(l.DiskTimeout/l.Tick)
}

// diskProven tells whether the disk has completed a write since the canvass began.
func (l *Leader) diskProven() bool {
	_, beside := l.acceptorBeside()
	return !beside || l.disk.proven
}

package simulation

// mutant is a fault that people make: within the body of one function, of package actors or
// of the simulator's own shell, one text stands in place of another. The function is named
// as "Receiver.name" and may live in any file, so that code can move.
type mutant struct {
	name, function, old, new string
}

var mutants = []mutant{
	{"a minority is a majority (S12)", "waitfor.majorityAnswered", "2*len(w.silent) < w.acceptors", "2*len(w.silent) <= w.acceptors+1"},
	{"a stranger's answer counts (S12)", "Commander.onP2B", "c.waitfor.remove(Addr(m.From))", "for a := range c.waitfor.silent {\n\t\t\tc.waitfor.remove(a)\n\t\t\tbreak\n\t\t}"},
	{"a promise is not written (S1)", "Acceptor.adopt", "env.Persist(&messages.Record{Kind: &messages.Record_Ballot{Ballot: b.Proto()}})", "_ = env"},
	{"a vote is not written (S1)", "Acceptor.onP2A", "env.Persist(&messages.Record{Kind: &messages.Record_Pvalue{Pvalue: m.Pvalue}})", "_ = env"},
	{"a ballot is not read back (S1)", "Acceptor.Restore", "a.ballot = later(a.ballot, BallotOf(k.Ballot))", "_ = k"},
	{"votes are not read back (S1)", "Acceptor.Restore", "a.keep(k.Pvalue)", "_ = k"},
	{"the shell answers before the disk (S1)", "process.effect", "p.durable == p.written && len(p.waiting) == 0", "p.written >= 0"},
	{"a lower ballot is accepted (A2)", "Acceptor.onP2A", "case b.Compare(a.ballot) < 0:", "case b.Compare(a.ballot) < -1:"},
	{"p1b leaves out what was accepted (A3)", "Acceptor.told", "a.chunk(env, first,", "a.chunk(env, first+1,"},
	{"what is read from the journal is of any ballot (A3)", "Acceptor.recall", "wanted && BallotOf(v.Ballot) == BallotOf(chunk[i].Ballot)", "wanted"},
	{"p1b has no decree where none could be read (A3)", "Acceptor.onP1A", "if !whole {", "if !whole && false {"},
	{"p1b does not say what is forgotten (S5)", "Acceptor.onP1A", "Forgotten: a.forgotten,\n\t\tNext:", "Forgotten: 1,\n\t\tNext:"},
	{"a slot is forgotten when one replica has it (S5)", "Acceptor.onLearned", "marks[len(marks)-a.Configuration.keepers()]", "marks[len(marks)-1]"},
	{"a slot is forgotten when it is executed, not on disk (S5)", "Acceptor.onLearned", "a.durable[Addr(m.From)], m.Durable)", "a.durable[Addr(m.From)], m.Executed)"},
	{"pmax takes the lowest ballot (C2)", "pvalues.add", "Compare(BallotOf(v.GetBallot())) >= 0", "Compare(BallotOf(v.GetBallot())) <= 0"},
	{"a leader proposes its own over what it adopts (C2)", "Leader.onAdopted", "for _, v := range m.Accepted {\n\t\tl.propose(", "for _, v := range m.Accepted {\n\t\tif l.proposals[v.Slot] != nil {\n\t\t\tcontinue\n\t\t}\n\t\tl.propose("},
	{"a leader proposes below what is forgotten (S5)", "Leader.onAdopted", "l.floor = max(l.floor, m.Forgotten)", "_ = m.Forgotten"},
	{"a leader leaves holes (S9)", "Leader.onAdopted", "l.propose(slot, noop)\n\t\t}", "continue\n\t\t}"},
	{"a round is not written (S2)", "Leader.record", "env.Persist(&messages.Record{Kind: &messages.Record_Round{Round: l.round}})", "_ = env"},
	{"a leader runs without asking (S10)", "Leader.onCanvassed", "if e.misses.majorityAnswered() && l.diskProven() {", "if l.diskProven() {"},
	{"a leader runs while its disk hangs (S10)", "Leader.onCanvassed", "e.misses.majorityAnswered() && l.diskProven() {", "e.misses.majorityAnswered() {"},
	{"a read is not confirmed (S8)", "Leader.onReadRequest", "l.office.waiting = append(l.office.waiting, m)", "l.mark(env, m)\n\treturn"},
	{"a round of before serves a read (S8)", "Leader.confirm", "o.serves, o.waiting = o.waiting, nil", "o.waiting = nil"},
	{"a read does not wait for its slot (S8)", "Replica.serveReads", "r.reads.marks[0].slot < r.slotOut {", "r.reads.marks[0].slot < r.slotOut+2 {"},
	{"commands are executed twice (S6)", "Sessions.look", "if a, ok := client.answers[c.Sequence]; ok {", "if a, ok := client.answers[c.Sequence]; ok && a == nil {"},
	{"a replica ignores WINDOW (S4)", "Replica.mayPropose", "r.slotIn < r.slotOut+r.window()", "r.slotIn < r.slotOut+4*r.window()"},
	{"a replica takes what was passed on under a lower ballot (C2)", "Replica.onNamed", "if !ok || BallotOf(v.Ballot).Compare(b) < 0 {", "if !ok {"},
	{"what lost its slot is dropped (R5, liveness)", "Replica.settleProposal", "r.requests = append(p.commands, r.requests...)", "_ = p"},
	{"what lost its slot stays with the replica that loses (liveness)", "Replica.handOverLost", "if proposer == \"\" || proposer == env.Self() {", "if proposer != \"none\" {"},
	{"a configuration governs at once (S3)", "Replica.reconfigure", "next.First = slot + last.Window", "next.First = slot + 1"},
	{"proposals go to the last epoch's leaders (S3)", "epochs.at", "for i > 0 && e[i].First > slot {", "for i > 0 && e[i].First > slot && e[i].Epoch > 1000 {"},
	{"a damaged chunk is taken (snapshots)", "Replica.onSnapshotChunk", "if m.Gone || m.Slot < r.slotOut {", "if m.Gone {"},
	{"a replica executes another decree (R1)", "Replica.perform", "decree := decreeOf(v.Decree)", "if r.ID == 2 && v.Slot == 20 {\n\t\tv = &messages.PValue{Ballot: v.Ballot, Slot: v.Slot}\n\t}\n\tdecree := decreeOf(v.Decree)"},
	{"a replica says that its state is on disk (S5)", "Replica.learned", "Durable: r.durable", "Durable: r.slotOut"},
	{"the numbers of a replica's reads begin anew, and name no life (S8)", "Replica.askForMark", "r.reads.number++\n\tr.reads.ticks = 0\n\tr.reads.asked = append(r.reads.asked, question{number: r.reads.number, read: r.reads.wanted, epoch: c.Epoch})\n\tenv.Send(LeaderAddr(office.Name, c.Epoch), &messages.ReadRequest{\n\t\tFrom: string(env.Self()), Number: r.reads.number, Incarnation: r.Incarnation, Life: env.Life(),", "if r.reads.number > 1<<32 {\n\t\tr.reads.number = 0\n\t}\n\tr.reads.number++\n\tr.reads.ticks = 0\n\tr.reads.asked = append(r.reads.asked, question{number: r.reads.number, read: r.reads.wanted, epoch: c.Epoch})\n\tenv.Send(LeaderAddr(office.Name, c.Epoch), &messages.ReadRequest{\n\t\tFrom: string(env.Self()), Number: r.reads.number,"},
	{"every p2a is a sign of life (L1)", "Acceptor.onP2A", "if old := a.accepted[slot]; BallotOf(old.GetBallot()) != b {", "if true {"},
	{"what only a dead replica executed is not looked for (L1)", "Leader.lookForLost", "l.first() >= l.dropped", "true"},
	{"a node counts itself among those who admit it (S11)", "Admission.MayAdmit", "return welcomes == len(peers) || 2*speaking > len(peers)", "return 2*(1+welcomes) > 1+len(peers) || 2*speaking > len(peers)"},
	{"sessions that are loaded are not settled (S6)", "NewSessions", "s.settle(c, rec.Settled)", "_ = c"},
}

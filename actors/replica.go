package actors

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// ReplicaOptions are a replica's arguments. The figure's leaders are in
// Configuration.
type ReplicaOptions struct {
	ID            uint32        // its member's number …
	Name          string        // … and name: a configuration that removes it has neither
	Incarnation   uint64        // of the client beside it: those of earlier lives wait for nothing
	Configuration Configuration // the earliest that is in force; not if State knows better
	State         State         // initial state, or what was saved of it

	Pipeline      int           // slots proposed by this replica and not decided; WINDOW at the most
	BatchCommands int           // in one decree, at the most
	BatchBytes    int           // of commands in one decree; a single one may be longer
	ChunkBytes    int           // of a snapshot in one message
	Tick          time.Duration // between two looks at what is missing
}

// Replica is the process of Fig. 1. This file holds the figure; catching up is
// in catchup.go, reads are in reads.go, sessions in sessions.go.
//
// It keeps the open window only (§4): the decisions below slot_out are with the
// acceptor beside it, what they did is in the state, and which commands they held
// is in the sessions.
type Replica struct {
	ReplicaOptions
	slotIn    uint64 // the next slot to propose for
	slotOut   uint64 // the next slot to execute
	requests  []*messages.Command
	proposals map[uint64]*proposal
	decisions map[uint64]*messages.PValue
	passed    pvalues           // that the acceptor beside was asked to accept
	named     map[uint64]Ballot // decided under this ballot; the decree is not here yet
	sessions  *Sessions

	queued   map[commandID]bool              // the commands in requests and proposals
	handed   map[commandID]*messages.Command // its client's commands that another replica was asked to propose
	offices  map[uint64]Ballot               // by epoch: of the leader in office, as far as known
	justRan  []*messages.PValue              // executed in this turn; the acceptor beside is told
	ticks    int
	told     uint64            // slot_out that the leader beside was last told
	durable  uint64            // slots below this are on disk
	short    bool              // and that disk has less room than it should
	lastTold *messages.Learned // to all

	epochs     epochs // that govern the open window, and the one before
	unsaved    bool   // the state has not the epochs
	duty       duty
	toldEpochs toldEpochs

	lag    lag
	reads  reads
	recent recent
	chain  chain
}

// proposal is what this replica proposed for a slot.
type proposal struct {
	commands []*messages.Command
	decree   []byte
	ticks    int // since it was last sent
}

// commandID tells commands apart.
type commandID struct {
	client      uint32
	incarnation uint64
	sequence    uint64
}

func idOf(c *messages.Command) commandID {
	return commandID{c.Client, c.Incarnation, c.Sequence}
}

// NewReplica returns a replica that goes on from the state of its options.
func NewReplica(o ReplicaOptions) *Replica {
	// Fig. 1 l. 1
	r := &Replica{
		ReplicaOptions: o,
		proposals:      make(map[uint64]*proposal),
		decisions:      make(map[uint64]*messages.PValue),
		passed:         make(pvalues),
		named:          make(map[uint64]Ballot),
		queued:         make(map[commandID]bool),
		handed:         make(map[commandID]*messages.Command),
		offices:        make(map[uint64]Ballot),
		lag: lag{
			executed: make(map[Addr]uint64), durable: make(map[Addr]uint64), short: make(map[Addr]bool), heard: make(map[Addr]int), serving: make(map[Addr]*serving),
		},
	}
	r.chain = newChain()
	r.resume()
	return r
}

// resume takes slot_out, the configurations and the sessions from the state.
func (r *Replica) resume() {
	r.slotOut = r.State.SlotOut() // Fig. 1 l. 1: it may have run before
	if r.epochs = epochsOf(r.State.Configurations()); len(r.epochs) == 0 {
		r.epochs, r.unsaved = epochs{r.Configuration}, true
	}
	r.slotIn = max(r.slotIn, r.slotOut)
	r.sessions = NewSessions(r.State.Sessions())
	r.chain.resume(r.State.Chain(), r.slotOut)
}

// Start looks first for what the acceptor beside it knows to be decided: after the
// crash of a node, that is nearly all that its state misses.
func (r *Replica) Start(env Env) {
	r.reads.number = env.Rand() >> 1 // a build of before knows lives apart by nothing else
	r.catchUpAtStart(env)
	env.After(r.Tick, &messages.Tick{})
}

// Receive is the loop of Fig. 1.
func (r *Replica) Receive(env Env, m proto.Message) {
	switch m := m.(type) {
	case *messages.Request:
		r.onRequest(env, m)
	case *messages.P2A:
		r.onP2A(env, m.Pvalue)
	case *messages.Decision:
		if m.Pvalue == nil {
			r.onNamed(env, BallotOf(m.Ballot), m.Slot)
		} else {
			r.onDecision(env, m.Pvalue)
		}
	case *messages.CatchUp:
		r.onCatchUp(env, m)
	case *messages.CaughtUp:
		r.onCaughtUp(env, m)
	case *messages.Office:
		r.onOffice(env, m)
	case *messages.Learned:
		r.onLearned(m)
	case *messages.Read:
		r.onRead(env, m)
	case *messages.ReadMark:
		r.onReadMark(env, m)
	case *messages.SnapshotRequest:
		r.onSnapshotRequest(env, m)
	case *messages.SnapshotChunk:
		r.onSnapshotChunk(env, m)
	case *messages.Flushed:
		r.durable = max(r.durable, m.Below)
		r.short = m.Short
	case *messages.Tick:
		r.onTick(env)
	default:
		env.Refuse(m)
	}
	r.propose(env) // Fig. 1 l. 17
	r.tellAcceptor(env)
}

// onRequest is Fig. 1, "⟨request, c⟩".
//
// Divergence D9: where the leader in office is known and lives elsewhere, a client's
// commands go to the replica beside it, so that two replicas seldom propose for one
// slot. When they come again, this replica proposes them itself.
func (r *Replica) onRequest(env Env, m *messages.Request) { // Fig. 1 l. 12: unless handed over (Divergence D9)
	var unseen []*messages.Command
	for _, c := range m.Commands {
		switch known, answer := r.sessions.look(c); {
		case known != fresh:
			r.respond(env, c, answer)
		case IsTooLong(c): // a peer's: this node's own client refuses it
		case !r.queued[idOf(c)] && !r.isUntimely(c):
			unseen = append(unseen, c)
		}
	}
	if len(unseen) == 0 {
		return
	}

	proposer := r.besideLeader()
	mine := m.Again || proposer == "" || proposer == env.Self() || Addr(m.From).Member() != r.Name
	if !mine {
		r.handOver(env, proposer, unseen)
		return
	}
	for _, c := range unseen {
		r.queued[idOf(c)] = true
		delete(r.handed, idOf(c))
	}
	r.requests = append(r.requests, unseen...) // Fig. 1 l. 12
}

// office is the configuration that governs a slot, and the member whose leader is in
// office there, as far as known.
func (r *Replica) office(slot uint64) (c Configuration, leader Member, known bool) {
	c = r.epochs.at(slot)
	leader, known = c.Member(r.offices[c.Epoch].Leader)
	return c, leader, known
}

// besideLeader is the replica beside the leader in office for the next slot, or "".
func (r *Replica) besideLeader() Addr {
	if _, m, ok := r.office(r.slotIn); ok && m.Replica {
		return ReplicaAddr(m.Name)
	}
	return ""
}

// propose is Fig. 1's propose(). A decree takes all the commands that wait, up to
// a limit, so that batches grow with the load and a lone client waits for nobody.
func (r *Replica) propose(env Env) { // Fig. 1 l. 2
	for r.mayPropose() && r.isWorthASlot() { // Fig. 1 l. 3: later than it allows (Divergence D13)
		if !r.isDecided(r.slotIn) { // Fig. 1 l. 5
			// Fig. 1 l. 6
			p := r.takeBatch()
			r.proposals[r.slotIn] = p
			r.send(env, r.slotIn, p, false) // Fig. 1 l. 7
		}
		r.slotIn++ // Fig. 1 l. 8
	}
	r.fillWindow(env)
}

// mayPropose tells whether slot_in is within WINDOW (S4), where its configuration is
// known, and the pipeline has room (Divergence D13).
func (r *Replica) mayPropose() bool {
	return r.slotIn < r.slotOut+r.window() && len(r.proposals) < r.Pipeline && !r.isNew()
}

// isWorthASlot tells whether the commands that wait are to have a slot now: when they
// are as many as all of this replica's that are in flight, or more than a decree takes.
// So the number in flight follows the load: clients that ask again as soon as they are
// answered come together in few large decrees, each with one fsync for all, while those
// who ask at their own pace do not wait for a decree that takes long.
func (r *Replica) isWorthASlot() bool {
	n, flying := r.batch(r.requests), 0
	for _, p := range r.proposals {
		flying += len(p.commands)
	}
	return n > 0 && (n >= flying || n < len(r.requests))
}

func (r *Replica) window() uint64 { return r.epochs.latest().Window }

func (r *Replica) takeBatch() *proposal {
	n := r.batch(r.requests)
	commands := r.requests[:n:n]
	r.requests = r.requests[n:] // Fig. 1 l. 6
	return &proposal{commands: commands, decree: encode(commands)}
}

// batch is how many of the commands go into one decree.
func (r *Replica) batch(commands []*messages.Command) int {
	n, size := 0, 0
	for n < len(commands) && n < r.BatchCommands {
		size += sizeOf(commands[n])
		if n > 0 && size > r.BatchBytes {
			break
		}
		n++
	}
	return n
}

// send sends ⟨propose, s, c⟩.
//
// Divergence D12: the figure sends it to every leader; here the one in office gets it
// first, and all of them when it comes to nothing.
func (r *Replica) send(env Env, slot uint64, p *proposal, toAll bool) {
	m := &messages.Propose{From: string(env.Self()), Slot: slot, Decree: p.decree}
	c, office, known := r.office(slot) // Fig. 1 l. 4: as the slot's configuration has it
	// Fig. 1 l. 7: to the one in office first (Divergence D12)
	if known && !toAll {
		env.Send(LeaderAddr(office.Name, c.Epoch), m)
		return
	}
	for _, l := range c.Leaders() {
		env.Send(l, m)
	}
}

// onDecision is Fig. 1, "⟨decision, s, c⟩". Where the acceptor beside this replica passed
// the decree on, the decision only names it (Divergence D11); see passed.go.
func (r *Replica) onDecision(env Env, v *messages.PValue) { // Fig. 1 l. 13
	slot := v.GetSlot()
	if !r.isNear(slot) {
		return
	}
	r.decisions[slot] = v // Fig. 1 l. 13
	r.advance(env)
}

// isNear tells whether a slot is to be executed soon. What lies far ahead is dropped: this
// replica lags, and will be told again (Divergence D16).
func (r *Replica) isNear(slot uint64) bool {
	return slot >= r.slotOut && slot < r.slotOut+2*r.window() && !r.isNew()
}

// advance executes all that is decided without a gap.
func (r *Replica) advance(env Env) {
	// Fig. 1 l. 14
	for {
		v, ok := r.decisions[r.slotOut]
		if !ok {
			break
		}
		r.drop(r.slotOut)
		lost := r.settleProposal(v.Decree) // Fig. 1 l. 15
		r.perform(env, v)                  // Fig. 1 l. 16
		if lost {
			r.dropExecuted(env)
			r.handOverLost(env)
		}
	}
	r.slotIn = max(r.slotIn, r.slotOut)
	r.serveReads(env)
}

// settleProposal ends what this replica proposed for slot_out: it is done, or lost, and has
// to be proposed again, if the slot decided something else.
func (r *Replica) settleProposal(decided []byte) (lost bool) {
	// Fig. 1 l. 15
	p, ok := r.proposals[r.slotOut]
	if !ok {
		return false
	}
	delete(r.proposals, r.slotOut)
	if bytes.Equal(p.decree, decided) {
		for _, c := range p.commands {
			delete(r.queued, idOf(c))
		}
		return false
	}
	r.requests = append(p.commands, r.requests...)
	return true
}

// dropExecuted takes out of requests what was executed meanwhile, by way of another
// replica, and answers it.
func (r *Replica) dropExecuted(env Env) {
	r.requests = slices.DeleteFunc(r.requests, func(c *messages.Command) bool {
		known, answer := r.sessions.look(c)
		if known == fresh {
			return false
		}
		delete(r.queued, idOf(c))
		r.respond(env, c, answer)
		return true
	})
}

// perform is Fig. 1's perform(), for each command of a decree.
func (r *Replica) perform(env Env, v *messages.PValue) { // Fig. 1 l. 9
	var answers []*messages.Answer
	var parting []farewell
	var toRun []*messages.Answer
	var operations [][]byte
	decree := decreeOf(v.Decree)
	r.recent.note(v, decree)
	r.noteRun(v)
	for _, c := range decree.Commands {
		// Fig. 1 l. 10: sessions remember, where the figure searches all decisions
		known, answer := r.sessions.look(c)
		if known == fresh {
			answer = r.sessions.begin(v.Slot, c)
			if c.Configuration != nil {
				answer.Result = r.reconfigure(v.Slot, c.Configuration) // Fig. 1 l. 10
			} else {
				toRun = append(toRun, answer)
				operations = append(operations, c.Operation)
			}
		}
		// Fig. 1 l. 11: the replica beside the client sends the response
		if r.isMine(c) {
			delete(r.handed, idOf(c))
			if answer != nil {
				answers = append(answers, answer)
			}
		} else if leaver := r.epochs.leaver(c.Client); leaver != "" && answer != nil {
			parting = append(parting, farewell{leaver, c.Incarnation, answer})
		}
	}
	// Fig. 1 l. 11
	if len(operations) > 0 {
		for i, result := range r.State.Execute(v.Slot, operations) {
			toRun[i].Result = result
		}
	}
	drop, put := r.sessions.changes()
	r.chain.extend(v.Slot, v.Decree)
	changes := Changes{Drop: drop, Put: put, Configurations: r.changedEpochs(), Chain: r.chain.value}
	r.State.Commit(v.Slot, changes)
	if changes.Configurations != nil && len(r.epochs) > 1 {
		r.tellStewards(env)
	}
	r.slotOut = v.Slot + 1
	r.justRan = append(r.justRan, v)
	r.answer(env, v.Slot, answers)
	r.bidFarewell(env, v.Slot, parting)
}

// isMine tells whether a command's client waits at this replica's side. All
// replicas execute it; this one answers.
func (r *Replica) isMine(c *messages.Command) bool {
	return c.Client == r.ID && c.Incarnation == r.Incarnation
}

func (r *Replica) respond(env Env, c *messages.Command, answer *messages.Answer) {
	if answer != nil && r.isMine(c) {
		r.answer(env, answer.Slot, []*messages.Answer{answer})
	}
}

func (r *Replica) answer(env Env, slot uint64, answers []*messages.Answer) {
	if len(answers) > 0 {
		env.Send(ClientAddr(r.Name), &messages.Response{From: string(env.Self()), Slot: slot, Answers: answers, Incarnation: r.Incarnation})
	}
}

// onOffice takes note of the leader in office.
func (r *Replica) onOffice(env Env, m *messages.Office) {
	if r.lag.started {
		r.tellLeaders(env)
	}
	b := BallotOf(m.Ballot)
	if b == r.offices[m.Epoch] {
		return
	}
	r.offices[m.Epoch] = b
	// What the last one proposed, and a mark stands for, may be lost.
	r.reads.asked, r.reads.marks, r.reads.marked = nil, nil, r.reads.served
	if b != (Ballot{}) {
		for slot := r.slotOut; slot < r.slotIn; slot++ {
			if p, ok := r.proposals[slot]; ok && r.epochs.at(slot).Epoch == m.Epoch {
				r.send(env, slot, p, false)
			}
		}
		r.handOverAgain(env)
		r.askForMark(env)
	}
}

// onTick looks at what is missing and tells the others how far this replica is.
func (r *Replica) onTick(env Env) {
	env.After(r.Tick, &messages.Tick{})
	r.ticks++
	r.noteDuty()
	r.tellOthers(env)
	r.tellStewards(env)
	for slot := r.slotOut; slot < r.slotIn; slot++ {
		if p, ok := r.proposals[slot]; ok {
			if p.ticks++; p.ticks > 1 && p.ticks&(p.ticks-1) == 0 {
				r.send(env, slot, p, true)
			}
		}
	}
	settled := r.sessions.settled(r.ID, r.Incarnation) // what the client has given up
	maps.DeleteFunc(r.handed, func(id commandID, _ *messages.Command) bool { return id.sequence < settled })
	r.askForMarkAgain(env)
	r.lookForGaps(env)
}

package simulation

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	allMutants = flag.Bool("mutants", false, "write the table of docs/testing.md")
	onlyMutant = flag.String("mutant", "", "run the mutants of which the name contains this")
)

// mutant is a fault that people make: in a file of package actors, or of the
// simulator's own shell, one text stands in place of another.
type mutant struct {
	name, file, old, new string
}

var mutants = []mutant{
	{"a minority is a majority (S12)", "quorum.go", "2*len(w.silent) < w.acceptors", "2*len(w.silent) <= w.acceptors+1"},
	{"a stranger's answer counts (S12)", "commander.go", "c.waitfor.remove(Addr(m.From))", "for a := range c.waitfor.silent {\n\t\t\tc.waitfor.remove(a)\n\t\t\tbreak\n\t\t}"},
	{"a promise is not written (S1)", "acceptor.go", "env.Persist(&messages.Record{Kind: &messages.Record_Ballot{Ballot: b.Proto()}})", "_ = env"},
	{"a vote is not written (S1)", "acceptor.go", "env.Persist(&messages.Record{Kind: &messages.Record_Pvalue{Pvalue: m.Pvalue}})", "_ = env"},
	{"a ballot is not read back (S1)", "acceptor.go", "a.ballot = later(a.ballot, BallotOf(k.Ballot))", "_ = k"},
	{"votes are not read back (S1)", "acceptor.go", "a.keep(k.Pvalue)", "_ = k"},
	{"the shell answers before the disk (S1)", "process.go", "p.durable == p.written && len(p.waiting) == 0", "p.written >= 0"},
	{"a lower ballot is accepted (A2)", "acceptor.go", "case b.Compare(a.ballot) < 0:", "case b.Compare(a.ballot) < -1:"},
	{"p1b leaves out what was accepted (A3)", "acceptor.go", "a.chunk(env, first,", "a.chunk(env, first+1,"},
	{"what is read from the journal is of any ballot (A3)", "shelf.go", "wanted && BallotOf(v.Ballot) == BallotOf(chunk[i].Ballot)", "wanted"},
	{"p1b has no decree where none could be read (A3)", "acceptor.go", "if !whole {", "if !whole && false {"},
	{"p1b does not say what is forgotten (S5)", "acceptor.go", "Forgotten: a.forgotten,\n\t\tNext:", "Forgotten: 1,\n\t\tNext:"},
	{"a slot is forgotten when one replica has it (S5)", "acceptor.go", "marks[len(marks)-a.Configuration.keepers()]", "marks[len(marks)-1]"},
	{"a slot is forgotten when it is executed, not on disk (S5)", "acceptor.go", "a.durable[Addr(m.From)], m.Durable)", "a.durable[Addr(m.From)], m.Executed)"},
	{"pmax takes the lowest ballot (C2)", "pvalues.go", "Compare(BallotOf(v.GetBallot())) >= 0", "Compare(BallotOf(v.GetBallot())) <= 0"},
	{"a leader proposes its own over what it adopts (C2)", "leader.go", "for _, v := range m.Accepted {\n\t\tl.propose(", "for _, v := range m.Accepted {\n\t\tif l.proposals[v.Slot] != nil {\n\t\t\tcontinue\n\t\t}\n\t\tl.propose("},
	{"a leader proposes below what is forgotten (S5)", "leader.go", "l.floor = max(l.floor, m.Forgotten)", "_ = m.Forgotten"},
	{"a leader leaves holes (S9)", "leader.go", "l.propose(slot, noop)\n\t\t}", "continue\n\t\t}"},
	{"a round is not written (S2)", "election.go", "env.Persist(&messages.Record{Kind: &messages.Record_Round{Round: l.round}})", "_ = env"},
	{"a leader runs without asking (S10)", "election.go", "if e.misses.majorityAnswered() && l.diskProven() {", "if l.diskProven() {"},
	{"a leader runs while its disk hangs (S10)", "election.go", "e.misses.majorityAnswered() && l.diskProven() {", "e.misses.majorityAnswered() {"},
	{"a read is not confirmed (S8)", "confirm.go", "l.office.waiting = append(l.office.waiting, m)", "l.mark(env, m)\n\treturn"},
	{"a round of before serves a read (S8)", "confirm.go", "o.serves, o.waiting = o.waiting, nil", "o.waiting = nil"},
	{"a read does not wait for its slot (S8)", "reads.go", "r.reads.marks[0].slot < r.slotOut {", "r.reads.marks[0].slot < r.slotOut+2 {"},
	{"commands are executed twice (S6)", "sessions.go", "if a, ok := client.answers[c.Sequence]; ok {", "if a, ok := client.answers[c.Sequence]; ok && a == nil {"},
	{"a replica ignores WINDOW (S4)", "replica.go", "r.slotIn < r.slotOut+r.window()", "r.slotIn < r.slotOut+4*r.window()"},
	{"a replica takes what was passed on under a lower ballot (C2)", "passed.go", "if !ok || BallotOf(v.Ballot).Compare(b) < 0 {", "if !ok {"},
	{"what lost its slot is dropped (R5, liveness)", "replica.go", "r.requests = append(p.commands, r.requests...)", "_ = p"},
	{"what lost its slot stays with the replica that loses (liveness)", "handed.go", "if proposer == \"\" || proposer == env.Self() {", "if proposer != \"none\" {"},
	{"a configuration governs at once (S3)", "epochs.go", "next.First = slot + last.Window", "next.First = slot + 1"},
	{"proposals go to the last epoch's leaders (S3)", "epochs.go", "for i > 0 && e[i].First > slot {", "for i > 0 && e[i].First > slot && e[i].Epoch > 1000 {"},
	{"a damaged chunk is taken (snapshots)", "snapshots.go", "if m.Gone || m.Slot < r.slotOut {", "if m.Gone {"},
	{"a replica executes another decree (R1)", "replica.go", "decree := decreeOf(v.Decree)", "if r.ID == 2 && v.Slot == 20 {\n\t\tv = &messages.PValue{Ballot: v.Ballot, Slot: v.Slot}\n\t}\n\tdecree := decreeOf(v.Decree)"},
	{"a replica says that its state is on disk (S5)", "learned.go", "Durable: r.durable", "Durable: r.slotOut"},
}

// seedsToCatch is within how many seeds each mutant is caught.
const seedsToCatch = 600

// TestMutantsAreCaught builds the simulator with a fault in it, and wants a seed to
// fail. That each text is still there, once, is seen for all of them.
func TestMutantsAreCaught(t *testing.T) {
	rows := make([]string, len(mutants))
	t.Run("each", func(t *testing.T) { // which ends when all have
		for i, m := range mutants {
			path, text := m.source(t)
			if n := strings.Count(text, m.old); n != 1 {
				t.Errorf("%s: %q stands %d times in %s, want once", m.name, m.old, n, m.file)
				continue
			}
			if !strings.Contains(m.name, *onlyMutant) {
				continue
			}
			t.Run(m.name, func(t *testing.T) {
				t.Parallel() // building them takes most of the time
				seed, as := m.run(t, path, text)
				t.Logf("caught by seed %s as %s", seed, as)
				rows[i] = fmt.Sprintf("| %s | %s | %s |\n", m.name, seed, as)
			})
		}
	})
	if *allMutants && !t.Failed() {
		write(t, "| fault | caught by seed | as |\n|---|---|---|\n"+strings.Join(rows, ""))
	}
}

func (m mutant) source(t *testing.T) (path, text string) {
	t.Helper()
	path = filepath.Join("..", "..", "actors", m.file)
	if m.file == "process.go" {
		path = m.file
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	path, err = filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, string(b)
}

var failure = regexp.MustCompile(`seed (\d+): at [^:]*: (\w+)`)

// run returns the seed that failed, and the rule that was broken.
func (m mutant) run(t *testing.T, path, text string) (seed, as string) {
	t.Helper()
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, m.file), filepath.Join(dir, "overlay.json")
	b, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{changed: []byte(strings.Replace(text, m.old, m.new, 1)), overlay: b} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "mutant.test")
	if out, err := exec.Command("go", "test", "-vet=off", "-overlay", overlay, "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", m.name, err, out)
		return "", ""
	}
	if last := lastCaught(t, m.name); last != "" && !*allMutants {
		if seed, as, caught := m.try(t, binary, "-seed", last); caught {
			return seed, as
		}
	}
	seed, as, caught := m.try(t, binary, "-from=1", "-seeds", fmt.Sprint(seedsToCatch))
	if !caught {
		t.Errorf("%s: not caught within %d seeds", m.name, seedsToCatch)
	}
	return seed, as
}

// try has seeds run.
func (m mutant) try(t *testing.T, binary string, seeds ...string) (seed, as string, caught bool) {
	t.Helper()
	out, err := exec.Command(binary, append([]string{"-test.run=^TestSeeds$"}, seeds...)...).CombinedOutput()
	found := failure.FindSubmatch(out)
	switch {
	case err == nil:
		return "", "", false
	case found != nil:
		return string(found[1]), string(found[2]), true
	case strings.Contains(string(out), "panic: "):
		return "a panic", "a panic", true
	default:
		t.Errorf("%s: %v: %s", m.name, err, out)
		return "", "", true
	}
}

// table is where docs/testing.md has the mutants.
const table, tableBegin, tableEnd = "../../docs/testing.md", "<!-- mutants -->\n", "<!-- /mutants -->"

// lastCaught is the seed that caught a mutant when the table was written. It is tried
// first: it spares most of the seeds before it, of which some mutants need hundreds.
func lastCaught(t *testing.T, name string) (seed string) {
	t.Helper()
	b, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(name) + ` \| (\d+) \|`).FindSubmatch(b); found != nil {
		return string(found[1])
	}
	return ""
}

// write puts rows into the table.
func write(t *testing.T, rows string) {
	t.Helper()
	b, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no %s … %s", table, tableBegin, tableEnd)
	}
	if err := os.WriteFile(table, []byte(before+tableBegin+rows+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

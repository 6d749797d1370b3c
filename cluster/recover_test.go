package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/journal"
	"github.com/pmmc-go/pmmc/messages"
)

// text is a state machine that appends what it is given.
type text struct{ s string }

func (m *text) Apply(_ uint64, operations [][]byte) (results [][]byte) {
	for _, op := range operations {
		m.s += string(op)
		results = append(results, op)
	}
	return results
}
func (m *text) Query([]byte) ([]byte, error)   { return []byte(m.s), nil }
func (m *text) Snapshot() (io.WriterTo, error) { return strings.NewReader(m.s), nil }
func (m *text) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	m.s = string(b)
	return err
}

func openText(string) (StateMachine, error) { return new(text), nil }

// optionsOf are those of a member of a cluster of three.
func optionsOf(dir, member string) Options {
	o := Options{Cluster: "test", Member: member, DataDir: dir, Protocol: DefaultProtocol()}
	for i, name := range []string{"alpha", "beta", "gamma"} {
		o.Members = append(o.Members, Member{
			ID: uint32(i + 1), Name: name, Address: fmt.Sprint(name, ":1"), Replica: true, Leader: true, Acceptor: true,
		})
	}
	return o
}

// left writes a data directory in which slots are executed and, behind them, others
// accepted, each with the letter of its slot, under a ballot.
func left(t *testing.T, executed uint64, accepted map[uint64]*messages.Ballot) Options {
	t.Helper()
	o := optionsOf(t.TempDir(), "beta")
	if _, err := openIdentity(o.DataDir, o.Cluster, 2, "beta"); err != nil {
		t.Fatal(err)
	}
	s, err := o.openState(openText)
	if err != nil {
		t.Fatal(err)
	}
	var run []*messages.PValue
	for slot := range executed {
		run = append(run, accept(slot+1, nil))
	}
	actors.Adopt(actors.ReplicaOptions{ID: 2, Name: "beta", Configuration: o.configuration(), State: s}, run)
	if _, err := s.machine.Flush(); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(journal.Options{Dir: filepath.Join(o.DataDir, journalDir), Failed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	for slot, ballot := range accepted {
		for round := range ballot.Round { // earlier ones came first
			v := accept(slot, &messages.Ballot{Round: round + 1, Leader: ballot.Leader})
			j.Append(&messages.Record{Owner: "epoch-1/acceptor", Kind: &messages.Record_Pvalue{Pvalue: v}}, nil)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return o
}

// accept is a pvalue whose only command appends the slot's letter and the ballot's round.
func accept(slot uint64, ballot *messages.Ballot) *messages.PValue {
	op := fmt.Sprintf("%c%d ", 'a'+slot-1, ballot.GetRound())
	decree, err := proto.Marshal(&messages.Decree{Commands: []*messages.Command{
		{Client: 1, Incarnation: 7, Sequence: slot, Operation: []byte(op)},
	}})
	if err != nil {
		panic(err)
	}
	return &messages.PValue{Slot: slot, Ballot: ballot, Decree: decree}
}

func yes(Remains) error { return nil }

// TestRecoverAdopts: what was accepted without a gap is executed, under its highest
// ballot; what is behind a gap is dropped; the new cluster has this member alone, an
// origin, a disk and an epoch of its own, and begins above all slots.
func TestRecoverAdopts(t *testing.T) {
	o := left(t, 2, map[uint64]*messages.Ballot{
		3: {Round: 2, Leader: 1}, 4: {Round: 1, Leader: 3}, 7: {Round: 1, Leader: 3},
	})
	before, err := readIdentity(o.DataDir, "test", 2, "beta")
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("not now")
	var seen Remains
	if err := Recover(o, openText, false, func(r Remains) error { seen = r; return refused }); !errors.Is(err, refused) {
		t.Fatalf("after a refusal: %v", err)
	}
	if seen.Executed != 3 || seen.Adoptable != 5 || seen.Beyond != 1 || seen.Configuration.Epoch != 1 {
		t.Errorf("it found %+v", seen)
	}
	for epoch := uint64(2); epoch < 4; epoch++ { // the second time there is nothing to adopt
		if err := Recover(o, openText, false, yes); err != nil {
			t.Fatal(err)
		}
		after, err := readIdentity(o.DataDir, "test", 2, "beta")
		if err != nil {
			t.Fatal(err)
		}
		s, err := o.openState(openText)
		if err != nil {
			t.Fatal(err)
		}
		all := s.Configurations()
		got, _ := s.machine.Query(nil)
		if string(got) != "a0 b0 c2 d1 " || len(all) != 1 || len(s.Sessions()) == 0 {
			t.Fatalf("state %q, configurations %v", got, all)
		}
		c := actors.ConfigurationOf(all[0])
		if c.Epoch != epoch || c.First != s.SlotOut() || c.First < 8 || c.LastID != 3 || len(c.Members) != 1 || c.Members[0].Name != "beta" || c.Origin == 0 {
			t.Errorf("configuration %+v, slot_out %d", c, s.SlotOut())
		}
		if after.Disk == before.Disk || after.Member != 2 || len(after.Configurations) != 1 || !proto.Equal(after.Configurations[0], all[0]) {
			t.Errorf("identity %v", after)
		}
	}
}

// TestRestoreBegins: a member of a new cluster begins at the same slot and with the same
// origin whichever member it is, and above all sessions; with another file, name, or
// members the origin is another one.
func TestRestoreBegins(t *testing.T) {
	old := left(t, 3, nil)
	s, err := old.openState(openText)
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := s.machine.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if _, err := snapshot.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	restored := func(o Options, hash string) actors.Configuration {
		t.Helper()
		if err := Restore(o, openText, bytes.NewReader(file.Bytes()), []byte(hash)); err != nil {
			t.Fatal(err)
		}
		s, err := o.openState(openText)
		if err != nil {
			t.Fatal(err)
		}
		id, err := openIdentity(o.DataDir, o.Cluster, o.configuration().Members[0].ID, o.Member)
		if err != nil || id.Incarnation != 7 {
			t.Errorf("incarnation %d, and a session of the seventh is known, %v", id.GetIncarnation(), err)
		}
		c := actors.ConfigurationOf(s.Configurations()[0])
		if c.Epoch != 1 || c.First != 5 || s.SlotOut() != 5 {
			t.Errorf("configuration %+v, slot_out %d", c, s.SlotOut())
		}
		if all := id.GetConfigurations(); len(all) != 1 || !proto.Equal(all[0], c.Proto()) {
			t.Errorf("when the state is lost, it would begin with %v", all)
		}
		return c
	}
	alpha := optionsOf(t.TempDir(), "alpha")
	origin := restored(alpha, "x").Origin
	if err := Restore(alpha, openText, bytes.NewReader(file.Bytes()), nil); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("over what is there: %v", err)
	}
	renamed := optionsOf(t.TempDir(), "alpha")
	renamed.Cluster = "other"
	fewer := optionsOf(t.TempDir(), "alpha")
	fewer.Members = fewer.Members[:2]
	for what, other := range map[string]uint64{
		"another file":  restored(optionsOf(t.TempDir(), "alpha"), "y").Origin,
		"another name":  restored(renamed, "x").Origin,
		"other members": restored(fewer, "x").Origin,
	} {
		if other == origin || other == 0 {
			t.Errorf("%s: origin %x", what, other)
		}
	}
	if same := restored(optionsOf(t.TempDir(), "alpha"), "x").Origin; same != origin {
		t.Errorf("origin %x, then %x", origin, same)
	}

	cut := optionsOf(t.TempDir(), "alpha")
	if err := Restore(cut, openText, bytes.NewReader(file.Bytes()[:5]), nil); err == nil {
		t.Error("half a snapshot was restored")
	}
	if _, err := openIdentity(cut.DataDir, "test", 1, "alpha"); err == nil || !strings.Contains(err.Error(), "did not end") {
		t.Errorf("a node starts on half a restore: %v", err)
	}
}

// TestS13_AMembersNumberIsNeverGivenAgain: member 4 of the old cluster had written, or was removed,
// before its number could be told from a free one by the new members alone.
func TestS13_AMembersNumberIsNeverGivenAgain(t *testing.T) {
	for _, tt := range []struct {
		name   string
		client uint32 // whose command was executed last; 0 for nobody's
		lastID uint32 // of the old cluster's configuration
		want   uint32
	}{
		{"no member had a higher number", 3, 3, 3},
		{"a session of a member that is gone", 4, 3, 4},
		{"a member that is gone, and wrote nothing", 0, 7, 7},
		{"both", 5, 6, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old := left(t, 2, nil)
			s, err := old.openState(openText)
			if err != nil {
				t.Fatal(err)
			}
			c := old.configuration()
			c.LastID, c.First = tt.lastID, 3
			changes := actors.Changes{Configurations: []*messages.Configuration{c.Proto()}}
			if tt.client != 0 {
				changes.Put = []*messages.SessionRecord{{Client: tt.client, Incarnation: 1 << 32, Slot: 3}}
			}
			s.Commit(3, changes)
			if _, err := s.machine.Flush(); err != nil {
				t.Fatal(err)
			}
			snapshot, err := s.machine.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			if _, err := snapshot.WriteTo(&file); err != nil {
				t.Fatal(err)
			}
			for _, member := range []string{"alpha", "beta"} {
				o := optionsOf(t.TempDir(), member)
				if err := Restore(o, openText, bytes.NewReader(file.Bytes()), []byte("x")); err != nil {
					t.Fatal(err)
				}
				lastIDIs(t, o, tt.want)
			}
			if err := Recover(old, openText, false, yes); err != nil {
				t.Fatal(err)
			}
			lastIDIs(t, old, tt.want)
		})
	}
}

// lastIDIs looks for the highest number in what a node would go on with.
func lastIDIs(t *testing.T, o Options, want uint32) {
	t.Helper()
	s, err := o.openState(openText)
	if err != nil {
		t.Fatal(err)
	}
	me, _ := o.configuration().Named(o.Member)
	id, err := readIdentity(o.DataDir, o.Cluster, me.ID, o.Member)
	if err != nil {
		t.Fatal(err)
	}
	for what, all := range map[string][]*messages.Configuration{"state": s.Configurations(), "identity": id.Configurations} {
		if len(all) != 1 || all[0].LastId != want {
			t.Errorf("%s: the %s has %v, want last_id %d", o.Member, what, all, want)
		}
	}
}

// TestRecoverFromADamagedJournal: it is refused with a hint, and with damaged goes on with what
// stands in front of the damage. The journal is put aside, and a node starts without it.
func TestRecoverFromADamagedJournal(t *testing.T) {
	for _, tt := range []struct {
		name      string
		damage    func(t *testing.T, dir string)
		adoptable uint64
		want      string // the state
	}{
		{"the last batch", func(t *testing.T, dir string) { flipText(t, dir, "e1 ") }, 5, "a0 b0 c1 d1 "},
		{"the first batch", func(t *testing.T, dir string) { flipText(t, dir, "c1 ") }, 3, "a0 b0 "},
		{"the list of segments", func(t *testing.T, dir string) {
			do(t, os.WriteFile(filepath.Join(dir, journalDir, "segments.json"), []byte("{}"), 0o600))
		}, 3, "a0 b0 "},
		{"all of it", func(t *testing.T, dir string) { do(t, os.RemoveAll(filepath.Join(dir, journalDir))) }, 3, "a0 b0 "},
		{"another's", func(t *testing.T, dir string) {
			j, err := journal.Open(journal.Options{Dir: filepath.Join(dir, journalDir), Failed: func(err error) { t.Error(err) }})
			do(t, err, j.Own(journal.Owner{Salt: 77}), j.Close())
		}, 3, "a0 b0 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := left(t, 2, nil)
			for slot := uint64(3); slot < 6; slot++ { // each a batch of its own
				appendAlone(t, o, accept(slot, &messages.Ballot{Round: 1, Leader: 1}))
			}
			id, err := readIdentity(o.DataDir, "test", 2, "beta")
			do(t, err)
			id.Admitted = true
			do(t, saveIdentity(o.DataDir, id))
			tt.damage(t, o.DataDir)
			var refused *DamagedJournalError
			if err := Recover(o, openText, false, yes); !errors.As(err, &refused) || !strings.Contains(refused.Hint(), "--damaged-journal") {
				t.Fatalf("without the flag: %v", err)
			}
			var seen Remains
			if err := Recover(o, openText, true, func(r Remains) error { seen = r; return nil }); err != nil {
				t.Fatal(err)
			}
			if seen.Damage == nil || seen.Adoptable != tt.adoptable {
				t.Errorf("it found %+v, want slots below %d", seen, tt.adoptable)
			}
			s, err := o.openState(openText)
			do(t, err)
			if got, _ := s.machine.Query(nil); string(got) != tt.want {
				t.Errorf("the state is %q, want %q", got, tt.want)
			}
			o.Machine, o.Listen = new(text), "127.0.0.1:0"
			n, err := Start(o)
			if err != nil {
				t.Fatal(err)
			}
			n.Kill()
		})
	}
}

// appendAlone adds a pvalue to the journal, in a batch of its own.
func appendAlone(t *testing.T, o Options, v *messages.PValue) {
	t.Helper()
	j, err := journal.Open(journal.Options{Dir: filepath.Join(o.DataDir, journalDir), Failed: func(err error) { t.Error(err) }})
	do(t, err)
	j.Append(&messages.Record{Owner: "epoch-1/acceptor", Kind: &messages.Record_Pvalue{Pvalue: v}}, nil)
	do(t, j.Close())
}

// flipText changes a bit of a text in the journal.
func flipText(t *testing.T, dir, text string) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(dir, journalDir, "*.wal"))
	do(t, err)
	b, err := os.ReadFile(segments[0])
	do(t, err)
	at := bytes.Index(b, []byte(text))
	if at < 0 {
		t.Fatalf("%q is not in the journal", text)
	}
	b[at] ^= 4
	do(t, os.WriteFile(segments[0], b, 0o600))
}

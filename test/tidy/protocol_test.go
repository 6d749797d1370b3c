package tidy

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// sink is an Env in which nothing comes of what a role does.
type sink struct{ refused int }

func (*sink) Self() actors.Addr                { return "alpha/role" }
func (*sink) Send(actors.Addr, proto.Message)  {}
func (*sink) Forward(actors.Addr)              {}
func (s *sink) Refuse(proto.Message)           { s.refused++ }
func (*sink) Spawn(string, func() actors.Role) {}
func (*sink) Exit()                            {}
func (*sink) Persist(*messages.Record)         {}

func (*sink) Recall(uint64, uint64, func(*messages.PValue) bool) {}

func (*sink) After(time.Duration, proto.Message) {}
func (*sink) Now() time.Duration                 { return 0 }
func (*sink) Rand() uint64                       { return 1 }
func (*sink) Life() uint64                       { return 1 }

// blank is a State without commands.
type blank struct{ out uint64 }

func (b *blank) SlotOut() uint64                           { return b.out }
func (b *blank) Sessions() []*messages.SessionRecord       { return nil }
func (b *blank) Execute(_ uint64, ops [][]byte) [][]byte   { return ops }
func (b *blank) Commit(slot uint64, _ actors.Changes)      { b.out = slot + 1 }
func (b *blank) Configurations() []*messages.Configuration { return nil }
func (b *blank) Chain() uint64                             { return 0 }
func (b *blank) Snapshot() actors.SnapshotReader           { return b }
func (b *blank) Restore() actors.SnapshotWriter            { return b }
func (b *blank) Next(int) ([]byte, bool, error)            { return []byte("state"), true, nil }
func (b *blank) Write([]byte) error                        { return nil }
func (b *blank) Finish() error                             { return nil }
func (b *blank) Close()                                    {}

// roles makes one of each, in the order of the table's columns.
func roles() []actors.Role {
	c := actors.Configuration{Epoch: 1, First: 1, Window: 8}
	for i, name := range []string{"alpha", "beta", "gamma"} {
		c.Members = append(c.Members, actors.Member{ID: uint32(i + 1), Name: name, Replica: true, Leader: true, Acceptor: true})
	}
	all := []actors.Role{
		actors.NewReplica(actors.ReplicaOptions{
			ID: 1, Name: "alpha", Incarnation: 1, Configuration: c, State: &blank{out: 1}, Pipeline: 2,
			BatchCommands: 8, BatchBytes: 1000, ChunkBytes: 100, Tick: time.Second,
		}),
		actors.NewLeader(actors.LeaderOptions{
			ID: 1, Configuration: c, Tick: time.Second, Resend: time.Second,
			Timeout: actors.TimeoutOptions{Initial: 3 * time.Second, Min: time.Second, Max: time.Minute, Factor: 2, Step: time.Millisecond},
		}),
		actors.NewScout(actors.ScoutOptions{
			Leader: "alpha/epoch-1/leader", Acceptors: c.Acceptors(), Ballot: actors.Ballot{Round: 1, Leader: 1}, Slot: 1, Resend: time.Second, Tries: 3,
		}),
		actors.NewCommander(actors.CommanderOptions{
			Leader: "alpha/epoch-1/leader", Acceptors: c.Acceptors(), Replicas: c.Replicas(), Resend: time.Second,
			PValue: &messages.PValue{Ballot: &messages.Ballot{Round: 1, Leader: 1}, Slot: 1},
		}),
		actors.NewAcceptor(actors.AcceptorOptions{Configuration: c, ChunkBytes: 100, RetainSlots: 2, RetainBytes: 1000}),
	}
	for _, r := range all {
		r.Start(&sink{})
	}
	return all
}

// spoken lists the messages of roles: those of the first two files.
func spoken() (all []protoreflect.MessageType) {
	for _, f := range []protoreflect.FileDescriptor{messages.File_messages_paxos_proto, messages.File_messages_pragmatics_proto} {
		for i := range f.Messages().Len() {
			kind, err := protoregistry.GlobalTypes.FindMessageByName(f.Messages().Get(i).FullName())
			if err != nil {
				panic(err)
			}
			all = append(all, kind)
		}
	}
	return all
}

// TestRolesHandleOrRefuse holds the table of docs/architecture.md equal to what the
// roles do with a message of each kind. The messages are empty: no role may take it
// for granted that a peer filled one in.
func TestRolesHandleOrRefuse(t *testing.T) {
	var table strings.Builder
	table.WriteString("| message | replica | leader | scout | commander | acceptor |\n|---|---|---|---|---|---|\n")
	for _, kind := range spoken() {
		row := fmt.Sprintf("| %s |", kind.Descriptor().Name())
		handled := false
		for _, r := range roles() {
			env := &sink{}
			r.Receive(env, kind.New().Interface())
			if env.refused == 0 {
				row, handled = row+" handles |", true
			} else {
				row += " · |"
			}
		}
		if handled {
			table.WriteString(row + "\n")
		}
	}
	doc, err := os.ReadFile(root + "/docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), table.String()) {
		t.Errorf("docs/architecture.md has not this table:\n%s", table.String())
	}
}

// FuzzRoles: no panic of a role is reachable from a peer's bytes.
func FuzzRoles(f *testing.F) {
	kinds := spoken()
	for i, kind := range kinds {
		f.Add(uint8(i), []byte{})
		b, err := proto.Marshal(kind.New().Interface())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), b)
	}
	value := &messages.PValue{Ballot: &messages.Ballot{Round: 9, Leader: 2}, Slot: 3, Decree: []byte{0xff, 0x01}}
	for _, m := range []proto.Message{
		&messages.Decision{Pvalue: value}, &messages.Decision{Ballot: value.Ballot, Slot: 1 << 63}, &messages.P2A{Pvalue: value},
		&messages.CaughtUp{Slot: 1, Decided: []*messages.PValue{{Slot: 1, Decree: []byte("?")}, value}},
		&messages.Decided{Decided: []*messages.PValue{value}},
		&messages.P1B{From: "beta/epoch-1/acceptor", Ballot: &messages.Ballot{Round: 1, Leader: 1}, Slot: 1, Accepted: []*messages.PValue{value, {}}},
		&messages.Request{Commands: []*messages.Command{{}}},
		&messages.Response{}, &messages.SnapshotRequest{Slot: 1, Offset: 1 << 63}, &messages.SnapshotChunk{Slot: 1 << 63, Last: true},
		&messages.Learned{From: "beta/replica", Executed: 1 << 63, Durable: 1 << 63},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		i := slices.IndexFunc(kinds, func(k protoreflect.MessageType) bool {
			return k.Descriptor().FullName() == m.ProtoReflect().Descriptor().FullName()
		})
		f.Add(uint8(i), b)
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		kind := kinds[int(which)%len(kinds)]
		for _, r := range roles() {
			m := kind.New().Interface()
			if proto.Unmarshal(b, m) != nil {
				return
			}
			r.Receive(&sink{}, m)
			r.Receive(&sink{}, proto.Clone(m))
		}
	})
}

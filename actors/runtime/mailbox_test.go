package runtime

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pmmc-go/pmmc/actors/runtime/measure"
)

// recorder notes what a mailbox delivers.
type recorder struct{ got []any }

func (r *recorder) InvokeSystemMessage(m any)           { r.got = append(r.got, m) }
func (r *recorder) InvokeUserMessage(m any)             { r.got = append(r.got, m) }
func (r *recorder) EscalateFailure(reason, message any) {}

// What comes before an actor lives waits until it does, behind Started and in order.
func TestAMailboxIsShutUntilItsActorLives(t *testing.T) {
	m, reader, stop := newMailbox(&kind{began: time.Now(), waits: measure.Times()}), &recorder{}, &actor.Stop{}
	m.PostUserMessage("one") // protoactor's own would panic here: nobody reads it yet
	m.PostSystemMessage(stop)
	m.RegisterHandlers(reader, actor.NewSynchronizedDispatcher(10))
	m.PostUserMessage("two")
	started := &actor.Started{}
	m.PostSystemMessage(started)
	if len(reader.got) != 1 || reader.got[0] != started {
		t.Errorf("before Start: delivered %v, want Started only", reader.got)
	}
	m.Start()
	m.PostUserMessage("three")
	want := []any{started, stop, "one", "two", "three"}
	if len(reader.got) != len(want) {
		t.Fatalf("delivered %v, want %v", reader.got, want)
	}
	for i := range want {
		if reader.got[i] != want[i] {
			t.Errorf("message %d is %v, want %v", i, reader.got[i], want[i])
		}
	}
}

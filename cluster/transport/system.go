package transport

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/grpclog"
)

// deadLetterPause is how long protoactor counts dead letters before it looks again
// whether to log them. It never does, but keeps a goroutine for so long.
const deadLetterPause = 50 * time.Millisecond

// NewSystem returns an actor system for one node. What it logs goes to logger, from
// warnings on. It does not log dead letters: the answers to scouts and commanders
// that have gone are no news. A Transport counts them.
func NewSystem(logger hclog.Logger) *actor.ActorSystem {
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	return actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(&bridge{to: logger}) }),
		actor.WithDeadLetterThrottleCount(0),
		actor.WithDeadLetterThrottleInterval(deadLetterPause),
		actor.WithDeadLetterRequestLogging(false),
	)
}

// bridge brings protoactor's slog lines to hclog.
type bridge struct {
	to    hclog.Logger
	group string // in front of keys
}

// Enabled lets warnings and errors through.
func (b *bridge) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && b.to.GetLevel() <= levelOf(level)
}

// Handle writes one line.
func (b *bridge) Handle(_ context.Context, r slog.Record) error {
	pairs := make([]any, 0, 2*r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		pairs = append(pairs, b.group+a.Key, a.Value.Resolve().Any())
		return true
	})
	b.to.Log(levelOf(r.Level), r.Message, pairs...)
	return nil
}

// WithAttrs returns a handler that adds pairs to each line.
func (b *bridge) WithAttrs(attrs []slog.Attr) slog.Handler {
	pairs := make([]any, 0, 2*len(attrs))
	for _, a := range attrs {
		pairs = append(pairs, b.group+a.Key, a.Value.Resolve().Any())
	}
	return &bridge{to: b.to.With(pairs...), group: b.group}
}

// WithGroup returns a handler that puts the name in front of keys.
func (b *bridge) WithGroup(name string) slog.Handler {
	return &bridge{to: b.to, group: b.group + name + "."}
}

func levelOf(level slog.Level) hclog.Level {
	if level >= slog.LevelError {
		return hclog.Error
	}
	return hclog.Warn
}

// LogGRPC sends what gRPC itself logs in this process to logger, from warnings on.
// It must be called before anything uses gRPC: gRPC takes no lock. Only a main
// function knows when that is, so a Transport never does it.
func LogGRPC(logger hclog.Logger) { grpclog.SetLoggerV2(grpcBridge{logger}) }

// grpcBridge brings gRPC's lines to hclog.
type grpcBridge struct{ to hclog.Logger }

func (grpcBridge) Info(...any)          {}
func (grpcBridge) Infoln(...any)        {}
func (grpcBridge) Infof(string, ...any) {}

func (b grpcBridge) Warning(args ...any)            { b.to.Warn(fmt.Sprint(args...)) }
func (b grpcBridge) Warningln(args ...any)          { b.to.Warn(fmt.Sprint(args...)) }
func (b grpcBridge) Warningf(f string, args ...any) { b.to.Warn(fmt.Sprintf(f, args...)) }
func (b grpcBridge) Error(args ...any)              { b.to.Error(fmt.Sprint(args...)) }
func (b grpcBridge) Errorln(args ...any)            { b.to.Error(fmt.Sprint(args...)) }
func (b grpcBridge) Errorf(f string, args ...any)   { b.to.Error(fmt.Sprintf(f, args...)) }

// Fatal, and its like, must not return.
func (b grpcBridge) Fatal(args ...any)            { b.fatal(fmt.Sprint(args...)) }
func (b grpcBridge) Fatalln(args ...any)          { b.fatal(fmt.Sprint(args...)) }
func (b grpcBridge) Fatalf(f string, args ...any) { b.fatal(fmt.Sprintf(f, args...)) }

func (b grpcBridge) fatal(text string) {
	b.to.Error("halting: gRPC cannot go on", "error", text)
	panic("grpc: " + text)
}

// V keeps gRPC from preparing what would not be logged.
func (grpcBridge) V(level int) bool { return level < 1 }

package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/status"
)

const (
	// healthPatience is how long a look at the health waits for a fresh read.
	healthPatience = 2 * time.Second
	// rolePatience is how long a role that has answered before may be too busy to do so
	// again until the process is said not to be live.
	rolePatience = 30 * time.Second
)

// check is one of those that /livez and /readyz make. Their names are etcd's where etcd
// has them.
type check struct {
	name  string
	fails func(*Gateway, context.Context) error
}

var (
	// live is whether the process turns. No check of it needs another node: whoever
	// starts a node again because a majority is missing makes it worse.
	live = []check{{"serializable_read", (*Gateway).cannotRead}, {"roles", (*Gateway).silentRoles}}
	// ready is whether clients are well served here.
	ready = []check{
		{"serving", (*Gateway).ends}, {"data_corruption", (*Gateway).isCorrupt}, {"serializable_read", (*Gateway).cannotRead},
		{"linearizable_read", (*Gateway).cannotReadFresh}, {"non_learner", (*Gateway).isLearner},
	}
)

// checks serves all checks at a path, and each one below it.
func (g *Gateway) checks(mux *http.ServeMux, path string, all []check) {
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		but := r.URL.Query()["exclude"]
		g.answerChecks(w, r, slices.DeleteFunc(slices.Clone(all), func(c check) bool { return slices.Contains(but, c.name) }))
	})
	for _, c := range all {
		mux.HandleFunc("GET "+path+"/"+c.name, func(w http.ResponseWriter, r *http.Request) { g.answerChecks(w, r, []check{c}) })
	}
}

// answerChecks answers with "ok", or with a line for each check where one fails or
// ?verbose asks for them.
func (g *Gateway) answerChecks(w http.ResponseWriter, r *http.Request, all []check) {
	leave, err := g.lookAt()
	if err != nil {
		http.Error(w, status.Convert(err).Message(), http.StatusServiceUnavailable)
		return
	}
	defer leave()
	var lines strings.Builder
	code, last := http.StatusOK, "ok\n"
	for _, c := range all {
		if err := c.fails(g, r.Context()); err != nil {
			fmt.Fprintf(&lines, "[-]%s failed: %s\n", c.name, status.Convert(err).Message())
			code, last = http.StatusServiceUnavailable, ""
			continue
		}
		fmt.Fprintf(&lines, "[+]%s ok\n", c.name)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	text := lines.String()
	if code == http.StatusOK && !r.URL.Query().Has("verbose") {
		text = ""
	}
	if _, err := w.Write([]byte(text + last)); err != nil {
		g.log.Debug("could not answer over http", "error", err)
	}
}

// lookAt finds a place for a look at the node.
func (g *Gateway) lookAt() (leave func(), err error) {
	if !g.looks.enter() {
		return nil, rpctypes.ErrGRPCRequestTooManyRequests
	}
	return g.looks.leave, nil
}

// ends tells that the node is ending, or is leaving the cluster.
func (g *Gateway) ends(context.Context) error {
	select {
	case <-g.open.Done():
	case <-g.options.Node.Leaving():
	case <-g.options.Node.Done():
	default:
		return nil
	}
	return rpctypes.ErrGRPCStopped
}

// isCorrupt tells that a member's data is damaged.
func (g *Gateway) isCorrupt(context.Context) error {
	for _, a := range g.options.Store.Alarms() {
		if a.Alarm == pb.AlarmType_CORRUPT {
			return fmt.Errorf("alarm CORRUPT of member %d", a.MemberID)
		}
	}
	return nil
}

// cannotRead tells why what is stored here cannot be read.
func (g *Gateway) cannotRead(ctx context.Context) error {
	_, err := g.options.Store.Range(ctx, &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, KeysOnly: true, Limit: 1})
	return err
}

// cannotReadFresh tells why a fresh read would not be answered.
func (g *Gateway) cannotReadFresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, healthPatience, errTimeout)
	defer cancel()
	defer context.AfterFunc(g.life, cancel)()
	err := g.options.Node.Barrier(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(context.Cause(ctx), errTimeout) && !g.hasLeader():
		return rpctypes.ErrGRPCNoLeader
	}
	return g.translate(ctx, err)
}

// isLearner tells that this member only executes what others decide.
func (g *Gateway) isLearner(context.Context) error {
	me, member := g.options.Node.Configuration().Named(g.options.Member)
	switch {
	case !member:
		return errors.New("this node is not a member yet")
	case me.IsLearner():
		return errors.New("this member is a learner")
	}
	return nil
}

// silentRoles tells which roles have answered before and do not any more.
func (g *Gateway) silentRoles(context.Context) error {
	select {
	case <-g.options.Node.Done():
		return rpctypes.ErrGRPCStopped
	default:
	}
	now := time.Now()
	for role, last := range *g.answered.Load() {
		if silent := now.Sub(last); silent > rolePatience {
			return fmt.Errorf("the %s has not answered for %s", role, silent.Round(time.Second))
		}
	}
	return nil
}

// noteAnswers takes note of which roles answered. Those that the member does not have any
// more are forgotten, and one that never answered is at its beginning.
func (g *Gateway) noteAnswers(roles, silent []string, now time.Time) {
	before, answered := *g.answered.Load(), make(map[string]time.Time, len(roles))
	for _, role := range roles {
		last, known := before[role]
		switch {
		case !slices.Contains(silent, role):
			answered[role] = now
		case known:
			answered[role] = last
		}
	}
	g.answered.Store(&answered)
}

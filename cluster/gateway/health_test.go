package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
)

// Liveness needs no leader and no majority, readiness says what it lacks.
func TestLivezAndReadyz(t *testing.T) {
	f := start(t)
	is := func(path string, code int, body ...string) {
		t.Helper()
		gotCode, got := f.web(path)
		if want := strings.Join(body, "\n") + "\n"; gotCode != code || got != want {
			t.Errorf("%s: %d %q, want %d %q", path, gotCode, got, code, want)
		}
	}
	is("/livez", http.StatusOK, "ok")
	is("/livez?verbose", http.StatusOK, "[+]serializable_read ok", "[+]roles ok", "ok")
	is("/readyz", http.StatusOK, "ok")
	is("/readyz?verbose&exclude=linearizable_read&exclude=unheard_of", http.StatusOK,
		"[+]serving ok", "[+]data_corruption ok", "[+]serializable_read ok", "[+]non_learner ok", "ok")
	is("/readyz/linearizable_read?verbose", http.StatusOK, "[+]linearizable_read ok", "ok")

	release := f.node.hold()
	f.node.change(func() { f.node.leader = false })
	f.gateway.look()
	is("/livez", http.StatusOK, "ok")
	is("/readyz", http.StatusServiceUnavailable, "[+]serving ok", "[+]data_corruption ok", "[+]serializable_read ok",
		"[-]linearizable_read failed: etcdserver: no leader", "[+]non_learner ok")
	is("/readyz?exclude=linearizable_read", http.StatusOK, "ok")
	release()
	f.node.change(func() {
		f.node.leader = true
		f.node.members.Members[0] = actors.Member{ID: 1, Name: "alpha", Replica: true}
	})
	is("/readyz/non_learner", http.StatusServiceUnavailable, "[-]non_learner failed: this member is a learner")
	is("/readyz/unheard_of", http.StatusNotFound, "404 page not found")

	close(f.node.leaving)
	is("/readyz/serving", http.StatusServiceUnavailable, "[-]serving failed: etcdserver: server stopped")
	is("/livez", http.StatusOK, "ok")
	close(f.node.done)
	is("/livez/roles", http.StatusServiceUnavailable, "[-]roles failed: etcdserver: server stopped")
}

// A role that has stopped to answer is not live; one that never answered is beginning.
func TestARoleThatDoesNotAnswerIsNotLive(t *testing.T) {
	f := start(t)
	now := time.Now()
	roles := []string{"replica", "acceptor"}
	// What keepLooking sees of a node without roles would come in between.
	note := func(silent []string, at time.Time) string {
		g := &Gateway{options: f.gateway.options}
		g.answered.Store(&map[string]time.Time{"replica": now.Add(-rolePatience - time.Second), "leader": now.Add(-time.Hour)})
		g.noteAnswers(roles, silent, at)
		if err := g.silentRoles(t.Context()); err != nil {
			return err.Error()
		}
		return ""
	}
	if got := note(nil, now); got != "" {
		t.Errorf("all answer: %s", got)
	}
	if got := note([]string{"acceptor"}, now); got != "" {
		t.Errorf("the acceptor begins: %s", got)
	}
	if got := note([]string{"replica"}, now); !strings.HasPrefix(got, "the replica has not answered for 3") {
		t.Errorf("the replica is silent: %q", got)
	}
}

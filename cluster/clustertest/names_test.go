package clustertest

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// judged is a test that is watched by another.
type judged struct {
	testing.TB
	said string
}

func (j *judged) Fatalf(format string, args ...any) {
	j.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// dies returns with what c ends its test when something is done to it, or "".
func dies(t *testing.T, c *Cluster, do func()) string {
	j := &judged{TB: t}
	c.t = j
	defer func() { c.t = t }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	<-done
	return j.said
}

// A name that is misspelt ends the test: without its fault it would pass.
func TestUnknownNamesAreFatal(t *testing.T) {
	c := &Cluster{t: t, nodes: make(map[string]*Node), cut: make(map[[2]string]bool)}
	for _, name := range Names[:3] {
		c.nodes[name] = &Node{Name: name, cluster: c}
	}
	for what, do := range map[string]func(){
		`no node "gama"`:        func() { c.Isolate("gama") },
		`no node "nobody"`:      func() { c.Cut("alpha", "nobody") },
		`no node "noone"`:       func() { c.Cut("noone", "alpha") },
		`no node "delta"`:       func() { c.Client("alpha", "delta") },
		`no node "eta"`:         func() { c.Node("eta") },
		`"theta" joins: want`:   func() { c.Join("theta") },
		`"beta" joins: want`:    func() { c.Join("beta") },
		`one of [alpha beta ga`: func() { c.Node("beta2") },
	} {
		if said := dies(t, c, do); !strings.Contains(said, what) {
			t.Errorf("the test ends with %q, want %q", said, what)
		}
	}
	if len(c.cut) > 0 {
		t.Errorf("links are cut: %v", c.cut)
	}
	if said := dies(t, c, func() { c.Cut("alpha", "beta"); c.Isolate("gamma") }); said != "" || len(c.cut) != 5 {
		t.Errorf("%d links are cut, want 5; the test ends with %q", len(c.cut), said)
	}
}

// What does not come to hold is named as it was written, with what was seen last.
func TestWhatDoesNotHoldIsNamed(t *testing.T) {
	c := &Cluster{t: t}
	said := dies(t, c, func() {
		c.EventuallyWithin(20*time.Millisecond, "pigs fly", func() error { return errors.New("they walk") })
	})
	if want := `clustertest: "pigs fly" does not hold after 20ms: they walk`; said != want {
		t.Errorf("the test ends with %s, want %s", said, want)
	}
}

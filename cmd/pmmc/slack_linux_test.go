package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestTimerSlack starts a node and looks at all its threads, the runtime's own among them.
func TestTimerSlack(t *testing.T) {
	if own := slack(); own != kernelSlack {
		t.Skipf("here the timer slack is %s: a node leaves it so", own)
	}
	s := newSample(t, 1, "")
	s.start("alpha")
	pid := s.nodes["alpha"].cmd.Process.Pid
	if environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err != nil || !strings.Contains(string(environment), slackTried+"=") {
		t.Errorf("the node did not begin anew: its environment is %q, %v", environment, err)
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil || len(threads) < 2 {
		t.Fatalf("threads of the node: %v, %v", threads, err)
	}
	read := 0
	for _, thread := range threads {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%s/timerslack_ns", thread.Name()))
		switch {
		case errors.Is(err, os.ErrNotExist): // the thread has ended
		case errors.Is(err, os.ErrPermission):
			t.Skipf("who is not root may not read it: %v", err)
		case err != nil:
			t.Error(err)
		default:
			read++
			if strings.TrimSpace(string(b)) != fmt.Sprint(timerSlack.Nanoseconds()) {
				t.Errorf("thread %s has a slack of %s ns, want %s", thread.Name(), b, timerSlack)
			}
		}
	}
	if read == 0 {
		t.Skip("this kernel does not tell a thread's timer slack")
	}
}

package main

import (
	"strings"
	"testing"
)

// TestSim: a seed prints the same lines each time, and only those that are wanted.
func TestSim(t *testing.T) {
	first, stderr, code := pmmc(t, "sim", "--seed", "3", "--role", "scout")
	if code != exitDone || stderr != "" || !strings.Contains(first, "p1a 1.") || !strings.Contains(first, "acknowledged") {
		t.Fatalf("exit %d, %q: %.500s", code, stderr, first)
	}
	if strings.Contains(first, "p2a") {
		t.Error("what commanders say is printed, too")
	}
	if again, _, _ := pmmc(t, "sim", "--seed", "3", "--role", "scout"); again != first {
		t.Error("the seed prints other lines the second time")
	}
}

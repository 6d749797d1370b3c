package main

import (
	"net"
	"slices"
	"strings"
	"testing"
)

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 3 << 19: "1.5 MiB", 1 << 50: "1024.0 TiB"} {
		if got := size(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
	}
}

// Who closes the connection may have just ended: nothing says that it speaks TLS.
func TestStatusOfWhoHangsUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close() // nobody minds
		}
	}()
	nodes := askAll(t.Context(), []string{l.Addr().String()}, statusTimeout, nil)
	if want := "closed the connection: it ended, or speaks TLS"; nodes[0].Error != want {
		t.Errorf("it says %q, want %q", nodes[0].Error, want)
	}
}

// What nodes say of themselves is said once, and what shows when they are compared.
func TestStatusWarns(t *testing.T) {
	node := func(name, leader, office, version string, warnings ...string) nodeStatus {
		return nodeStatus{Endpoint: name + ":1", Reachable: true, View: &View{Node: name, Leader: leader, Office: office, Version: version, Warnings: warnings}}
	}
	for _, tt := range []struct {
		nodes []nodeStatus
		want  []string
	}{
		{[]nodeStatus{node("alpha", "active", "alpha", "v1"), node("beta", "passive", "alpha", "v1")}, nil},
		{[]nodeStatus{node("alpha", "active", "alpha", "v1", "beta: NOSPACE"), node("beta", "passive", "alpha", "v1", "beta: NOSPACE", "beta lags 12,000 slots")},
			[]string{"beta: NOSPACE", "beta lags 12,000 slots"}},
		{[]nodeStatus{node("alpha", "active", "alpha", "v1"), node("beta", "passive", "alpha", "v2")}, []string{"versions differ: v1 (alpha), v2 (beta)"}},
		{[]nodeStatus{node("alpha", "active", "alpha", "v1"), node("beta", "passive", "gamma", "v1")},
			[]string{"nodes differ on who is in office: alpha (alpha), gamma (beta)"}},
		{[]nodeStatus{node("alpha", "active", "alpha", "v1"), node("beta", "active", "beta", "v1"), {Endpoint: "gamma:1", Error: "no answer in time"}},
			[]string{"gamma:1 cannot be reached: no answer in time", "alpha and beta take themselves to be in office: one of them is about to hear that it is not"}},
	} {
		if got := warnings(tt.nodes); !slices.Equal(got, tt.want) {
			t.Errorf("warnings are %q, want %q", got, tt.want)
		}
		var out strings.Builder
		if err := printStatus(&out, tt.nodes); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\nwarning: "); n != len(tt.want) {
			t.Errorf("%d warnings are printed, want %d:\n%s", n, len(tt.want), out.String())
		}
	}
}

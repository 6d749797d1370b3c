package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"
)

// alone is a cluster of one at an address that is not loopback; more goes before
// its member.
func alone(node, more string) string {
	return fmt.Sprintf(`
		cluster = "test"
		node "a" {
			%s
		}
		%s
		member "a" {
			id     = 1
			peer   = "node-a:7001"
			client = "10.0.0.1:2379"
		}
	`, node, more)
}

func TestListenElsewhere(t *testing.T) {
	c := load(t, alone("insecure = true", `
		listen {
			peer   = ":7001"
			client = "[::]:2379"
			http   = "off"
		}
	`))
	if want := (Listen{Peer: ":7001", Client: "[::]:2379"}); c.Listen != want {
		t.Errorf("listen = %+v, want %+v", c.Listen, want)
	}
	if m := c.Self(); m.Peer != "node-a:7001" || m.Client != "10.0.0.1:2379" {
		t.Errorf("others find it at %+v", m)
	}
}

// With TLS an address that is not loopback needs no leave, http's included.
func TestTLSElsewhere(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("all.pem", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := load(t, alone("", `
		listen {
			http = "10.0.0.1:2380"
		}
		tls {
			peer {
				cert = "all.pem"
				key  = "all.pem"
				ca   = "all.pem"
			}
			client {
				cert        = "all.pem"
				key         = "all.pem"
				client_auth = false
			}
		}
	`))
	if want := (ClientTLS{Cert: "all.pem", Key: "all.pem"}); *c.TLS.Client != want || c.Node.Insecure {
		t.Errorf("tls.client = %+v, want %+v", *c.TLS.Client, want)
	}
	if c.Listen.Peer != "node-a:7001" || c.Listen.Client != "10.0.0.1:2379" {
		t.Errorf("listen = %+v, want the member's own", c.Listen)
	}
}

// A node that joins says where it is reached, and where members are; the rest comes from
// the cluster.
func TestJoin(t *testing.T) {
	c := load(t, `
		cluster = "test"
		join    = [env("PMMC_TEST_NOT_SET", "10.0.0.1:7001"), "beta:7001"]
		node "delta" {
			insecure = true
		}
		member "delta" {
			peer   = "10.0.0.4:7001"
			client = "10.0.0.4:2379"
		}
	`)
	if want := []string{"10.0.0.1:7001", "beta:7001"}; !slices.Equal(c.Join, want) {
		t.Errorf("join = %q, want %q", c.Join, want)
	}
	want := Member{Name: "delta", Peer: "10.0.0.4:7001", Client: "10.0.0.4:2379"}
	if m := c.Self(); !reflect.DeepEqual(m, want) || len(c.Members) != 1 {
		t.Errorf("members = %+v, want %+v alone", c.Members, want)
	}
	if c.Listen.Peer != want.Peer || c.Listen.Client != want.Client {
		t.Errorf("listen = %+v", c.Listen)
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1ms":    time.Millisecond,
		"1.5s":   1500 * time.Millisecond,
		"1m30s":  90 * time.Second,
		"2500us": 2500 * time.Microsecond,
		"24h":    24 * time.Hour,
	} {
		c := load(t, alone("insecure = true", fmt.Sprintf("protocol {\nflush = %q\n}", text)))
		if c.Protocol.Flush != want {
			t.Errorf("%q is %s, want %s", text, c.Protocol.Flush, want)
		}
	}
}

// What a file does not say is as it was by default, also beside what it does say.
func TestTheRestIsDefault(t *testing.T) {
	c := load(t, alone("insecure = true", "protocol {\nwindow = 8\npipeline = 8\ntimeout_factor = 1.5\nretain_bytes = \"0B\"\n}"))
	want := Default().Protocol
	want.Window, want.Pipeline, want.TimeoutFactor, want.RetainBytes = 8, 8, 1.5, 0
	if c.Protocol != want {
		t.Errorf("protocol = %+v, want %+v", c.Protocol, want)
	}
}

// History is kept for a time, or by the number of its revisions.
func TestAutoCompaction(t *testing.T) {
	for text, want := range map[string]AutoCompaction{
		"":             {},
		`mode = "off"`: {},
		"mode = \"periodic\"\nretention = \"48h\"": {Period: 48 * time.Hour},
		"mode = \"revision\"\nretention = 1000":    {Revisions: 1000},
	} {
		if text != "" {
			text = "auto_compaction {\n" + text + "\n}"
		}
		if got := load(t, alone("insecure = true", text)).AutoCompaction; got != want {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
	}
}

// A quota of nothing is the default, as in etcd.
func TestQuota(t *testing.T) {
	for text, want := range map[string]int64{"0B": 2 << 30, "1MiB": 1 << 20, "8GiB": 8 << 30} {
		if got := load(t, alone("insecure = true", fmt.Sprintf("limits {\nquota = %q\n}", text))).Limits.Quota; got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}

package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBench measures a cluster in each of the ways that there are, for a moment.
func TestBench(t *testing.T) {
	s := newSample(t, 1, "")
	s.start("alpha")
	short := []string{s.endpoints(), "--warm", "0s", "--for", "200ms", "--clients", "4", "--conns", "2", "--json"}
	for _, line := range []string{
		"put", "get", "get --serializable", "mix --writes 20 --distribution zipf", "txn --distribution sequential",
		"put --rate 200 --key-size 40 --value-size 1000 --keys 5",
	} {
		out, err, code := pmmc(t, append(append([]string{"bench"}, strings.Fields(line)...), short...)...)
		var r benchLine
		if code != exitDone || json.Unmarshal([]byte(out), &r) != nil {
			t.Errorf("%s: code %d: %s%s", line, code, out, err)
			continue
		}
		if r.Rate <= 0 || r.Failed > 0 || r.P50 <= 0 || r.P50 > r.P99 || r.P99 > r.Max {
			t.Errorf("%s: %s", line, out)
		}
	}
	if n := s.do("get", "", "--prefix"); !strings.Contains(n, strings.Repeat("k", 24)+"000000000000000") {
		t.Errorf("no long keys in %q", n)
	}
	s.stop()
}

// TestBenchHelp shows that who reads how to load a cluster is told which one that is, and how to
// be rid of the keys.
func TestBenchHelp(t *testing.T) {
	out, _, _ := pmmc(t, "bench", "--help")
	_, remove, _ := strings.Cut(out, "pmmc del ")
	prefix, _, _ := strings.Cut(remove, " --prefix\n")
	if !strings.Contains(out, "without --endpoints it loads the sample cluster") || prefix == "" {
		t.Fatalf("not in the help:\n%s", out)
	}
	f := benchFlags{keys: 10_000, keySize: keyDigits}
	draw := f.drawKeys(0)
	for range 1000 {
		if key := draw(); !strings.HasPrefix(key, prefix) {
			t.Fatalf("%s is left by: pmmc del %s --prefix", key, prefix)
		}
	}
}

// TestBenchPlots draws latency against load.
func TestBenchPlots(t *testing.T) {
	s := newSample(t, 1, "")
	s.start("alpha")
	path := filepath.Join(t.TempDir(), "latency.svg")
	out, err, code := pmmc(t, "bench", s.endpoints(), "--warm", "0s", "--for", "100ms", "--clients", "2", "--plot", path)
	if code != exitDone || strings.Count(out, "p50") != plotSteps {
		t.Fatalf("code %d: %s%s", code, out, err)
	}
	b, failed := os.ReadFile(path)
	if failed != nil {
		t.Fatal(failed)
	}
	shapes := make(map[string]int)
	for d := xml.NewDecoder(strings.NewReader(string(b))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not XML: %v\n%s", err, b)
		}
		if e, ok := token.(xml.StartElement); ok {
			shapes[e.Name.Local]++
		}
	}
	if shapes["polyline"] != 3 || strings.Contains(string(b), "NaN") || strings.Contains(string(b), "Inf") {
		t.Errorf("want three curves:\n%s", b)
	}
	s.stop()
}

// TestBenchErrors refuses what cannot be measured, and who does not answer.
func TestBenchErrors(t *testing.T) {
	for line, want := range map[string]string{
		"bench --clients 0":          "want 1 at the least",
		"bench --rate -1":            "want 0 or more",
		"bench --key-size 3":         "want 16 at the least",
		"bench --distribution gauss": "want one of uniform, sequential, zipf",
		"bench mix --writes 101":     "want 0 to 100",
		"bench --for 0s":             "want more than nothing",
		"bench --keys 0":             "want 1 at the least",
		"bench delete":               `invalid argument "delete"`,
	} {
		if _, err, code := pmmc(t, strings.Fields(line)...); code != exitUsage || !strings.Contains(err, want) {
			t.Errorf("%s: code %d, want %q: %s", line, code, want, err)
		}
	}
	if _, err, code := pmmc(t, "bench", "--endpoints", "127.0.0.1:1", "--timeout", "300ms"); code != exitFailed {
		t.Errorf("nobody there: code %d: %s", code, err)
	}
}

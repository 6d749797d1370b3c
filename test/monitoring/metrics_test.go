// Package monitoring holds what is said of metrics to what a live node shows: their
// table, the dashboard and the alerts.
package monitoring

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/certs"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
	"github.com/pmmc-go/pmmc/cluster/transport/testcert"
)

var rewrite = flag.Bool("rewrite", false, "write the table of docs/metrics.md")

const docs = "../../docs/"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scrape returns what a node of a live cluster shows, as text, when it has seen a write, a
// read and each of its peers.
func scrape(t *testing.T) []byte {
	t.Helper()
	authority := testcert.New(t)
	c := clustertest.NewWith(t, 3, clustertest.Options{
		Machine: clustertest.KV(), Serve: true, Disk: true,
		Change: func(o *cluster.Options) { o.TLS = certs.Fixed(authority.TLS(o.Member)) },
	})
	client := c.Client("alpha")
	if _, err := client.Put(t.Context(), "a", "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var text []byte
	c.Eventually("the numbers are those of after the write", func() error {
		resp, err := web.Get("http://" + c.Node("alpha").HTTP() + "/metrics")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if text, err = io.ReadAll(resp.Body); err != nil {
			return err
		}
		for _, want := range []string{`pmmc_peer_connected{peer="beta"} 1`, `pmmc_peer_connected{peer="gamma"} 1`, "pmmc_revision 2", `pmmc_certificate_expires_timestamp_seconds{for="peer"}`} {
			if !bytes.Contains(text, []byte("\n"+want)) {
				return fmt.Errorf("no %s", want)
			}
		}
		return nil
	})
	return text
}

func families(t *testing.T, text []byte) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// ofProcess tells which metrics are not pmmc's own: the table has one line for them all.
func ofProcess(name string) bool {
	return strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_")
}

const (
	tableBegin = "<!-- made by make generate: begin -->\n"
	tableEnd   = "<!-- made by make generate: end -->\n"
)

// TestMetricsDoc holds the table, the dashboard and the alerts to what a live node shows,
// and that to Prometheus' own conventions.
func TestMetricsDoc(t *testing.T) {
	text := scrape(t)
	t.Run("table", func(t *testing.T) { compareTable(t, text) })
	t.Run("dashboard and alerts", func(t *testing.T) { askForWhatThereIs(t, text) })
	t.Run("conventions", func(t *testing.T) { promtool(t, text, "check", "metrics") })
}

// compareTable finds that the table has each metric that a node shows, and no other.
// -rewrite writes it.
func compareTable(t *testing.T, text []byte) {
	all := families(t, text)
	var table strings.Builder
	table.WriteString("\n| metric | type | labels | |\n|---|---|---|---|\n")
	rows := 0
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if ofProcess(name) {
			continue
		}
		labels := make(map[string]bool)
		for _, m := range all[name].Metric {
			for _, l := range m.Label {
				labels["`"+l.GetName()+"`"] = true
			}
		}
		kind := strings.ToLower(all[name].GetType().String())
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", name, kind, strings.Join(slices.Sorted(maps.Keys(labels)), ", "), all[name].GetHelp())
		rows++
	}
	table.WriteString("\n")
	if rows < 80 {
		t.Fatalf("a node shows %d metrics", rows)
	}
	if len(text) > 512<<10 {
		t.Errorf("a scrape has %d bytes: it is made again and again", len(text))
	}
	doc, err := os.ReadFile(docs + "metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(doc), tableBegin)
	got, after, ends := strings.Cut(rest, tableEnd)
	switch {
	case !begins || !ends:
		t.Fatal("docs/metrics.md has no place for the table")
	case got == table.String():
	case *rewrite:
		if err := os.WriteFile(docs+"metrics.md", []byte(before+tableBegin+table.String()+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("docs/metrics.md is not what a node shows; `make generate` writes it\ngot\n%s\nwant\n%s", got, table.String())
	}
}

// promtool runs Debian's promtool, if it is there.
func promtool(t *testing.T, in []byte, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("there is no promtool: make test installs one")
	}
	c := exec.Command(path, args...)
	c.Stdin = bytes.NewReader(in)
	if out, err := c.CombinedOutput(); err != nil || bytes.Contains(out, []byte("FAILED")) {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// What the dashboard asks is PromQL.
func TestPromtoolTakesTheDashboard(t *testing.T) {
	text, err := os.ReadFile(docs + "grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	grafana := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*")
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	n := 0
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			fmt.Fprintf(&rules, "  - {record: \"panel:%d\", expr: %q}\n", n, grafana.Replace(target.Expr))
			n++
		}
	}
	if n < 30 {
		t.Errorf("the dashboard asks %d questions only", n)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, nil, "check", "rules", file)
}

// Alert rules are well-formed, and fire when they should and not otherwise.
func TestPromtoolTakesTheAlerts(t *testing.T) {
	promtool(t, nil, "check", "rules", docs+"alerts.yml")
	promtool(t, nil, "test", "rules", "testdata/alerts_test.yml")
}

// expression finds metrics in a text of PromQL.
var expression = regexp.MustCompile(`\b(pmmc|etcd|grpc|go|process)_[a-zA-Z0-9_]+`)

// askForWhatThereIs finds that each metric in the dashboard and the alerts is one that a
// node shows.
func askForWhatThereIs(t *testing.T, shown []byte) {
	all := families(t, shown)
	for file, least := range map[string]int{"grafana.json": 20, "alerts.yml": 10} {
		text, err := os.ReadFile(docs + file)
		if err != nil {
			t.Fatal(err)
		}
		asked := make(map[string]bool)
		for _, name := range expression.FindAllString(string(text), -1) {
			asked[name] = true
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				if f := all[strings.TrimSuffix(name, suffix)]; f != nil && f.GetType() == dto.MetricType_HISTOGRAM {
					name = strings.TrimSuffix(name, suffix)
				}
			}
			if all[name] == nil {
				t.Errorf("docs/%s asks for %s, which no node shows", file, name)
			}
		}
		if len(asked) < least {
			t.Errorf("docs/%s asks for %d metrics only", file, len(asked))
		}
	}
}

var (
	alertName = regexp.MustCompile(`(?m)^\s*- alert: (\S+)$`)
	runbook   = regexp.MustCompile(`(?m)^\s*runbook: docs/operations\.md#(\S+)$`)
	heading   = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// Each alert names a section of docs/operations.md that there is and that names it.
func TestEachAlertHasASectionThatSaysWhatToDo(t *testing.T) {
	rules, err := os.ReadFile(docs + "alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(docs + "operations.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string]string)
	starts := heading.FindAllStringSubmatchIndex(string(text), -1)
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		sections[anchor(string(text[at[2]:at[3]]))] = string(text[at[1]:end])
	}
	names, books := alertName.FindAllStringSubmatch(string(rules), -1), runbook.FindAllStringSubmatch(string(rules), -1)
	if len(names) != len(books) || len(names) < 10 {
		t.Fatalf("%d alerts have %d runbooks", len(names), len(books))
	}
	for i, name := range names {
		if section, ok := sections[books[i][1]]; !ok || !strings.Contains(section, name[1]) {
			t.Errorf("%s: docs/operations.md#%s is no section that names it", name[1], books[i][1])
		}
	}
}

// anchor is how GitHub names a heading in an address.
func anchor(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ' || r == '-':
			b.WriteByte('-')
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		}
	}
	return b.String()
}

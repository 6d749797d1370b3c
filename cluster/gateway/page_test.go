package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster/certs"
	"github.com/pmmc-go/pmmc/cluster/overview"
	"github.com/pmmc-go/pmmc/cluster/transport/testcert"
	"github.com/pmmc-go/pmmc/messages/admin"
)

// A node that hangs is shown as such within 2 s, and one that is killed before that.
const _ = uint(2*time.Second - pagePause - askPatience - lookPause)

// viewer watches a page.
type viewer struct {
	t    testing.TB
	resp *http.Response
	in   *bufio.Reader
}

func (f *fixture) watch() *viewer {
	f.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, "http://"+f.gateway.HTTPAddr()+"/page/events", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	return &viewer{f.t, resp, bufio.NewReader(resp.Body)}
}

func (v *viewer) close() { _ = v.resp.Body.Close() } // it was read or is not wanted

// picture reads the next one.
func (v *viewer) picture() (c overview.Cluster) {
	v.t.Helper()
	for {
		line, err := v.in.ReadString('\n')
		if err != nil {
			v.t.Fatalf("the stream ended: %v", err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if err := json.Unmarshal([]byte(data), &c); err != nil {
				v.t.Fatal(err)
			}
			return c
		}
	}
}

// The page shows this node as it sees itself and the others as they answer, and what
// answers do not come.
func TestPageShowsAllNodes(t *testing.T) {
	f := start(t)
	f.node.change(func() {
		f.node.asked = func(context.Context, string) ([]byte, error) { return nil, errors.New("no way") }
	})
	f.put("not-for-the-page", "secret")
	v := f.watch()
	defer v.close()
	c := v.picture()
	if c.Name != "test" || c.From != "alpha" || c.Leader != "beta" || len(c.Nodes) != 2 || !c.Nodes[0].Reachable {
		t.Errorf("the picture is %+v", c)
	}
	if n := c.Nodes[1]; n.Name != "beta" || n.Reachable || n.Error != "no connection" {
		t.Errorf("beta, which does not answer, is shown as %+v", n)
	}
	answers := map[string][]byte{"no clients yet": {}, "cannot be read": []byte("?")}
	for why, answer := range answers {
		f.node.change(func() { f.node.asked = func(context.Context, string) ([]byte, error) { return answer, nil } })
		for c = v.picture(); !strings.Contains(c.Nodes[1].Error, why); c = v.picture() {
		}
	}
	f.node.change(func() {
		f.node.asked = func(ctx context.Context, _ string) ([]byte, error) { <-ctx.Done(); return nil, context.Cause(ctx) }
	})
	for c = v.picture(); c.Nodes[1].Error != "no answer in time"; c = v.picture() {
	}
	view, err := proto.Marshal(&admin.StatusResponse{Member: "beta", Id: 2, SlotOut: 99})
	if err != nil {
		t.Fatal(err)
	}
	f.node.change(func() { f.node.asked = func(context.Context, string) ([]byte, error) { return view, nil } })
	for c = v.picture(); !c.Nodes[1].Reachable; c = v.picture() {
	}
	if c.Nodes[1].SlotOut != 99 {
		t.Errorf("beta is shown as %+v", c.Nodes[1])
	}
}

// A node shows itself to the pages of others.
func TestPresent(t *testing.T) {
	f := start(t)
	f.put("a", "1")
	f.gateway.look()
	r := &admin.StatusResponse{}
	if err := proto.Unmarshal((*f.node.show.Load())(), r); err != nil {
		t.Fatal(err)
	}
	if r.Member != "alpha" || r.SlotOut != 2 || r.Http != f.gateway.HTTPAddr() || len(r.Latency.GetCounts()) == 0 {
		t.Errorf("alpha shows itself as %v", r)
	}
}

// Nobody is asked while nobody watches.
func TestPageAsksOnlyForViewers(t *testing.T) {
	f := start(t)
	asked := 0
	f.node.change(func() {
		f.node.asked = func(context.Context, string) ([]byte, error) {
			f.node.change(func() { asked++ })
			return nil, errors.New("no way")
		}
	})
	// quiet waits while the gateway looks at its own node for more than a pause of the page.
	quiet := func(but int) {
		t.Helper()
		var before, looks int
		f.node.change(func() { before, looks = asked, f.node.looks })
		eventually(t, "some looks", func() (done bool) {
			f.node.change(func() { done = f.node.looks > looks+int(2*pagePause/lookPause) })
			return done
		})
		f.node.change(func() {
			if asked > before+but {
				t.Errorf("another node was asked %d times, for nobody", asked-before)
			}
		})
	}
	quiet(0)
	v := f.watch()
	v.picture()
	v.close()
	eventually(t, "no viewer", func() bool { return !f.gateway.page.isWatched() })
	f.node.change(func() {
		if asked == 0 {
			t.Error("nobody was asked for a viewer")
		}
	})
	quiet(1) // in the look that is under way
}

// Viewers beyond a number are refused, and one that takes nothing costs one picture.
func TestPageViewersAreBounded(t *testing.T) {
	f := start(t)
	p := f.gateway.page
	var slow []chan []byte
	for range maxViewers {
		slow = append(slow, p.join())
	}
	v := f.watch()
	v.close()
	if v.resp.StatusCode != http.StatusServiceUnavailable || v.resp.Header.Get("Retry-After") == "" {
		t.Errorf("one viewer too many: %d", v.resp.StatusCode)
	}
	p.leave(slow[0])
	v = f.watch()
	defer v.close()
	v.picture()
	v.picture()
	if n := len(slow[1]); n != 1 {
		t.Errorf("%d pictures wait for a viewer that takes none", n)
	}
}

// The page's parts are there, and nothing of them may come from elsewhere or be used there.
func TestPageParts(t *testing.T) {
	f := start(t)
	for _, tt := range []struct {
		path, kind string
		code       int
	}{
		{"/", "text/html", http.StatusOK}, {"/page/page.js", "text/javascript", http.StatusOK}, {"/page/draw.js", "text/javascript", http.StatusOK},
		{"/page/theme.js", "text/javascript", http.StatusOK}, {"/page/page.css", "text/css", http.StatusOK}, {"/page/icon.svg", "image/svg+xml", http.StatusOK},
		{"/page/", "text/plain", http.StatusNotFound}, {"/page/none.js", "text/plain", http.StatusNotFound}, {"/none", "text/plain", http.StatusNotFound},
	} {
		resp := f.get(tt.path, nil)
		if resp.StatusCode != tt.code || !strings.HasPrefix(resp.Header.Get("Content-Type"), tt.kind) {
			t.Errorf("%s: %d %s", tt.path, resp.StatusCode, resp.Header.Get("Content-Type"))
		}
		if policy := resp.Header.Get("Content-Security-Policy"); tt.code == http.StatusOK && (!strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'")) {
			t.Errorf("%s: the policy is %q", tt.path, policy)
		}
	}
	if _, body := f.web("/"); strings.Contains(body, "<style") || strings.Contains(body, "style=") || strings.Contains(body, "<script>") || strings.Contains(body, "//") && strings.Contains(body, "http") {
		t.Error("the page has something inline, or from elsewhere")
	}
	for _, tt := range []struct {
		path, site, mode string
		code             int
	}{
		{"/page/events", "cross-site", "cors", http.StatusForbidden}, {"/page/events", "same-site", "no-cors", http.StatusForbidden},
		{"/page/page.js", "cross-site", "no-cors", http.StatusForbidden}, {"/page/page.js", "same-origin", "no-cors", http.StatusOK},
		{"/", "cross-site", "navigate", http.StatusOK}, {"/", "none", "navigate", http.StatusOK},
	} {
		if resp := f.get(tt.path, http.Header{"Sec-Fetch-Site": {tt.site}, "Sec-Fetch-Mode": {tt.mode}}); resp.StatusCode != tt.code {
			t.Errorf("%s from %s, %s: %d, want %d", tt.path, tt.site, tt.mode, resp.StatusCode, tt.code)
		}
	}
}

// get asks over HTTP; the answer's body is not wanted.
func (f *fixture) get(path string, header http.Header) *http.Response {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, "http://"+f.gateway.HTTPAddr()+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header = header
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

// With TLS, the page is for those who show the certificate that they need for gRPC.
func TestPageTLS(t *testing.T) {
	authority := testcert.New(t)
	server, known := authority.TLS("alpha"), authority.TLS("client")
	server.ClientAuth = tls.RequireAndVerifyClientCert
	stranger := &tls.Config{RootCAs: known.RootCAs, MinVersion: tls.VersionTLS13}
	f := start(t, func(o *Options) { o.TLS = certs.Fixed(server) })
	for _, tt := range []struct {
		config *tls.Config
		want   int
	}{{known, http.StatusOK}, {stranger, http.StatusUnauthorized}} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: tt.config, DisableKeepAlives: true}}
		for _, path := range []string{"/", "/page/page.js", "/page/events"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+f.gateway.HTTPAddr()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close() // the code is what counts
			if resp.StatusCode != tt.want {
				t.Errorf("%s: %d, want %d", path, resp.StatusCode, tt.want)
			}
		}
	}
}

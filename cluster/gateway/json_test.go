package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/pmmc-go/pmmc/cluster/certs"
	"github.com/pmmc-go/pmmc/cluster/transport/testcert"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// post asks the JSON gateway, and returns the answer as it is.
func (f *fixture) post(path, body string, headers ...string) (code int, answer string) {
	f.t.Helper()
	return post(f.t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "http://"+f.gateway.HTTPAddr()+path, body, headers...)
}

func post(t testing.TB, client *http.Client, url, body string, headers ...string) (code int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// Keys are written and read as JSON, with etcd's names, numbers in quotes and bytes in
// base64.
func TestJSONKeys(t *testing.T) {
	f := start(t)
	txn := fmt.Sprintf(`{"compare": [{"target": "VALUE", "key": %[1]q, "value": %[2]q}],
		"success": [{"request_put": {"key": %[1]q, "value": %[3]q}}], "unknown_field": 1}`, b64("a"), b64("1"), b64("2"))
	for _, tt := range []struct{ path, body, want string }{
		{"/v3/kv/put", fmt.Sprintf(`{"key": %q, "value": %q}`, b64("a"), b64("1")), `"revision":"2"`},
		{"/v3/kv/range", fmt.Sprintf(`{"key": %q}`, b64("a")), `"create_revision":"2","mod_revision":"2","version":"1","value":"MQ=="`},
		{"/v3/kv/txn", txn, `"succeeded":true`},
		{"/v3/kv/deleterange", fmt.Sprintf(`{"key": %q, "prev_kv": true}`, b64("a")), `"value":"Mg=="`},
		{"/v3/kv/compaction", `{"revision": "3"}`, `"revision":"4"`},
		{"/v3/maintenance/status", `{}`, `"dbSize"`},
		{"/v3/cluster/member/list", `{}`, `"name":"alpha"`},
	} {
		code, got := f.post(tt.path, tt.body)
		if compact := new(bytes.Buffer); json.Compact(compact, []byte(got)) == nil {
			got = compact.String()
		}
		if code != http.StatusOK || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %d %s, want %s", tt.path, code, got, tt.want)
		}
	}
}

// Errors are JSON with gRPC's code and etcd's text.
func TestJSONErrors(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.RequestBytes = 1 << 10 })
	for _, tt := range []struct {
		path, body string
		status     int
		code       codes.Code
		message    string
	}{
		{"/v3/kv/put", `{}`, http.StatusBadRequest, codes.InvalidArgument, "etcdserver: key is not provided"},
		{"/v3/kv/put", `{"key": 1`, http.StatusBadRequest, codes.InvalidArgument, ""},
		{"/v3/kv/put", `{"key": "` + strings.Repeat("A", 1<<20) + `"}`, http.StatusBadRequest, codes.InvalidArgument, "etcdserver: request is too large"},
		{"/v3/kv/range", `{"key": "YQ==", "revision": 99}`, http.StatusBadRequest, codes.OutOfRange, "etcdserver: mvcc: required revision is a future revision"},
		{"/v3/auth/enable", `{}`, http.StatusNotImplemented, codes.Unimplemented, "pmmc: users and roles"},
		{"/v3/none", `{}`, http.StatusNotFound, codes.NotFound, "Not Found"},
	} {
		status, body := f.post(tt.path, tt.body)
		var got struct {
			Code    codes.Code
			Message string
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != tt.status || got.Code != tt.code || !strings.HasPrefix(got.Message, tt.message) {
			t.Errorf("%s: %d %s (%v), want %d, %d, %q", tt.path, status, body, err, tt.status, tt.code, tt.message)
		}
	}
}

// A stream is a JSON object for each message, of which the first comes while the request
// is still open.
func TestJSONStream(t *testing.T) {
	f := start(t)
	lease, err := f.Grant(t.Context(), 60)
	if err != nil {
		t.Fatal(err)
	}
	body, say := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+f.gateway.HTTPAddr()+"/v3/lease/keepalive", body)
	if err != nil {
		t.Fatal(err)
	}
	go fmt.Fprintf(say, `{"ID": "%d"}`+"\n", lease.ID)   // ends when it is read
	client := &http.Client{Transport: &http.Transport{}} // one that goes on is answered after all was read, by default
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answers := json.NewDecoder(resp.Body)
	var got struct{ Result struct{ TTL string } }
	if err := answers.Decode(&got); err != nil || got.Result.TTL != "60" {
		t.Fatalf("first answer = %+v, %v", got, err)
	}
	fmt.Fprintf(say, `{"ID": "%d"}`+"\n", lease.ID)
	if err := answers.Decode(&got); err != nil || got.Result.TTL != "60" {
		t.Fatalf("second answer = %+v, %v", got, err)
	}
	if err := say.Close(); err != nil {
		t.Fatal(err)
	}
	if err := answers.Decode(&got); err != io.EOF {
		t.Errorf("the stream ended with %v", err)
	}
}

// A watch over JSON gets what the Watch service answers, be it an error.
func TestJSONWatch(t *testing.T) {
	f := start(t)
	ctx, cancel := context.WithCancel(t.Context()) // the watch would go on
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+f.gateway.HTTPAddr()+"/v3/watch",
		strings.NewReader(`{"create_request": {"key": "YQ=="}}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		Result *struct{ Created bool }
		Error  *struct{ Code codes.Code }
		Code   codes.Code
	}
	err = json.NewDecoder(resp.Body).Decode(&got)
	created := got.Result != nil && got.Result.Created
	refused := got.Code == codes.Unimplemented || got.Error != nil && got.Error.Code == codes.Unimplemented
	if err != nil || !created && !refused {
		t.Errorf("first answer = %+v, %v", got, err)
	}
}

// JSON requests have places among all others, and are refused beyond them.
func TestJSONIsAdmitted(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.InFlight = 1 })
	failed, release := f.heldPut()
	defer release()
	if code, body := f.post("/v3/kv/put", `{"key": "YQ=="}`); code != http.StatusTooManyRequests || !strings.Contains(body, "too many requests") {
		t.Errorf("put over JSON: %d %s", code, body)
	}
	release()
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

// A body that does not come takes no place for long, and a page of another site is not
// let in, whose requests a browser would send.
func TestJSONStrangers(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.InFlight, o.Limits.Timeout = 1, 50*time.Millisecond })
	body, say := io.Pipe()
	defer say.Close()
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Post("http://"+f.gateway.HTTPAddr()+"/v3/kv/put", "application/json", body)
	if err == nil {
		_ = resp.Body.Close() // the code is what counts
	}
	if err == nil && resp.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("a body that did not come: %d", resp.StatusCode)
	}
	if code, answer := f.post("/v3/kv/put", `{"key": "YQ=="}`); code != http.StatusOK {
		t.Errorf("a put after that: %d %s", code, answer)
	}
	if code, answer := f.post("/v3/kv/put", `{"key": "YQ=="}`, "Origin", "https://elsewhere.example"); code != http.StatusForbidden {
		t.Errorf("a put from a page of another site: %d %s", code, answer)
	}
}

// With TLS, JSON needs the certificate that gRPC needs, though health needs none.
func TestJSONTLS(t *testing.T) {
	authority := testcert.New(t)
	server, known := authority.TLS("alpha"), authority.TLS("client")
	server.ClientAuth = tls.RequireAndVerifyClientCert
	stranger := &tls.Config{RootCAs: known.RootCAs, MinVersion: tls.VersionTLS13}
	f := start(t, func(o *Options) { o.TLS = certs.Fixed(server) }, func(o *Options) { o.Limits.Timeout = time.Second })
	for _, tt := range []struct {
		config *tls.Config
		want   int
	}{{known, http.StatusOK}, {stranger, http.StatusUnauthorized}} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: tt.config, DisableKeepAlives: true}}
		if code, body := post(t, client, "https://"+f.gateway.HTTPAddr()+"/v3/kv/put", `{"key": "YQ=="}`); code != tt.want {
			t.Errorf("%d %s, want %d", code, body, tt.want)
		}
	}
}

package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// FuzzJSON asks for whatever it is, by every call that can change or read something. A
// request may be refused; none panics, neither on the way in, nor where it is executed.
func FuzzJSON(f *testing.F) {
	paths := []string{
		"/v3/kv/put", "/v3/kv/range", "/v3/kv/deleterange", "/v3/kv/txn", "/v3/kv/compaction", "/v3/lease/grant", "/v3/lease/revoke",
		"/v3/lease/timetolive", "/v3/maintenance/alarm", "/v3/maintenance/status", "/v3/cluster/member/list", "/v3/auth/user/add",
	}
	f.Add(uint8(0), fmt.Sprintf(`{"key": %q, "value": %q, "lease": "7"}`, b64("a"), b64("1")))
	f.Add(uint8(1), fmt.Sprintf(`{"key": %q, "range_end": "AA==", "limit": "-1", "sort_order": "DESCEND", "sort_target": 77}`, b64("a")))
	f.Add(uint8(2), `{"key": "AA==", "range_end": "AA==", "prev_kv": true}`)
	f.Add(uint8(3), fmt.Sprintf(`{"compare": [{"target": "VALUE", "key": %[1]q, "value": %[1]q}], "success": [{"request_txn": {"failure": [{}]}}],
		"failure": [{"request_put": {"key": %[1]q, "ignore_value": true}}]}`, b64("a")))
	f.Add(uint8(4), `{"revision": "9223372036854775807", "physical": true}`)
	f.Add(uint8(5), `{"ID": "-1", "TTL": "1e3"}`)
	f.Add(uint8(8), `{"action": "ACTIVATE", "memberID": "1", "alarm": "NOSPACE"}`)
	f.Add(uint8(9), `[`)
	g := start(f)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	f.Cleanup(client.CloseIdleConnections)
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		path := paths[int(which)%len(paths)]
		code, answer := post(t, client, "http://"+g.gateway.HTTPAddr()+path, body)
		if strings.Contains(answer, "the node's log has the reason") {
			t.Errorf("%s: %d: %s", path, code, answer)
		}
	})
}

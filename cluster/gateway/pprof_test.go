package gateway

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestProfilesAreForThisMachineOnly(t *testing.T) {
	mux := http.NewServeMux()
	profiles(mux)
	for from, want := range map[string]int{
		"127.0.0.1:4000":   http.StatusOK,
		"[::1]:4000":       http.StatusOK,
		"192.0.2.1:4000":   http.StatusForbidden,
		"[2001:db8::1]:40": http.StatusForbidden,
		"":                 http.StatusForbidden,
	} {
		r := httptest.NewRequest(http.MethodGet, "/debug/pprof/goroutine?debug=1", nil)
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		if mux.ServeHTTP(w, r); w.Code != want {
			t.Errorf("from %q: %d, want %d", from, w.Code, want)
		}
	}
}

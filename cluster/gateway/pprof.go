package gateway

import (
	"net"
	"net/http"
	"net/http/pprof"
)

// profiles adds Go's profiles under /debug/pprof/, for those on this machine only: they
// tell of all that the process does, and cost it time.
func profiles(mux *http.ServeMux) {
	for path, handler := range map[string]http.HandlerFunc{
		"/debug/pprof/":        pprof.Index, // and each profile that has a name
		"/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol":  pprof.Symbol,
		"/debug/pprof/trace":   pprof.Trace,
	} {
		mux.Handle("GET "+path, fromHere(handler))
	}
}

// fromHere serves those who ask over the loopback.
func fromHere(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); err != nil || !ip.IsLoopback() {
			http.Error(w, "profiles are for those on this machine: ask over the loopback", http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

package gateway

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/cluster/overview"
	"github.com/pmmc-go/pmmc/messages/admin"
)

//go:embed page
var pageFiles embed.FS

const (
	// pagePause is between two looks at all nodes, while somebody watches.
	pagePause = 500 * time.Millisecond
	// askPatience is how long another node may take to show itself: with a pause before
	// it, a node that hangs is shown as such within 2 s.
	askPatience = 750 * time.Millisecond
	// maxViewers is how many watch the page of one node.
	maxViewers = 64
	// viewerPatience is how long a viewer may take to take what is shown.
	viewerPatience = 5 * time.Second
)

// page is what a browser shows of the whole cluster. While somebody watches it asks all
// nodes again and again; a viewer that is slow misses what came in between. It asks over
// the way on which peers talk, which needs no client's certificate.
type page struct {
	g     *Gateway
	board overview.Board // of run
	woken chan struct{}  // has a token when the first viewer came

	mu      sync.Mutex
	viewers map[chan []byte]struct{} // each has room for the latest picture
	latest  []byte                   // nil while nobody watches
}

func newPage(g *Gateway) *page {
	return &page{
		g: g, board: overview.Board{From: g.options.Member}, woken: make(chan struct{}, 1), viewers: make(map[chan []byte]struct{}),
	}
}

// handle puts the page at the root, and its parts below /page/.
func (p *page) handle(mux *http.ServeMux) {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // they are embedded
	}
	parts := http.FileServerFS(files)
	mux.Handle("GET /{$}", p.guarded(parts)) // index.html
	mux.Handle("GET /page/", p.guarded(http.StripPrefix("/page", noFolders(parts))))
	mux.Handle("GET /page/events", p.guarded(http.HandlerFunc(p.serveEvents)))
}

// noFolders serves files, and lists none.
func noFolders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// policy allows what the page needs, all of it of its own site.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guarded shows the page to those who may speak to the node as clients, and to no page
// of another site.
func (p *page) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cache-Control", "no-cache")
		switch {
		case !p.g.json.known(r):
			http.Error(w, "the page is for those who show a client certificate, as on the client port", http.StatusUnauthorized)
		case fromElsewhere(r):
			http.Error(w, "the page is not for pages of other sites", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// fromElsewhere tells whether a page of another site makes a browser ask. A link on it
// may lead here.
func fromElsewhere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none": // no browser, or the page itself, or somebody typed the address
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "navigate"
}

// serveEvents sends what is seen of the cluster, as server-sent events, until the viewer
// or the gateway ends.
func (p *page) serveEvents(w http.ResponseWriter, r *http.Request) {
	pictures := p.join()
	if pictures == nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, fmt.Sprintf("%d browsers watch this node already", maxViewers), http.StatusServiceUnavailable)
		return
	}
	defer p.leave(pictures)
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	for {
		select {
		case picture := <-pictures:
			if err := control.SetWriteDeadline(time.Now().Add(viewerPatience)); err != nil {
				return
			}
			if _, err := fmt.Fprintf(w, "data: %s\n\n", picture); err != nil || control.Flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-p.g.life.Done():
			return
		}
	}
}

// join makes room for a viewer's next picture, or returns nil.
func (p *page) join() chan []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.viewers) >= maxViewers {
		return nil
	}
	pictures := make(chan []byte, 1)
	if p.latest != nil {
		pictures <- p.latest // there may be no look for a while
	}
	p.viewers[pictures] = struct{}{}
	select {
	case p.woken <- struct{}{}:
	default:
	}
	return pictures
}

func (p *page) leave(pictures chan []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.viewers, pictures)
	if len(p.viewers) == 0 {
		p.latest = nil
	}
}

// run looks at all nodes while there are viewers, and waits for some otherwise.
func (p *page) run() {
	for {
		select {
		case <-p.woken:
		case <-p.g.life.Done():
			return
		}
		for p.isWatched() {
			p.show(p.look())
			select {
			case <-time.After(pagePause): // however many come
			case <-p.g.life.Done():
				return
			}
		}
	}
}

func (p *page) isWatched() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.viewers) > 0
}

// show gives a picture to all viewers.
func (p *page) show(picture []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.viewers) > 0 {
		p.latest = picture
	}
	for viewer := range p.viewers {
		select {
		case <-viewer: // it was slow
		default:
		}
		viewer <- picture // there is room: nobody else puts one there without the lock
	}
}

// look asks all members.
func (p *page) look() []byte {
	ctx, cancel := context.WithTimeoutCause(p.g.life, askPatience, errTimeout)
	defer cancel()
	var members []string
	for _, m := range p.g.options.Node.Configuration().Members {
		members = append(members, m.Name)
	}
	picture, err := json.Marshal(p.board.Look(ctx, members, p.ask))
	if err != nil {
		p.g.log.Error("cannot show the cluster", "error", err)
		return []byte("{}")
	}
	return picture
}

// ask asks one member.
func (p *page) ask(ctx context.Context, member string) (*admin.StatusResponse, error) {
	if member == p.g.options.Member {
		return p.g.described(), nil
	}
	view, err := p.g.options.Node.Ask(ctx, member)
	switch {
	case errors.Is(err, errTimeout):
		return nil, errors.New("no answer in time")
	case err != nil:
		return nil, errors.New("no connection")
	case len(view) == 0:
		return nil, overview.ErrSilent
	}
	r := &admin.StatusResponse{}
	if err := proto.Unmarshal(view, r); err != nil {
		return nil, fmt.Errorf("its answer cannot be read: %w", err)
	}
	return r, nil
}

// described is what was seen of this node last.
func (g *Gateway) described() *admin.StatusResponse {
	return g.describe(*g.seen.Load())
}

// present is how this node shows itself to the pages of others. It does not block.
func (g *Gateway) present() []byte {
	view, err := proto.Marshal(g.described())
	if err != nil {
		g.log.Error("cannot show this node to another", "error", err)
	}
	return view
}

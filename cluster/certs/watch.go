package certs

import (
	"crypto/tls"
	"os"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// Watch reads the files, and returns a source that reads them again when they change.
func Watch(f Files, log hclog.Logger) (Source, error) {
	w := &watcher{files: f, log: log, seen: f.stat()}
	var err error
	if w.good, err = f.Read(); err != nil {
		return nil, err
	}
	return w.config, nil
}

type watcher struct {
	files Files
	log   hclog.Logger

	mu   sync.Mutex
	seen [3]os.FileInfo // of the files when they were last read
	good *tls.Config
	bad  string // why the files could not be used when they were last read
}

// config is the Source. What failed is tried again even if nothing has changed: who may
// read a file is not in its age.
func (w *watcher) config() *tls.Config {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.files.stat() // before they are read: what changes in between is read again
	if w.bad == "" && same(w.seen, now) {
		return w.good
	}
	w.seen = now
	next, err := w.files.Read()
	switch {
	case err == nil:
		w.good, w.bad = next, ""
		leaf := next.Certificates[0].Leaf
		w.log.Info("certificate read again", "file", w.files.Cert, "serial", leaf.SerialNumber, "expires", leaf.NotAfter)
	case err.Error() != w.bad:
		w.bad = err.Error()
		w.log.Warn("certificate not read again, the last good one stays in use", "file", w.files.Cert, "error", err)
	}
	return w.good
}

// stat looks at the certificate's, the key's and the authorities' file. What cannot be
// looked at is nil.
func (f Files) stat() (all [3]os.FileInfo) {
	for i, path := range []string{f.Cert, f.Key, f.CA} {
		if info, err := os.Stat(path); err == nil {
			all[i] = info
		}
	}
	return all
}

func same(a, b [3]os.FileInfo) bool {
	for i, x := range a {
		y := b[i]
		switch {
		case (x == nil) != (y == nil):
			return false
		case x != nil && (!os.SameFile(x, y) || !x.ModTime().Equal(y.ModTime()) || x.Size() != y.Size()):
			return false
		}
	}
	return true
}

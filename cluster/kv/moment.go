package kv

import (
	"sync"
	"sync/atomic"
)

// moment is the state as of a commit. Queries share it until the next commit: to make one
// costs as much as to read a key.
type moment struct {
	view
	users atomic.Int64 // the database is one, while no commit followed
}

func (m *moment) end() {
	if m.users.Add(-1) == 0 {
		m.r.Close()
	}
}

// present is a database's last moment, made when it is asked for.
type present struct {
	mu sync.Mutex
	m  *moment // nil until somebody asks
}

// moment returns the state as of the last commit, whose end the caller must call.
func (db *database) moment() (*moment, error) {
	p := &db.present
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m == nil {
		snapshot := db.NewSnapshot()
		at, err := readPosition(snapshot)
		if err != nil {
			snapshot.Close()
			return nil, err
		}
		p.m = &moment{view: view{r: snapshot, position: at, recent: db.recent}}
		p.m.users.Add(1)
	}
	p.m.users.Add(1)
	return p.m, nil
}

// pass is called after a commit and before anybody hears of it: who asks from now on sees
// it. What the moment before held on to is free once its queries are answered.
func (db *database) pass() {
	p := &db.present
	p.mu.Lock()
	last := p.m
	p.m = nil
	p.mu.Unlock()
	if last != nil {
		last.end()
	}
}

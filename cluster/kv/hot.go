package kv

// latest is the newest version of a key, if it lives.
type latest struct {
	meta
	live bool
}

// hot remembers the newest versions of keys that operations met lately: a put of one of
// them needs no read. It is the applying goroutine's alone. It has two generations; the
// older is forgotten when the younger is full, but for those that were met again.
type hot struct {
	limit      int // keys of a generation
	young, old map[string]latest
}

func newHot(keys int) *hot {
	return &hot{limit: max(1, keys/2), young: make(map[string]latest)}
}

func (h *hot) get(key []byte) (l latest, ok bool) {
	if l, ok = h.young[string(key)]; ok {
		return l, true
	}
	if l, ok = h.old[string(key)]; ok {
		h.put(string(key), l)
	}
	return l, ok
}

func (h *hot) put(key string, l latest) {
	if len(h.young) >= h.limit {
		h.young, h.old = make(map[string]latest, h.limit), h.young
	}
	h.young[key] = l
}

// recent is what is known of keys without a read, in the eyes of an operation: what the
// slot has written so far, and what was there before it.
type recent struct {
	written map[string]latest
	hot     *hot
}

func (r recent) get(key []byte) (l latest, ok bool) {
	if l, ok = r.written[string(key)]; ok {
		return l, true
	}
	return r.hot.get(key)
}

// commit makes what the slot has written known to later ones.
func (r recent) commit() {
	for key, l := range r.written {
		r.hot.put(key, l)
	}
}

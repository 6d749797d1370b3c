package kv

// latest is the newest version of a key, if it lives.
type latest struct {
	meta
	live bool
}

// hot remembers the newest versions of keys that operations met lately: a put of one of
// them needs no read. It is the applying goroutine's alone. It has two generations; the
// older is forgotten when the younger is full, but for those that were met again.
//
// What a slot writes stands beside what was there before it until the slot is committed.
type hot struct {
	limit      int // keys of a generation
	young, old map[string]*known
	slot       uint64 // counts those that were begun
	staged     []staging
}

// known is what is known of a key.
type known struct {
	latest
	slot uint64 // the last that wrote the key …
	at   int    // … and where in staged it did
}

// staging is what the slot under way made of a key.
type staging struct {
	*known
	now latest
}

func newHot(keys int) *hot {
	return &hot{limit: max(1, keys/2), young: make(map[string]*known)}
}

// begin begins a slot. Only now are keys forgotten: what a slot wrote is not to be found
// elsewhere. If the last one was not committed, nothing is certain of what it wrote.
func (h *hot) begin() {
	h.slot++
	switch n := len(h.young); {
	case len(h.staged) > 0, n >= 2*h.limit: // it met very many
		h.young, h.old = make(map[string]*known), nil
	case n >= h.limit:
		h.young, h.old = make(map[string]*known, h.limit), h.young
	}
	h.forgetStaged()
}

// commit makes what the slot has written known to later ones.
func (h *hot) commit() {
	for _, s := range h.staged {
		s.known.latest = s.now
	}
	h.forgetStaged()
}

func (h *hot) forgetStaged() {
	if cap(h.staged) > h.limit {
		h.staged = nil
	}
	clear(h.staged)
	h.staged = h.staged[:0]
}

// get returns a key's newest version in the eyes of the slot.
func (h *hot) get(key []byte) (latest, bool) {
	k := h.find(key)
	switch {
	case k == nil:
		return latest{}, false
	case k.slot == h.slot:
		return h.staged[k.at].now, true
	default:
		return k.latest, true
	}
}

func (h *hot) find(key []byte) *known {
	if k, ok := h.young[string(key)]; ok {
		return k
	}
	k := h.old[string(key)]
	if k != nil {
		h.young[string(key)] = k
	}
	return k
}

// read notes what was read of a key.
func (h *hot) read(key []byte, l latest) { h.young[string(key)] = &known{latest: l} }

// write notes what the slot made of a key.
func (h *hot) write(key []byte, l latest) {
	k := h.find(key)
	if k == nil {
		k = &known{}
		h.young[string(key)] = k
	}
	if k.slot != h.slot {
		k.slot, k.at = h.slot, len(h.staged)
		h.staged = append(h.staged, staging{known: k})
	}
	h.staged[k.at].now = l
}

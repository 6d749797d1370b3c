package actors

// waitfor is the paper's set of the acceptors that have not answered yet. It
// counts distinct acceptors of one configuration: neither a repeated answer nor a
// stranger's brings a majority nearer (S12).
type waitfor struct {
	silent    map[Addr]bool
	acceptors int // all of them
}

func waitForAll(acceptors []Addr) waitfor {
	w := waitfor{silent: make(map[Addr]bool, len(acceptors)), acceptors: len(acceptors)}
	for _, a := range acceptors {
		w.silent[a] = true
	}
	return w
}

func (w waitfor) remove(a Addr) { delete(w.silent, a) }

// majorityAnswered is |waitfor| < |acceptors| / 2, without the slip of integer
// division when their number is even.
func (w waitfor) majorityAnswered() bool { return 2*len(w.silent) < w.acceptors } // Fig. 6(a) l. 3, Fig. 6(b) l. 3

// isSilent tells whether a is an acceptor that has not answered.
func (w waitfor) isSilent(a Addr) bool { return w.silent[a] }

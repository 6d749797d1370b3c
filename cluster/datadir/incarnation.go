package datadir

// An incarnation numbers the starts of a node (S13). Its upper half counts them, its lower half
// is random: the count orders the starts, and two starts from copies of one directory, which
// count alike, still differ. Versions before this one counted from 1 in all 64 bits, so their
// incarnations are below those of today.
const counterShift = 32

// Counter is the number of starts that an incarnation counts; 0 for one of an earlier version.
func Counter(incarnation uint64) uint64 { return incarnation >> counterShift }

// NextIncarnation is the incarnation of a start that follows the known ones. A known 0 counts for
// nothing.
func NextIncarnation(random uint32, known ...uint64) uint64 {
	var counter uint64
	for _, k := range known {
		counter = max(counter, Counter(k))
	}
	return (counter+1)<<counterShift | uint64(random)
}

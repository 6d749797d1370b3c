package cost

import (
	"os"
	"testing"
)

// TestCostModel: what a command costs is what the paper's message counts say, for clusters
// of all sizes and from one proposer to many.
func TestCostModel(t *testing.T) {
	var all []Cost
	for _, nodes := range []int{3, 5, 7} {
		for _, l := range []Load{{nodes, 1, 50, 256}, {nodes, 64, 20, 256}, {nodes, 1024, 4, 256}} {
			c, err := Count(t.TempDir(), l)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Model(); err != nil {
				t.Error(err)
			}
			all = append(all, c)
		}
	}
	if testing.Verbose() || t.Failed() {
		if err := Table(os.Stderr, all); err != nil {
			t.Fatal(err)
		}
	}
}

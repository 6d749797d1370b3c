// Command library measures pmmc's library: three nodes in one process, connected over
// loopback, with journals on disk.
package main

import (
	"flag"

	"github.com/pmmc-go/pmmc/test/bench/load"
	"github.com/pmmc-go/pmmc/test/bench/nodes"
)

var members = flag.Int("nodes", 3, "how many nodes there are")

func main() {
	load.Library("pmmc", func(dir string) (load.Proposer, func(), error) {
		c, err := nodes.Start(dir, *members)
		if err != nil {
			return nil, nil, err
		}
		return c, func() { _ = c.Stop() }, nil // it was measured already
	})
}

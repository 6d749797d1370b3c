package clustertest

import (
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

// KV makes key-value stores on disks in memory: what a store had not flushed is gone
// when its node is killed, as after a power cut.
func KV() Machine {
	var mu sync.Mutex
	disks := make(map[string]*vfs.MemFS)
	return func(member, dir string) (cluster.StateMachine, error) {
		mu.Lock()
		defer mu.Unlock()
		disk := vfs.NewCrashableMem()
		if before, ok := disks[member]; ok {
			disk = before.CrashClone(vfs.CrashCloneCfg{})
		}
		disks[member] = disk
		return kv.Open(kv.Options{Dir: dir, FS: disk})
	}
}

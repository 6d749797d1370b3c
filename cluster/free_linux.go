package cluster

import "syscall"

// roomOf is how much an unprivileged process can write to the file system of dir, and how
// large that is.
func roomOf(dir string) (free, total int64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	return int64(s.Bavail) * s.Bsize, int64(s.Blocks) * s.Bsize, nil
}

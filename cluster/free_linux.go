package cluster

import "syscall"

// roomOf is how much an unprivileged process can write to the file system of dir, and how
// large that is.
func roomOf(dir string) (space, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return space{}, err
	}
	left := space{free: int64(s.Bavail) * s.Bsize, total: int64(s.Blocks) * s.Bsize, files: -1}
	if s.Files > 0 { // Btrfs makes inodes as it needs them
		left.files, left.totalFiles = int64(s.Ffree), int64(s.Files)
	}
	return left, nil
}

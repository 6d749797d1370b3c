//go:build !linux

package cluster

import "errors"

// freeBytes is not known where there is no call for it: a full disk is then noticed when
// it is full.
func freeBytes(string) (int64, error) { return 0, errors.ErrUnsupported }

package kv

import "sync/atomic"

// executed counts operations by the kind of their results.
type executed [resultAlarm + 1]atomic.Uint64

var operationNames = [...]string{
	resultError: "refused", resultPut: "put", resultDeleteRange: "delete_range", resultTxn: "txn", resultCompaction: "compaction",
	resultLeaseGrant: "lease_grant", resultLeaseRevoke: "lease_revoke", resultLeaseRenewal: "lease_renewal", resultAlarm: "alarm",
}

// Operations counts those that were executed since Open, by what they were, or
// "refused".
func (s *Store) Operations() map[string]uint64 {
	all := make(map[string]uint64, len(operationNames))
	for kind, name := range operationNames {
		all[name] = s.executed[kind].Load()
	}
	return all
}

package kv

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// alarms are the members that have raised NOSPACE, in order. It is the only alarm that
// there is. While one is raised, nothing that takes space is executed: what says so is
// replicated, and the sizes that led to it are not. A value is never changed in place.
type alarms []uint64

const memberBytes = 8

func alarmKey(member uint64) []byte {
	return binary.BigEndian.AppendUint64(slices.Clone(keyAlarms), member)
}

// readAlarms returns the alarms of what r reads.
func readAlarms(r pebble.Reader) (raised alarms, err error) {
	end := slices.Clone(keyAlarms)
	end[len(end)-1]++
	it, err := iterate(r, keyAlarms, end)
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if len(it.Key()) != len(keyAlarms)+memberBytes {
			return nil, closeIterator(it, fmt.Errorf("kv: %q is not the key of an alarm", it.Key()))
		}
		raised = append(raised, binary.BigEndian.Uint64(it.Key()[len(keyAlarms):]))
	}
	return raised, closeIterator(it, nil)
}

// members are the alarms as etcd shows them.
func (a alarms) members() []*pb.AlarmMember {
	all := make([]*pb.AlarmMember, len(a))
	for i, member := range a {
		all[i] = &pb.AlarmMember{MemberID: member, Alarm: pb.AlarmType_NOSPACE}
	}
	return all
}

// Alarms returns the alarms that are raised, by member.
func (s *Store) Alarms() []*pb.AlarmMember { return s.raised().members() }

// NoSpace reports whether any member has raised NOSPACE.
func (s *Store) NoSpace() bool { return len(s.raised()) > 0 }

func (s *Store) raised() alarms {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return nil
	}
	return *s.db.alarms.Load()
}

// CheckAlarm says what is wrong with raising or taking back an alarm, whatever the state.
func CheckAlarm(r *pb.AlarmRequest) error {
	if r.Action == pb.AlarmRequest_GET || r.Alarm != pb.AlarmType_NOSPACE || r.MemberID == 0 {
		return ErrMalformed
	}
	return nil
}

// alarm raises an alarm or takes it back. As in etcd, the response has those that the
// request is about: one that was raised before is among them, one that was not is not.
func (g *stage) alarm(r *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	response := &pb.AlarmResponse{Header: &pb.ResponseHeader{Revision: g.view().revision}}
	i, raised := slices.BinarySearch(g.alarms, r.MemberID)
	raise := r.Action == pb.AlarmRequest_ACTIVATE
	if raise || raised {
		response.Alarms = alarms{r.MemberID}.members()
	}
	switch {
	case raise == raised:
		return response, nil
	case raise:
		g.alarms = slices.Insert(slices.Clone(g.alarms), i, r.MemberID)
		return response, g.batch.Set(alarmKey(r.MemberID), nil, nil)
	default:
		g.alarms = slices.Delete(slices.Clone(g.alarms), i, i+1)
		return response, g.batch.Delete(alarmKey(r.MemberID), nil)
	}
}

// TakesSpace reports whether an operation may make the state larger, and so is refused
// while NOSPACE is raised: a put, a transaction with a put in any branch, and the grant
// of a lease. Deletions and compactions make room.
func TakesSpace(op *pb.InternalRaftRequest) bool {
	return op.Put != nil || op.LeaseGrant != nil ||
		op.Txn != nil && !allOps(op.Txn, func(op *pb.RequestOp) bool { return op.GetRequestPut() == nil })
}

package kv

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// alarm is one that a member has raised, NOSPACE or CORRUPT.
type alarm struct {
	member uint64
	kind   pb.AlarmType
}

// alarms are those that are raised, in order. While NOSPACE is among them, nothing that
// takes space is executed: what says so is replicated, and the sizes that led to it are not.
// CORRUPT changes nothing here: the gateways refuse to ask. A value is never changed in place.
type alarms []alarm

func (a alarm) compare(b alarm) int {
	return cmp.Or(cmp.Compare(a.member, b.member), cmp.Compare(a.kind, b.kind))
}

const memberBytes = 8

// alarmKey is where an alarm is kept: by its member and, unless it is NOSPACE, its kind.
func alarmKey(a alarm) []byte {
	key := binary.BigEndian.AppendUint64(slices.Clone(keyAlarms), a.member)
	if a.kind != pb.AlarmType_NOSPACE {
		key = append(key, byte(a.kind))
	}
	return key
}

func alarmOf(key []byte) (alarm, bool) {
	rest := key[len(keyAlarms):]
	switch len(rest) {
	case memberBytes:
		return alarm{binary.BigEndian.Uint64(rest), pb.AlarmType_NOSPACE}, true
	case memberBytes + 1:
		return alarm{binary.BigEndian.Uint64(rest), pb.AlarmType(rest[memberBytes])}, true
	}
	return alarm{}, false
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
		a, ok := alarmOf(it.Key())
		if !ok {
			return nil, closeIterator(it, fmt.Errorf("kv: %q is not the key of an alarm", it.Key()))
		}
		raised = append(raised, a)
	}
	return raised, closeIterator(it, nil)
}

// members are the alarms as etcd shows them.
func (a alarms) members() []*pb.AlarmMember {
	all := make([]*pb.AlarmMember, len(a))
	for i, one := range a {
		all[i] = &pb.AlarmMember{MemberID: one.member, Alarm: one.kind}
	}
	return all
}

// have tells whether an alarm of a kind is raised.
func (a alarms) have(kind pb.AlarmType) bool {
	return slices.ContainsFunc(a, func(one alarm) bool { return one.kind == kind })
}

// Alarms returns the alarms that are raised, by member.
func (s *Store) Alarms() []*pb.AlarmMember { return s.raised().members() }

// NoSpace reports whether any member has raised NOSPACE.
func (s *Store) NoSpace() bool { return s.raised().have(pb.AlarmType_NOSPACE) }

// Corrupt reports whether any member is said to be CORRUPT.
func (s *Store) Corrupt() bool { return s.raised().have(pb.AlarmType_CORRUPT) }

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
	if r.Action == pb.AlarmRequest_GET || r.Alarm != pb.AlarmType_NOSPACE && r.Alarm != pb.AlarmType_CORRUPT || r.MemberID == 0 {
		return ErrMalformed
	}
	return nil
}

// alarm raises an alarm or takes it back. As in etcd, the response has those that the
// request is about: one that was raised before is among them, one that was not is not.
func (g *stage) alarm(r *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	response := &pb.AlarmResponse{Header: &pb.ResponseHeader{Revision: g.view().revision}}
	a := alarm{r.MemberID, r.Alarm}
	i, raised := slices.BinarySearchFunc(g.alarms, a, alarm.compare)
	raise := r.Action == pb.AlarmRequest_ACTIVATE
	if raise || raised {
		response.Alarms = alarms{a}.members()
	}
	switch {
	case raise == raised:
		return response, nil
	case raise:
		g.alarms = slices.Insert(slices.Clone(g.alarms), i, a)
		return response, g.batch.Set(alarmKey(a), nil, nil)
	default:
		g.alarms = slices.Delete(slices.Clone(g.alarms), i, i+1)
		return response, g.batch.Delete(alarmKey(a), nil)
	}
}

// TakesSpace reports whether an operation may make the state larger, and so is refused
// while NOSPACE is raised: a put, a transaction with a put in any branch, and the grant
// of a lease. Deletions and compactions make room.
func TakesSpace(op *pb.InternalRaftRequest) bool {
	return op.Put != nil || op.LeaseGrant != nil ||
		op.Txn != nil && !allOps(op.Txn, func(op *pb.RequestOp) bool { return op.GetRequestPut() == nil })
}

package kv_test

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/proto"
)

// model is the store at its simplest: a copy of everything for each revision.
type model struct {
	states    []map[string]*mvccpb.KeyValue // by revision
	compacted int64
	leases    modelLeases
}

func newModel() *model {
	return &model{states: []map[string]*mvccpb.KeyValue{{}, {}}, compacted: -1, leases: modelLeases{granted: map[int64]*modelLease{}}}
}

func (m *model) revision() int64 { return int64(len(m.states)) - 1 }

func inRange(key, from, end string) bool {
	switch end {
	case "":
		return key == from
	case "\x00":
		return key >= from
	default:
		return key >= from && key < end
	}
}

// attempt is a command in progress: its state, and whether it changed anything.
type attempt struct {
	m     *model
	state map[string]*mvccpb.KeyValue
	wrote bool
}

func (m *model) begin() *attempt {
	return &attempt{m: m, state: maps.Clone(m.states[m.revision()])}
}

func (a *attempt) revision() int64 {
	if a.wrote {
		return a.m.revision() + 1
	}
	return a.m.revision()
}

func (a *attempt) end() {
	if a.wrote {
		a.m.states = append(a.m.states, a.state)
	}
}

// execute returns what the store should answer.
func (m *model) execute(op *pb.InternalRaftRequest) (response proto.Message, err error) {
	a := m.begin()
	defer a.end()
	switch {
	case op.Put != nil:
		if err := a.refusesPut(op.Put); err != nil {
			return nil, err
		}
		return a.put(op.Put), nil
	case op.DeleteRange != nil:
		return a.delete(op.DeleteRange), nil
	case op.LeaseGrant != nil, op.LeaseRevoke != nil, op.LeaseCheckpoint != nil:
		return m.executeLease(a, op)
	case op.Compaction != nil:
		if op.Compaction.Revision <= m.compacted {
			return nil, rpctypes.ErrGRPCCompacted
		}
		if op.Compaction.Revision > m.revision() {
			return nil, rpctypes.ErrGRPCFutureRev
		}
		m.compacted = op.Compaction.Revision
		return &pb.CompactionResponse{Header: &pb.ResponseHeader{Revision: m.revision()}}, nil
	default:
		before := m.states[m.revision()]
		if err := a.refusesTxn(before, op.Txn); err != nil {
			return nil, err
		}
		r := a.txn(before, op.Txn)
		r.Header.Revision = a.revision()
		return r, nil
	}
}

func (a *attempt) refusesPut(r *pb.PutRequest) error {
	if r.Lease != 0 && a.m.leases.granted[r.Lease] == nil {
		return rpctypes.ErrGRPCLeaseNotFound
	}
	if (r.IgnoreValue || r.IgnoreLease) && a.state[string(r.Key)] == nil {
		return rpctypes.ErrGRPCKeyNotFound
	}
	return nil
}

func (a *attempt) put(r *pb.PutRequest) *pb.PutResponse {
	a.wrote = true
	prev := a.state[string(r.Key)]
	now := &mvccpb.KeyValue{Key: r.Key, Value: r.Value, CreateRevision: a.revision(), ModRevision: a.revision(), Version: 1, Lease: r.Lease}
	if prev != nil {
		now.CreateRevision, now.Version = prev.CreateRevision, prev.Version+1
		if r.IgnoreValue {
			now.Value = prev.Value
		}
		if r.IgnoreLease {
			now.Lease = prev.Lease
		}
	}
	a.state[string(r.Key)] = now
	response := &pb.PutResponse{Header: &pb.ResponseHeader{Revision: a.revision()}}
	if r.PrevKv {
		response.PrevKv = prev
	}
	return response
}

func (a *attempt) delete(r *pb.DeleteRangeRequest) *pb.DeleteRangeResponse {
	response := &pb.DeleteRangeResponse{}
	for _, key := range slices.Sorted(maps.Keys(a.state)) {
		if !inRange(key, string(r.Key), string(r.RangeEnd)) {
			continue
		}
		a.wrote = true
		response.Deleted++
		if r.PrevKv {
			response.PrevKvs = append(response.PrevKvs, a.state[key])
		}
		delete(a.state, key)
	}
	response.Header = &pb.ResponseHeader{Revision: a.revision()}
	return response
}

// rangeKeys knows the orders of target and revision filters only as far as the
// generator uses them: with an order, or without a limit.
func (a *attempt) rangeKeys(r *pb.RangeRequest) (*pb.RangeResponse, error) {
	state := a.state
	if r.Revision > 0 {
		if r.Revision > a.m.revision() {
			return nil, rpctypes.ErrGRPCFutureRev
		}
		if r.Revision < a.m.compacted {
			return nil, rpctypes.ErrGRPCCompacted
		}
		state = a.m.states[r.Revision]
	}
	response := &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: a.revision()}}
	for _, key := range slices.Sorted(maps.Keys(state)) {
		if !inRange(key, string(r.Key), string(r.RangeEnd)) {
			continue
		}
		response.Count++
		kv := state[key]
		if !r.CountOnly && kv.ModRevision >= r.MinModRevision && (r.MaxCreateRevision == 0 || kv.CreateRevision <= r.MaxCreateRevision) {
			response.Kvs = append(response.Kvs, kv)
		}
	}
	slices.SortStableFunc(response.Kvs, func(x, y *mvccpb.KeyValue) int {
		order := 0
		switch r.SortTarget {
		case pb.RangeRequest_KEY:
			order = bytes.Compare(x.Key, y.Key)
		case pb.RangeRequest_VERSION:
			order = cmp.Compare(x.Version, y.Version)
		case pb.RangeRequest_CREATE:
			order = cmp.Compare(x.CreateRevision, y.CreateRevision)
		case pb.RangeRequest_MOD:
			order = cmp.Compare(x.ModRevision, y.ModRevision)
		case pb.RangeRequest_VALUE:
			order = bytes.Compare(x.Value, y.Value)
		}
		if r.SortOrder == pb.RangeRequest_DESCEND {
			order = -order
		}
		return order
	})
	if r.Limit > 0 && len(response.Kvs) > int(r.Limit) {
		response.Kvs, response.More = response.Kvs[:r.Limit], true
	}
	if r.KeysOnly {
		for i, kv := range response.Kvs {
			bare := proto.Clone(kv).(*mvccpb.KeyValue)
			bare.Value = nil
			response.Kvs[i] = bare
		}
	}
	return response, nil
}

func (a *attempt) branch(before map[string]*mvccpb.KeyValue, r *pb.TxnRequest) (bool, []*pb.RequestOp) {
	for _, c := range r.Compare {
		if !holds(before, c) {
			return false, r.Failure
		}
	}
	return true, r.Success
}

func holds(state map[string]*mvccpb.KeyValue, c *pb.Compare) bool {
	var kvs []*mvccpb.KeyValue
	for key, kv := range state {
		if inRange(key, string(c.Key), string(c.RangeEnd)) {
			kvs = append(kvs, kv)
		}
	}
	if len(kvs) == 0 {
		if c.Target == pb.Compare_VALUE {
			return false
		}
		kvs = []*mvccpb.KeyValue{{}}
	}
	for _, kv := range kvs {
		var order int
		switch c.Target {
		case pb.Compare_VERSION:
			order = cmp.Compare(kv.Version, c.GetVersion())
		case pb.Compare_MOD:
			order = cmp.Compare(kv.ModRevision, c.GetModRevision())
		case pb.Compare_LEASE:
			order = cmp.Compare(kv.Lease, c.GetLease())
		case pb.Compare_VALUE:
			order = cmp.Compare(string(kv.Value), string(c.GetValue()))
		}
		good := map[pb.Compare_CompareResult]bool{
			pb.Compare_EQUAL: order == 0, pb.Compare_NOT_EQUAL: order != 0,
			pb.Compare_LESS: order < 0, pb.Compare_GREATER: order > 0,
		}
		if !good[c.Result] {
			return false
		}
	}
	return true
}

func (a *attempt) refusesTxn(before map[string]*mvccpb.KeyValue, r *pb.TxnRequest) error {
	_, list := a.branch(before, r)
	for _, op := range list {
		var err error
		switch {
		case op.GetRequestRange() != nil:
			_, err = a.rangeKeys(op.GetRequestRange())
		case op.GetRequestPut() != nil:
			err = a.refusesPut(op.GetRequestPut())
		case op.GetRequestTxn() != nil:
			err = a.refusesTxn(before, op.GetRequestTxn())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *attempt) txn(before map[string]*mvccpb.KeyValue, r *pb.TxnRequest) *pb.TxnResponse {
	succeeded, list := a.branch(before, r)
	response := &pb.TxnResponse{Header: &pb.ResponseHeader{}, Succeeded: succeeded}
	for _, op := range list {
		done := &pb.ResponseOp{}
		switch {
		case op.GetRequestRange() != nil:
			got, _ := a.rangeKeys(op.GetRequestRange())
			done.Response = &pb.ResponseOp_ResponseRange{ResponseRange: got}
		case op.GetRequestPut() != nil:
			done.Response = &pb.ResponseOp_ResponsePut{ResponsePut: a.put(op.GetRequestPut())}
		case op.GetRequestDeleteRange() != nil:
			done.Response = &pb.ResponseOp_ResponseDeleteRange{ResponseDeleteRange: a.delete(op.GetRequestDeleteRange())}
		default:
			done.Response = &pb.ResponseOp_ResponseTxn{ResponseTxn: a.txn(before, op.GetRequestTxn())}
		}
		response.Responses = append(response.Responses, done)
	}
	return response
}

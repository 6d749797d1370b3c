package kv

import (
	"bytes"
	"cmp"
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// A transaction goes in three steps, as in etcd: all comparisons, also those of
// nested transactions, are made on the state before it; then what is to be done is
// checked against that state; then it is done and cannot fail any more.

// plan is a transaction whose comparisons are made.
type plan struct {
	succeeded bool
	ops       []*pb.RequestOp
	nested    []*plan // of those ops that are transactions, in order
}

func (v view) plan(ctx context.Context, r *pb.TxnRequest) (*plan, error) {
	p := &plan{succeeded: true, ops: r.Success}
	for _, c := range r.Compare {
		holds, err := v.compare(ctx, c)
		if err != nil {
			return nil, err
		}
		if !holds {
			p.succeeded, p.ops = false, r.Failure
			break
		}
	}
	for _, op := range p.ops {
		if nested := op.GetRequestTxn(); nested != nil {
			q, err := v.plan(ctx, nested)
			if err != nil {
				return nil, err
			}
			p.nested = append(p.nested, q)
		}
	}
	return p, nil
}

// compare reports whether a comparison holds for every key of its range. Where
// there is no key, all numbers are zero and a value compares as false.
func (v view) compare(ctx context.Context, c *pb.Compare) (bool, error) {
	holds, any := true, false
	err := v.each(ctx, spanOf(c.Key, c.RangeEnd), 0, func(key []byte, m meta) error {
		any = true
		if !holds {
			return nil
		}
		kv := m.keyValue(nil, nil)
		if c.Target == pb.Compare_VALUE {
			var err error
			if kv, err = v.keyValue(nil, m); err != nil {
				return err
			}
		}
		holds = compareKeyValue(c, kv)
		return nil
	})
	if err != nil {
		return false, err
	}
	if !any {
		return c.Target != pb.Compare_VALUE && compareKeyValue(c, &mvccpb.KeyValue{}), nil
	}
	return holds, nil
}

func compareKeyValue(c *pb.Compare, kv *mvccpb.KeyValue) bool {
	order := 0
	switch c.Target {
	case pb.Compare_VERSION:
		order = cmp.Compare(kv.Version, c.GetVersion())
	case pb.Compare_CREATE:
		order = cmp.Compare(kv.CreateRevision, c.GetCreateRevision())
	case pb.Compare_MOD:
		order = cmp.Compare(kv.ModRevision, c.GetModRevision())
	case pb.Compare_VALUE:
		order = bytes.Compare(kv.Value, c.GetValue())
	case pb.Compare_LEASE:
		order = cmp.Compare(kv.Lease, c.GetLease())
	}
	switch c.Result {
	case pb.Compare_EQUAL:
		return order == 0
	case pb.Compare_NOT_EQUAL:
		return order != 0
	case pb.Compare_GREATER:
		return order > 0
	case pb.Compare_LESS:
		return order < 0
	default:
		return true // etcd's answer to a result that it does not know
	}
}

// check says whether a plan can be carried out.
func (v view) check(p *plan) error {
	nested := p.nested
	for _, op := range p.ops {
		var err error
		switch op := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			err = v.checkRevision(op.RequestRange.Revision)
		case *pb.RequestOp_RequestPut:
			_, _, err = v.checkPut(op.RequestPut)
		case *pb.RequestOp_RequestTxn:
			err = v.check(nested[0])
			nested = nested[1:]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A runner carries out a plan. Without a stage it can only read.
type runner struct {
	ctx   context.Context
	state view // of a transaction without a stage
	stage *stage
}

func (x runner) view() view {
	if x.stage == nil {
		return x.state
	}
	return x.stage.view()
}

// run carries out a plan and its nested ones. Only the outermost response has a
// revision in its header, as in etcd.
func (x runner) run(p *plan) (*pb.TxnResponse, error) {
	response := &pb.TxnResponse{Header: &pb.ResponseHeader{}, Succeeded: p.succeeded}
	nested := p.nested
	for _, op := range p.ops {
		done := &pb.ResponseOp{}
		var err error
		switch op := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			var r *pb.RangeResponse
			r, err = x.view().rangeKeys(x.ctx, op.RequestRange)
			done.Response = &pb.ResponseOp_ResponseRange{ResponseRange: r}
		case *pb.RequestOp_RequestPut:
			var r *pb.PutResponse
			r, err = x.stage.put(op.RequestPut, &pb.PutResponse{Header: &pb.ResponseHeader{}})
			done.Response = &pb.ResponseOp_ResponsePut{ResponsePut: r}
		case *pb.RequestOp_RequestDeleteRange:
			var r *pb.DeleteRangeResponse
			r, err = x.stage.deleteRange(op.RequestDeleteRange)
			done.Response = &pb.ResponseOp_ResponseDeleteRange{ResponseDeleteRange: r}
		case *pb.RequestOp_RequestTxn:
			var r *pb.TxnResponse
			r, err = x.run(nested[0])
			nested = nested[1:]
			done.Response = &pb.ResponseOp_ResponseTxn{ResponseTxn: r}
		}
		if err != nil {
			return nil, err
		}
		response.Responses = append(response.Responses, done)
	}
	return response, nil
}

// txn carries out a transaction on a state, or in a stage.
func (x runner) txn(r *pb.TxnRequest) (*pb.TxnResponse, error) {
	before := x.view()
	p, err := before.plan(x.ctx, r)
	if err != nil {
		return nil, err
	}
	if err := before.check(p); err != nil {
		return nil, err
	}
	response, err := x.run(p)
	if err != nil {
		return nil, err
	}
	response.Header.Revision = x.view().revision
	return response, nil
}

package kv

import (
	"cmp"
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
)

// stage is what the operations of one slot have done, before Commit makes it part
// of the state. Operations read through it and so see those before them.
type stage struct {
	slot     uint64
	db       *database
	batch    *pebble.Batch // indexed once an operation needs it, see staged
	versions *pebble.Batch // what goes into the space of versions; nil once batch is indexed
	position position      // after the operations so far
	changes  uint32        // of the operation that is being executed
	leases   []leaseNews
	alarms   alarms
	bytes    int64 // of the batch, once it is committed

	results    []byte        // of the operations so far, one behind the other
	key, value []byte        // scratch: Pebble copies what it is given
	request    pb.PutRequest // scratch, too, as is …
	response   pb.PutResponse
}

// newStage returns a stage without operations.
func newStage(slot uint64, db *database) *stage {
	db.hot.begin()
	return &stage{slot: slot, db: db, batch: db.NewBatch(), versions: db.NewBatch(), position: *db.position.Load(), alarms: *db.alarms.Load()}
}

// close frees the batches.
func (g *stage) close() {
	g.batch.Close()
	if g.versions != nil {
		g.versions.Close()
	}
}

// Apply executes the operations of a slot, in order. What an earlier Apply staged
// and nobody committed is dropped: its slot is being executed again.
func (s *Store) Apply(slot uint64, operations [][]byte) [][]byte {
	s.dropStage()
	db, err := s.acquire()
	if err != nil {
		panic(actors.Failure{Err: fmt.Errorf("kv: slot %d: %w", slot, err)})
	}
	defer db.release()
	s.stage = newStage(slot, db)
	results := make([][]byte, len(operations))
	for i, operation := range operations {
		if results[i], err = s.stage.execute(operation); err != nil {
			panic(actors.Failure{Err: fmt.Errorf("kv: slot %d, operation %d: %w", slot, i, err)})
		}
		s.executed[results[i][0]].Add(1)
	}
	return results
}

// execute returns the result of an operation. An error is the disk's and no result.
func (g *stage) execute(operation []byte) ([]byte, error) {
	kind, response, err := g.dispatch(operation)
	if g.changes > 0 {
		g.position.revision++
		g.changes = 0
	}
	begin := len(g.results)
	switch {
	case err == nil:
		g.results, err = appendResult(g.results, kind, response)
	case isRefusal(err):
		g.results, err = appendRefusal(g.results, err), nil
	}
	return g.results[begin:len(g.results):len(g.results)], err
}

func (g *stage) dispatch(operation []byte) (kind byte, response proto.Message, err error) {
	if parsePut(operation, &g.request) {
		return g.dispatchPut()
	}
	var op pb.InternalRaftRequest
	if proto.Unmarshal(operation, &op) != nil {
		return 0, nil, ErrMalformed
	}
	if err := checkOperation(&op, 0); err != nil {
		return 0, nil, err
	}
	if g.alarms.have(pb.AlarmType_NOSPACE) && TakesSpace(&op) {
		return 0, nil, rpctypes.ErrGRPCNoSpace
	}
	switch {
	case op.Put != nil:
		response, err = g.put(op.Put, &pb.PutResponse{Header: &pb.ResponseHeader{}})
		return resultPut, response, err
	case op.DeleteRange != nil:
		response, err = g.deleteRange(op.DeleteRange)
		return resultDeleteRange, response, err
	case op.Txn != nil:
		response, err = runner{ctx: context.Background(), stage: g}.txn(op.Txn)
		return resultTxn, response, err
	case op.LeaseGrant != nil:
		response, err = g.grantLease(op.LeaseGrant)
		return resultLeaseGrant, response, err
	case op.LeaseRevoke != nil:
		response, err = g.revokeLease(op.LeaseRevoke, op.Header.GetID())
		return resultLeaseRevoke, response, err
	case op.LeaseCheckpoint != nil:
		response, err = g.renewLeases(op.LeaseCheckpoint)
		return resultLeaseRenewal, response, err
	case op.Alarm != nil:
		response, err = g.alarm(op.Alarm)
		return resultAlarm, response, err
	default:
		response, err = g.compact(op.Compaction)
		return resultCompaction, response, err
	}
}

// dispatchPut is dispatch for the put in g.request.
func (g *stage) dispatchPut() (kind byte, response proto.Message, err error) {
	if err := CheckPut(&g.request); err != nil {
		return 0, nil, err
	}
	if g.alarms.have(pb.AlarmType_NOSPACE) {
		return 0, nil, rpctypes.ErrGRPCNoSpace
	}
	if g.response.Header == nil {
		g.response.Header = &pb.ResponseHeader{}
	}
	g.response.PrevKv = nil
	response, err = g.put(&g.request, &g.response)
	return resultPut, response, err
}

// view is the state as the operation being executed sees it: its own changes have
// the next revision.
func (g *stage) view() view {
	v := view{r: staged{g}, position: g.position, hot: g.db.hot}
	if g.changes > 0 {
		v.revision++
	}
	return v
}

// checkPut says whether the state allows a put, and returns the key's live version.
func (v view) checkPut(r *pb.PutRequest) (prev meta, found bool, err error) {
	if r.Lease != 0 {
		if _, granted, err := v.lease(r.Lease); err != nil || !granted {
			return meta{}, false, cmp.Or(err, rpctypes.ErrGRPCLeaseNotFound)
		}
	}
	if prev, found, err = v.latest(r.Key); err != nil {
		return meta{}, false, err
	}
	if !found && (r.IgnoreValue || r.IgnoreLease) {
		return meta{}, false, rpctypes.ErrGRPCKeyNotFound
	}
	return prev, found, nil
}

// put fills in an empty response, and returns it.
func (g *stage) put(r *pb.PutRequest, response *pb.PutResponse) (*pb.PutResponse, error) {
	prev, found, err := g.view().checkPut(r)
	if err != nil {
		return nil, err
	}
	value := r.Value
	if found && (r.PrevKv || r.IgnoreValue) {
		kv, err := g.view().keyValue(r.Key, prev)
		if err != nil {
			return nil, err
		}
		if r.IgnoreValue {
			value = kv.Value
		}
		if r.PrevKv {
			response.PrevKv = kv
		}
	}
	c := change{meta: meta{mod: g.next(), create: prev.create, version: prev.version + 1, lease: r.Lease}, key: r.Key, value: value}
	if !found {
		c.create = c.mod.main
	}
	if r.IgnoreLease {
		c.lease = prev.lease
	}
	if err := g.attach(c.key, prev.lease, c.lease); err != nil {
		return nil, err
	}
	if err := g.record(c); err != nil {
		return nil, err
	}
	response.Header.Revision = g.view().revision
	return response, nil
}

func (g *stage) deleteRange(r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	before := g.view()
	var keys []found
	err := before.each(context.Background(), spanOf(r.Key, r.RangeEnd), 0, func(key []byte, m meta) error {
		keys = append(keys, found{key: append([]byte(nil), key...), meta: m})
		return nil
	})
	if err != nil {
		return nil, err
	}
	response := &pb.DeleteRangeResponse{Header: &pb.ResponseHeader{}, Deleted: int64(len(keys))}
	if r.PrevKv && len(keys) > 0 {
		if err := before.load(context.Background(), keys, true); err != nil {
			return nil, err
		}
		response.PrevKvs = make([]*mvccpb.KeyValue, len(keys))
		for i, k := range keys {
			response.PrevKvs[i] = k.kv
		}
	}
	for _, k := range keys {
		if err := g.attach(k.key, k.meta.lease, 0); err != nil {
			return nil, err
		}
		if err := g.record(change{meta: meta{mod: g.next()}, deleted: true, key: k.key}); err != nil {
			return nil, err
		}
	}
	response.Header.Revision = g.view().revision
	return response, nil
}

// next is the revision of the next change.
func (g *stage) next() revision { return revision{g.position.revision + 1, g.changes} }

// record makes a change in all of the spaces that tell of it.
//
// The versions are gathered apart from the rest: one behind the other, each is put into
// Pebble's memory where the last one was, without a search.
func (g *stage) record(c change) error {
	set := func(key, value []byte) error { return g.batch.Set(key, value, nil) }

	g.key, g.value = versionKey(g.key[:0], c.mod), c.append(g.value[:0])
	if err := cmp.Or(g.versions, g.batch).Set(g.key, g.value, nil); err != nil {
		return fmt.Errorf("kv: record version %s: %w", c.mod, err)
	}
	g.value = g.value[:0]
	if !c.deleted {
		g.value = c.meta.append(g.value)
	}
	g.key = historyKey(g.key[:0], c.key, c.mod)
	if err := set(g.key, g.value); err != nil {
		return fmt.Errorf("kv: record version %s: %w", c.mod, err)
	}
	g.key = latestKey(g.key[:0], c.key)
	if c.deleted {
		set = func(key, _ []byte) error { return g.batch.Delete(key, nil) }
	}
	if err := set(g.key, g.value); err != nil {
		return fmt.Errorf("kv: record version %s: %w", c.mod, err)
	}
	g.db.hot.write(c.key, latest{c.meta, !c.deleted})
	g.db.recent.write(c.key, c.mod.main)
	g.changes++
	return nil
}

// compact forgets the history below a revision. It is done in the eyes of all who
// read; the compactor frees the space later.
func (g *stage) compact(r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	switch {
	case r.Revision <= g.position.compacted:
		return nil, rpctypes.ErrGRPCCompacted
	case r.Revision > g.position.revision:
		return nil, rpctypes.ErrGRPCFutureRev
	}
	g.position.compacted = r.Revision
	return &pb.CompactionResponse{Header: &pb.ResponseHeader{Revision: g.position.revision}}, nil
}

package etcd

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
)

// lie is a fault that the validators must find.
type lie int

const (
	staleRead   lie = iota // every tenth read is answered as the first one of its kind was
	doubleApply            // every twentieth put is done twice
	lostWrite              // every twentieth put is acknowledged, but not done
	lostEvent              // one event of watches in 500 is not told
)

// liar stands between clients and a node, and is honest but for one kind of lie.
type liar struct {
	pb.UnimplementedKVServer
	pb.UnimplementedWatchServer
	pb.UnimplementedMaintenanceServer
	lie
	kv     pb.KVClient
	watch  pb.WatchClient
	node   pb.MaintenanceClient
	puts   atomic.Int64
	reads  atomic.Int64
	events atomic.Int64
	lies   atomic.Int64

	mu    sync.Mutex
	first map[string]*pb.RangeResponse // by request
}

// startLiar puts a liar before an endpoint, and returns where it serves.
func startLiar(t *testing.T, kind lie, endpoint string) (*liar, string) {
	t.Helper()
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{lie: kind, kv: pb.NewKVClient(conn), watch: pb.NewWatchClient(conn), node: pb.NewMaintenanceClient(conn), first: make(map[string]*pb.RangeResponse)}
	s := grpc.NewServer(grpc.WaitForHandlers(true))
	pb.RegisterKVServer(s, l)
	pb.RegisterWatchServer(s, l)
	pb.RegisterMaintenanceServer(s, l)
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, listener.Addr().String()
}

// awaitLie lets traffic go on until there was a lie: a slow machine takes longer to ask
// so often.
func (l *liar) awaitLie() {
	for end := time.Now().Add(patience); l.lies.Load() == 0 && time.Now().Before(end); {
		pause(lasts)
	}
}

func (l *liar) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	resp, err := l.kv.Range(ctx, r)
	if err != nil || l.lie != staleRead || r.Serializable || r.Revision != 0 {
		return resp, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	first, ok := l.first[r.String()]
	if !ok && len(resp.Kvs) > 0 {
		l.first[r.String()] = resp
	}
	if l.reads.Add(1)%10 == 0 && ok && first.Header.Revision < resp.Header.Revision {
		l.lies.Add(1)
		return first, nil
	}
	return resp, nil
}

func (l *liar) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	isTime := l.puts.Add(1)%20 == 0
	if isTime && l.lie == lostWrite {
		resp, err := l.kv.Range(ctx, &pb.RangeRequest{Key: r.Key})
		if err != nil {
			return nil, err
		}
		l.lies.Add(1)
		header := proto.Clone(resp.Header).(*pb.ResponseHeader)
		header.Revision++
		return &pb.PutResponse{Header: header}, nil
	}
	resp, err := l.kv.Put(ctx, r)
	if err == nil && isTime && l.lie == doubleApply {
		l.lies.Add(1)
		_, err = l.kv.Put(ctx, r)
	}
	return resp, err
}

func (l *liar) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	return l.kv.DeleteRange(ctx, r)
}

func (l *liar) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	return l.kv.Txn(ctx, r)
}

func (l *liar) Compact(ctx context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	return l.kv.Compact(ctx, r)
}

func (l *liar) Status(ctx context.Context, r *pb.StatusRequest) (*pb.StatusResponse, error) {
	return l.node.Status(ctx, r)
}

func (l *liar) HashKV(ctx context.Context, r *pb.HashKVRequest) (*pb.HashKVResponse, error) {
	return l.node.HashKV(ctx, r)
}

// Watch hands requests and responses on, but for the events that it drops.
func (l *liar) Watch(client pb.Watch_WatchServer) error {
	ctx, cancel := context.WithCancel(client.Context())
	defer cancel()
	node, err := l.watch.Watch(ctx)
	if err != nil {
		return err
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	asking.Go(func() {
		for {
			r, err := client.Recv()
			if err != nil || node.Send(r) != nil {
				cancel()
				return
			}
		}
	})
	for {
		resp, err := node.Recv()
		if err != nil {
			return err
		}
		if l.lie == lostEvent {
			kept := resp.Events[:0]
			for _, e := range resp.Events {
				if l.events.Add(1)%500 != 0 {
					kept = append(kept, e)
				}
			}
			l.lies.Add(int64(len(resp.Events) - len(kept)))
			resp.Events = kept
		}
		if err := client.Send(resp); err != nil {
			return err
		}
	}
}

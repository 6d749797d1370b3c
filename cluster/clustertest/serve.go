package clustertest

import (
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/certs"
	"github.com/pmmc-go/pmmc/cluster/gateway"
	"github.com/pmmc-go/pmmc/cluster/kv"
)

// serve puts a gateway in front of the node.
func (n *Node) serve(machine cluster.StateMachine, peers certs.Source) {
	t := n.cluster.t
	store, ok := machine.(*kv.Store)
	if !ok {
		t.Fatalf("clustertest: Serve needs a key-value store at %s, not a %T", n.Name, machine)
	}
	o := gateway.Options{
		Client: n.client, HTTP: "127.0.0.1:0", PeerTLS: peers, Node: n.Node, Store: store, Cluster: "test", Member: n.Name, Logger: n.logger(),
	}
	var err error
	if n.gateway, err = gateway.Start(o); err != nil {
		t.Fatalf("clustertest: gateway of %s: %v", n.Name, err)
	}
}

// HTTP is where the node, which must run, serves health and metrics, as host:port.
func (n *Node) HTTP() string {
	n.cluster.t.Helper()
	if n.gateway == nil {
		n.cluster.t.Fatalf("clustertest: %s serves no HTTP: it is down, or Options.Serve is not set", n.Name)
	}
	return n.gateway.HTTPAddr()
}

// Endpoint is where the node serves etcd clients, as host:port.
func (n *Node) Endpoint() string { return n.client }

// Client returns an etcd client that speaks to the named nodes, or to all. It is
// closed when the test ends.
func (c *Cluster) Client(names ...string) *clientv3.Client {
	c.t.Helper()
	var endpoints []string
	for _, n := range c.Nodes() {
		if len(names) == 0 {
			endpoints = append(endpoints, n.client)
		}
	}
	for _, name := range names {
		endpoints = append(endpoints, c.Node(name).client)
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, DialTimeout: 10 * time.Second, Logger: zap.NewNop(),
	})
	if err != nil {
		c.t.Fatalf("clustertest: client of %v: %v", endpoints, err)
	}
	c.t.Cleanup(func() { _ = client.Close() }) // its context's end is no news
	return client
}

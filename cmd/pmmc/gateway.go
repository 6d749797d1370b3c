package main

import (
	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/gateway"
	"github.com/pmmc-go/pmmc/cluster/kv"
	"github.com/pmmc-go/pmmc/config"
)

// gatewayOptions says in the words of package gateway what a configuration says.
func gatewayOptions(c *config.Config, secure serverTLS, node *cluster.Node, store *kv.Store, log hclog.Logger) gateway.Options {
	return gateway.Options{
		Client: c.Listen.Client, HTTP: c.Listen.HTTP, TLS: secure.client, PeerTLS: secure.peer,
		Node: node, Store: store, Cluster: c.Cluster, Member: c.Node.Name,
		Limits: gatewayLimits(c.Limits),
		AutoCompaction: gateway.AutoCompaction{
			Period: c.AutoCompaction.Period, Revisions: int64(c.AutoCompaction.Revisions),
		},
		Logger: log.Named("gateway"),
	}
}

func gatewayLimits(l config.Limits) gateway.Limits {
	usual := gateway.DefaultLimits()
	return gateway.Limits{
		RequestBytes: int(l.RequestBytes), TxnOps: l.TxnOps,
		InFlight: l.InFlight, InFlightBytes: int(l.InFlightBytes), Connections: l.Connections,
		WatchStreams: usual.WatchStreams, Watches: usual.Watches, Timeout: l.RequestTimeout, Quota: l.Quota,
	}
}

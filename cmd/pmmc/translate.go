package main

import (
	"net"
	"net/netip"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/gateway"
	"github.com/pmmc-go/pmmc/config"
)

// clusterOptions says in the words of package cluster what a configuration says.
// Machine and TLS are not in it.
func clusterOptions(c *config.Config, log hclog.Logger) cluster.Options {
	o := cluster.Options{
		Cluster: c.Cluster, Member: c.Node.Name, Join: c.Join, Address: c.Self().Peer, Client: c.Self().Client,
		Listen: c.Listen.Peer, DataDir: c.Node.DataDir,
		Protocol: protocolOptions(c), DiskReserve: c.Limits.DiskReserve, CheckEvery: c.Limits.CheckEvery, Logger: log,
	}
	o.Protocol.InFlight += gateway.OwnCalls
	if len(c.Join) > 0 {
		return o // the cluster says who its members are
	}
	for _, m := range c.Members {
		o.Members = append(o.Members, cluster.Member{
			ID: m.ID, Name: m.Name, Address: m.Peer, Client: m.Client,
			Replica: m.Has(config.Replica), Leader: m.Has(config.Leader), Acceptor: m.Has(config.Acceptor),
		})
	}
	return o
}

func protocolOptions(c *config.Config) cluster.Protocol {
	p := c.Protocol
	return cluster.Protocol{
		Window: p.Window, Pipeline: p.Pipeline, BatchCommands: p.BatchCommands, BatchBytes: int(p.BatchBytes),
		Ping: p.Ping,
		Timeout: actors.TimeoutOptions{
			Initial: p.Timeout, Min: p.TimeoutMin, Max: p.TimeoutMax, Factor: p.TimeoutFactor, Step: p.TimeoutStep,
		},
		Resend: p.Resend, DiskTimeout: p.DiskTimeout, Lease: p.Lease, Drift: p.ClockDrift, AutoPromote: p.AutoPromote,
		CatchUp: p.CatchUp, RetainSlots: p.RetainSlots, RetainBytes: int(p.RetainBytes), ChunkBytes: int(p.ChunkBytes),
		Flush: p.Flush, SegmentBytes: int(c.Journal.SegmentBytes), InFlight: c.Limits.InFlight,
	}
}

// exposed lists the addresses at which a configuration has plaintext leave the
// machine.
func exposed(c *config.Config) []string {
	var addresses []string
	add := func(what, address string) {
		if address != "" && !loopback(address) {
			addresses = append(addresses, what+" "+address)
		}
	}
	if c.TLS.Peer == nil {
		add("peer", c.Listen.Peer)
		for _, address := range c.Join {
			add("member", address)
		}
		for _, m := range c.Members {
			if m.Name != c.Node.Name {
				add(m.Name, m.Peer)
			}
		}
	}
	if c.TLS.Client == nil {
		add("client", c.Listen.Client)
		add("http", c.Listen.HTTP)
	}
	return addresses
}

// loopback says that what goes to an address does not leave the machine.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

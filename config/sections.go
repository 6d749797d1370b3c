package config

import (
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
)

// What sizes and numbers can be. A decree is as long as a batch or as one request,
// whichever is longer, and must stay well below the longest record of the journal
// and the longest message of the transport.
const (
	kib, mib, gib = 1 << 10, 1 << 20, 1 << 30

	minDecree = 1 * kib
	maxDecree = 16 * mib

	maxInFlight = 64 * gib
)

// config decodes everything. A block that is missing is one without arguments.
func (d *decoder) config(f *fileConfig, out *Config) {
	d.cluster(f.Cluster, &out.Cluster)
	join, joins := d.join(f.Join)
	for _, p := range join {
		out.Join = append(out.Join, p.text)
	}
	members := d.members(f.Members, join, joins)
	for _, m := range members {
		out.Members = append(out.Members, m.Member)
	}
	node, self := d.node(f.Nodes, &out.Node, members)
	d.tls(f.TLS, &out.TLS)
	listening := d.listen(f.Listen, &out.Listen, self, members)
	d.plaintext(out, node, listening, members, join)
	d.protocol(orEmpty(f.Protocol), &out.Protocol)
	d.size(orEmpty(f.Journal).SegmentBytes, &out.Journal.SegmentBytes, 64*kib, gib)
	d.limits(orEmpty(f.Limits), &out.Limits)
	d.autoCompaction(f.AutoCompaction, &out.AutoCompaction)
}

func orEmpty[T any](block *T) *T {
	if block == nil {
		return new(T)
	}
	return block
}

func (d *decoder) cluster(e hcl.Expression, out *string) {
	if !d.given(e) {
		d.missing(hcl.Range{Filename: d.path}, "the configuration", "cluster", `"sample"`)
		return
	}
	if d.text(e, out) && !namePattern.MatchString(*out) {
		d.badName(e.Range(), *out)
	}
}

// missing says that an argument without a default is not there.
func (d *decoder) missing(at hcl.Range, where, name, such string) {
	d.error(at, "Missing argument", "There is no %s in %s, and it has no default. Want something such as %[1]s = %[3]s.", name, where, such)
}

// missingBlock says so, unless there is one and HCL had something to say about it.
func (d *decoder) missingBlock(name, purpose string) {
	if !d.blocks[name] {
		d.error(hcl.Range{Filename: d.path}, "Missing block", "There is no block %s \"…\" { … }, %s.", name, purpose)
	}
}

// node decodes the only node block and finds the member that it names. Both are
// nil when they are not there.
func (d *decoder) node(fs []fileNode, out *Node, members []member) (*fileNode, *member) {
	if len(fs) == 0 {
		d.missingBlock("node", "which says which member this node is")
		return nil, nil
	}
	for _, f := range fs[1:] {
		d.error(f.Range, "Duplicate node block", "Block node %q { … } at %s says already which member this node is.", fs[0].Name, fs[0].Range)
	}
	f := &fs[0]
	out.Name = f.Name
	out.DataDir = filepath.Join("data", f.Name)
	d.text(f.DataDir, &out.DataDir)
	d.oneOf(f.LogLevel, &out.LogLevel, "trace", "debug", "info", "warn", "error", "off")
	d.oneOf(f.LogFormat, &out.LogFormat, "text", "json")
	d.flag(f.Insecure, &out.Insecure)

	var names []string
	for i, m := range members {
		if m.Name == f.Name {
			return f, &members[i]
		}
		names = append(names, m.Name)
	}
	if len(names) > 0 {
		d.error(f.NameRange, "Node is not a member", "There is no block member %q { … }.%s", f.Name, didYouMean(f.Name, names))
	}
	return f, nil
}

func (d *decoder) protocol(f *fileProtocol, out *Protocol) {
	before := len(d.diags)
	d.count(f.Window, &out.Window, 1, 65536)
	d.count(f.Pipeline, &out.Pipeline, 1, 65536)
	d.count(f.BatchCommands, &out.BatchCommands, 1, 65536)
	d.size(f.BatchBytes, &out.BatchBytes, minDecree, maxDecree)
	d.size(f.ChunkBytes, &out.ChunkBytes, 4*kib, maxDecree)
	d.duration(f.Ping, &out.Ping)
	d.duration(f.Timeout, &out.Timeout)
	d.duration(f.TimeoutMin, &out.TimeoutMin)
	d.duration(f.TimeoutMax, &out.TimeoutMax)
	d.factor(f.TimeoutFactor, &out.TimeoutFactor, 10)
	d.duration(f.TimeoutStep, &out.TimeoutStep)
	d.duration(f.Resend, &out.Resend)
	d.duration(f.DiskTimeout, &out.DiskTimeout)
	d.duration(f.CatchUp, &out.CatchUp)
	d.durationOrOff(f.Lease, &out.Lease, "100ms")
	d.fraction(f.ClockDrift, &out.ClockDrift, 0.5)
	d.durationOrOff(f.AutoPromote, &out.AutoPromote, "3s")
	d.duration(f.Flush, &out.Flush)
	d.count(f.RetainSlots, &out.RetainSlots, 0, 1e9)
	d.size(f.RetainBytes, &out.RetainBytes, 0, 64*gib)
	if len(d.diags) > before {
		return // what does not go together may do so once these are right
	}
	const summary = "Settings that contradict each other"
	if out.Pipeline > out.Window {
		d.error(d.first(f.Pipeline, f.Window), summary,
			"Here pipeline is %d and window %d, but no slot beyond the window can be in flight. Want pipeline <= window.", out.Pipeline, out.Window)
	}
	if out.Lease > 0 && (out.Lease <= out.Ping || out.Lease > out.TimeoutMin) {
		d.error(d.first(f.Lease, f.TimeoutMin), summary,
			"Here lease is %s, ping %s and timeout_min %s. A lease that is not longer than ping runs out in between, and one that is longer than timeout_min keeps a better leader waiting. Want ping < lease <= timeout_min.", out.Lease, out.Ping, out.TimeoutMin)
	}
	if out.Ping >= out.TimeoutMin {
		d.error(d.first(f.Ping, f.TimeoutMin), summary,
			"Here ping is %s and timeout_min %s, but a leader must show itself more often than it may be silent. Want ping < timeout_min.", out.Ping, out.TimeoutMin)
	}
	if out.DiskTimeout < 4*out.Ping {
		d.error(d.first(f.DiskTimeout, f.Ping), summary,
			"Here disk_timeout is %s and ping %s, but the disk is looked at by the ping. Want disk_timeout >= 4 x ping.", out.DiskTimeout, out.Ping)
	}
	if out.TimeoutMin > out.Timeout {
		d.error(d.first(f.TimeoutMin, f.Timeout), summary,
			"Here timeout_min is %s and timeout %s. Want timeout_min <= timeout <= timeout_max.", out.TimeoutMin, out.Timeout)
	}
	if out.Timeout > out.TimeoutMax {
		d.error(d.first(f.TimeoutMax, f.Timeout), summary,
			"Here timeout is %s and timeout_max %s. Want timeout_min <= timeout <= timeout_max.", out.Timeout, out.TimeoutMax)
	}
}

func (d *decoder) limits(f *fileLimits, out *Limits) {
	d.size(f.RequestBytes, &out.RequestBytes, minDecree, maxDecree)
	d.count(f.TxnOps, &out.TxnOps, 1, 65536)
	d.count(f.InFlight, &out.InFlight, 1, 1e6)
	d.size(f.InFlightBytes, &out.InFlightBytes, minDecree, maxInFlight)
	d.count(f.Connections, &out.Connections, 1, 1e6)
	if out.InFlightBytes < out.RequestBytes {
		d.error(d.first(f.InFlightBytes, f.RequestBytes), "No request fits into the bytes in flight",
			"Here in_flight_bytes is %d bytes and request_bytes %d. Want request_bytes <= in_flight_bytes.", out.InFlightBytes, out.RequestBytes)
	}
	d.quota(f.Quota, &out.Quota)
	d.size(f.DiskReserve, &out.DiskReserve, 0, 1024*gib)
	d.durationOrOff(f.CheckEvery, &out.CheckEvery, "24h")
	d.duration(f.RequestTimeout, &out.RequestTimeout)
	d.duration(f.ShutdownTimeout, &out.ShutdownTimeout)
}

// quota wants a size in which there is room for something, or none at all, which is the
// default, as in etcd.
func (d *decoder) quota(e hcl.Expression, out *int64) {
	const least, most = mib, 8192 * gib
	given := *out
	d.size(e, &given, 0, most)
	switch {
	case given >= least:
		*out = given
	case given > 0:
		d.error(e.Range(), "Bad size", "Want \"0B\", which is the default, or from %s to %s, not %s.", formatSize(least), formatSize(most), d.source(e))
	}
}

package config

import "github.com/hashicorp/hcl/v2"

// fileConfig is a configuration as it is written.
type fileConfig struct {
	Cluster  hcl.Expression `hcl:"cluster"`
	Join     hcl.Expression `hcl:"join"`
	Nodes    []fileNode     `hcl:"node,block"` // one is wanted; decoder counts
	Listen   *fileListen    `hcl:"listen,block"`
	Members  []fileMember   `hcl:"member,block"`
	TLS      *fileTLS       `hcl:"tls,block"`
	Protocol *fileProtocol  `hcl:"protocol,block"`
	Journal  *fileJournal   `hcl:"journal,block"`
	Limits   *fileLimits    `hcl:"limits,block"`

	AutoCompaction *fileAutoCompaction `hcl:"auto_compaction,block"`
}

type fileAutoCompaction struct {
	Mode      hcl.Expression `hcl:"mode"`
	Retention hcl.Expression `hcl:"retention"`

	Range hcl.Range `hcl:",def_range"`
}

type fileNode struct {
	Name      string         `hcl:"name,label"`
	DataDir   hcl.Expression `hcl:"data_dir"`
	LogLevel  hcl.Expression `hcl:"log_level"`
	LogFormat hcl.Expression `hcl:"log_format"`
	Insecure  hcl.Expression `hcl:"insecure"`

	NameRange hcl.Range `hcl:"name,label_range"`
	Range     hcl.Range `hcl:",def_range"`
}

type fileListen struct {
	Peer   hcl.Expression `hcl:"peer"`
	Client hcl.Expression `hcl:"client"`
	HTTP   hcl.Expression `hcl:"http"`

	Range hcl.Range `hcl:",def_range"`
}

type fileMember struct {
	Name   string         `hcl:"name,label"`
	ID     hcl.Expression `hcl:"id"`
	Peer   hcl.Expression `hcl:"peer"`
	Client hcl.Expression `hcl:"client"`
	Roles  hcl.Expression `hcl:"roles"`

	NameRange hcl.Range `hcl:"name,label_range"`
	Range     hcl.Range `hcl:",def_range"`
}

type fileTLS struct {
	Peer   *filePeerTLS   `hcl:"peer,block"`
	Client *fileClientTLS `hcl:"client,block"`
}

type filePeerTLS struct {
	Cert hcl.Expression `hcl:"cert"`
	Key  hcl.Expression `hcl:"key"`
	CA   hcl.Expression `hcl:"ca"`

	Range hcl.Range `hcl:",def_range"`
}

type fileClientTLS struct {
	Cert       hcl.Expression `hcl:"cert"`
	Key        hcl.Expression `hcl:"key"`
	CA         hcl.Expression `hcl:"ca"`
	ClientAuth hcl.Expression `hcl:"client_auth"`

	Range hcl.Range `hcl:",def_range"`
}

type fileProtocol struct {
	Window        hcl.Expression `hcl:"window"`
	Pipeline      hcl.Expression `hcl:"pipeline"`
	BatchCommands hcl.Expression `hcl:"batch_commands"`
	BatchBytes    hcl.Expression `hcl:"batch_bytes"`
	ChunkBytes    hcl.Expression `hcl:"chunk_bytes"`

	Ping          hcl.Expression `hcl:"ping"`
	Timeout       hcl.Expression `hcl:"timeout"`
	TimeoutMin    hcl.Expression `hcl:"timeout_min"`
	TimeoutMax    hcl.Expression `hcl:"timeout_max"`
	TimeoutFactor hcl.Expression `hcl:"timeout_factor"`
	TimeoutStep   hcl.Expression `hcl:"timeout_step"`
	Resend        hcl.Expression `hcl:"resend"`
	DiskTimeout   hcl.Expression `hcl:"disk_timeout"`
	CatchUp       hcl.Expression `hcl:"catch_up"`

	Lease       hcl.Expression `hcl:"lease"`
	ClockDrift  hcl.Expression `hcl:"clock_drift"`
	AutoPromote hcl.Expression `hcl:"auto_promote"`
	Flush       hcl.Expression `hcl:"flush"`
	RetainSlots hcl.Expression `hcl:"retain_slots"`
	RetainBytes hcl.Expression `hcl:"retain_bytes"`
}

type fileJournal struct {
	SegmentBytes hcl.Expression `hcl:"segment_bytes"`
}

type fileLimits struct {
	RequestBytes    hcl.Expression `hcl:"request_bytes"`
	TxnOps          hcl.Expression `hcl:"txn_ops"`
	InFlight        hcl.Expression `hcl:"in_flight"`
	InFlightBytes   hcl.Expression `hcl:"in_flight_bytes"`
	Quota           hcl.Expression `hcl:"quota"`
	DiskReserve     hcl.Expression `hcl:"disk_reserve"`
	CheckEvery      hcl.Expression `hcl:"check_every"`
	Connections     hcl.Expression `hcl:"connections"`
	RequestTimeout  hcl.Expression `hcl:"request_timeout"`
	ShutdownTimeout hcl.Expression `hcl:"shutdown_timeout"`
}

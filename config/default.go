package config

import "time"

// Default returns the settings of a node that was told none. Who it is and who
// the others are has no default: Cluster, Node.Name, Node.DataDir, Listen.Peer,
// Listen.Client and Members are empty.
func Default() *Config {
	return &Config{
		Node:   Node{LogLevel: "info", LogFormat: "text"},
		Listen: Listen{HTTP: "127.0.0.1:2380"},
		Protocol: Protocol{
			Window:        128,
			Pipeline:      8,
			BatchCommands: 4096,
			BatchBytes:    1 << 20,
			ChunkBytes:    256 << 10,

			Ping:          50 * time.Millisecond,
			Timeout:       400 * time.Millisecond,
			TimeoutMin:    300 * time.Millisecond,
			TimeoutMax:    5 * time.Second,
			TimeoutFactor: 2,
			TimeoutStep:   time.Millisecond,
			Resend:        100 * time.Millisecond,
			DiskTimeout:   2 * time.Second,
			CatchUp:       50 * time.Millisecond,

			ClockDrift:  0.05,
			AutoPromote: 3 * time.Second,

			Flush:       2 * time.Second,
			RetainSlots: 10000,
			RetainBytes: 64 << 20,
		},
		Journal: Journal{SegmentBytes: 16 << 20},
		Limits: Limits{
			RequestBytes:    3 << 19,
			TxnOps:          128,
			InFlight:        4096,
			InFlightBytes:   256 << 20,
			Quota:           2 << 30,
			DiskReserve:     128 << 20,
			CheckEvery:      24 * time.Hour,
			Connections:     8192,
			RequestTimeout:  7 * time.Second,
			ShutdownTimeout: 10 * time.Second,
		},
	}
}

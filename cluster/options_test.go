package cluster

import (
	"strings"
	"testing"
	"time"
)

// What cannot work is refused by Start, with the field, its value and what is wanted;
// a zero that means something is not.
func TestOptionsThatCannotWork(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Options)
		want   string // in the error; none if empty
	}{
		{"as they are", func(*Options) {}, ""},
		{"no cluster", func(o *Options) { o.Cluster = "" }, "Cluster is missing"},
		{"no member", func(o *Options) { o.Member, o.Members, o.Join, o.Address = "", nil, []string{"beta:1"}, "alpha:1" }, "Member is missing"},
		{"no protocol", func(o *Options) { o.Protocol = Protocol{} }, ""},
		{"a protocol with one field", func(o *Options) { o.Protocol = Protocol{Window: 64} },
			"Protocol.Pipeline is 0: want 1 to 64, which is Window; start from DefaultProtocol()"},
		{"no window", func(o *Options) { o.Protocol.Window = 0 }, "Protocol.Window is 0: want more than 0"},
		{"a pipeline beyond the window", func(o *Options) { o.Protocol.Pipeline = 129 }, "Protocol.Pipeline is 129: want 1 to 128"},
		{"no commands", func(o *Options) { o.Protocol.BatchCommands = 0 }, "Protocol.BatchCommands is 0"},
		{"no batch", func(o *Options) { o.Protocol.BatchBytes = 0 }, "Protocol.BatchBytes is 0"},
		{"a batch of the most that a decree may have", func(o *Options) { o.Protocol.BatchBytes = MaxOperationBytes }, ""},
		{"a batch beyond", func(o *Options) { o.Protocol.BatchBytes = MaxOperationBytes + 1 }, "Protocol.BatchBytes is 16777217: want 1 to 16777216"},
		{"no least time-out", func(o *Options) { o.Protocol.Timeout.Min = 0 }, "Protocol.Timeout.Min is 0s"},
		{"a first time-out below the least", func(o *Options) { o.Protocol.Timeout.Initial = 1 }, "Protocol.Timeout.Initial is 1ns: want 300ms"},
		{"a first time-out above the most", func(o *Options) { o.Protocol.Timeout.Max = 1 }, "Protocol.Timeout.Max is 1ns: want 400ms"},
		{"a time-out that does not grow", func(o *Options) { o.Protocol.Timeout.Factor = 1 }, "Protocol.Timeout.Factor is 1: want more than 1"},
		{"a time-out that does not shrink", func(o *Options) { o.Protocol.Timeout.Step = 0 }, "Protocol.Timeout.Step is 0s"},
		{"no ping", func(o *Options) { o.Protocol.Ping = 0 }, "Protocol.Ping is 0s"},
		{"a ping that is too rare", func(o *Options) { o.Protocol.Ping = time.Second }, "Protocol.Ping is 1s: want more than 0 and less than 300ms"},
		{"no resend", func(o *Options) { o.Protocol.Resend = 0 }, "Protocol.Resend is 0s"},
		{"a disk that may hang", func(o *Options) { o.Protocol.DiskTimeout = 0 }, ""},
		{"a disk time-out below the ping's", func(o *Options) { o.Protocol.DiskTimeout = 1 }, "Protocol.DiskTimeout is 1ns: want 0, which is for ever, or at least 200ms"},
		{"a lease", func(o *Options) { o.Protocol.Lease = 100 * time.Millisecond }, ""},
		{"a lease that is too long", func(o *Options) { o.Protocol.Lease = time.Second }, "Protocol.Lease is 1s"},
		{"a negative lease", func(o *Options) { o.Protocol.Lease = -1 }, "Protocol.Lease is -1ns"},
		{"clocks without drift", func(o *Options) { o.Protocol.Drift = 0 }, ""},
		{"a negative drift", func(o *Options) { o.Protocol.Drift = -0.1 }, "Protocol.Drift is -0.1"},
		{"no promotion", func(o *Options) { o.Protocol.AutoPromote = 0 }, ""},
		{"a negative promotion", func(o *Options) { o.Protocol.AutoPromote = -1 }, "Protocol.AutoPromote is -1ns"},
		{"no catch-up", func(o *Options) { o.Protocol.CatchUp = 0 }, "Protocol.CatchUp is 0s"},
		{"nothing retained", func(o *Options) { o.Protocol.RetainSlots, o.Protocol.RetainBytes = 0, 0 }, ""},
		{"fewer slots than none", func(o *Options) { o.Protocol.RetainSlots = -1 }, "Protocol.RetainSlots is -1"},
		{"fewer bytes than none", func(o *Options) { o.Protocol.RetainBytes = -1 }, "Protocol.RetainBytes is -1"},
		{"no chunks", func(o *Options) { o.Protocol.ChunkBytes = 0 }, "Protocol.ChunkBytes is 0"},
		{"chunks beyond what a message may have", func(o *Options) { o.Protocol.ChunkBytes = MaxOperationBytes + 1 }, "Protocol.ChunkBytes is 16777217: want 1 to 16777216"},
		{"no flush", func(o *Options) { o.Protocol.Flush = 0 }, "Protocol.Flush is 0s"},
		{"segments of the journal's own size", func(o *Options) { o.Protocol.SegmentBytes = 0 }, ""},
		{"negative segments", func(o *Options) { o.Protocol.SegmentBytes = -1 }, "Protocol.SegmentBytes is -1"},
		{"no calls", func(o *Options) { o.Protocol.InFlight = 0 }, "Protocol.InFlight is 0"},
		{"a negative check", func(o *Options) { o.CheckEvery = -1 }, "CheckEvery is -1ns: want 0, which is never, or more"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := optionsOf(t.TempDir(), "alpha")
			o.Machine = new(text)
			tt.change(&o)
			err := o.check()
			if tt.want != "" {
				_, err = Start(o)
			}
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

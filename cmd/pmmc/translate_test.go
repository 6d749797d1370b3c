package main

import (
	"testing"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/gateway"
	"github.com/pmmc-go/pmmc/config"
)

// Who embeds the library and who runs the binary get the same cluster.
func TestDefaultsAreStatedOnce(t *testing.T) {
	c := config.Samples()[0]
	if got, want := protocolOptions(c), cluster.DefaultProtocol(); got != want {
		t.Errorf("protocol:\nHCL     %+v\nlibrary %+v", got, want)
	}
	if got, want := gatewayOptions(c, serverTLS{}, nil, nil, newLogger(c, t.Output())).Limits, gateway.DefaultLimits(); got != want {
		t.Errorf("limits:\nHCL     %+v\nlibrary %+v", got, want)
	}
}

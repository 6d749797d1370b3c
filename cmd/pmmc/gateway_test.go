package main

import (
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/cluster/gateway"
	"github.com/pmmc-go/pmmc/config"
)

// What the configuration says of history and space gets to the gateway.
func TestGatewayOptions(t *testing.T) {
	c := config.Default()
	c.Limits.Quota, c.AutoCompaction = 3<<30, config.AutoCompaction{Period: time.Hour, Revisions: 5}
	o := gatewayOptions(c, serverTLS{}, nil, nil, newLogger(c, t.Output()))
	if want := (gateway.AutoCompaction{Period: time.Hour, Revisions: 5}); o.AutoCompaction != want || o.Limits.Quota != 3<<30 {
		t.Errorf("options = %+v, quota %d", o.AutoCompaction, o.Limits.Quota)
	}
}

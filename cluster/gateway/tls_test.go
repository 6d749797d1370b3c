package gateway

import (
	"context"
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/pmmc-go/pmmc/cluster/transport/testcert"
)

// With TLS, only clients with a certificate are served; health needs none. The URLs
// of members say so.
func TestTLS(t *testing.T) {
	authority := testcert.New(t)
	server, known := authority.TLS("alpha"), authority.TLS("client")
	server.ClientAuth = tls.RequireAndVerifyClientCert
	stranger := &tls.Config{RootCAs: known.RootCAs, MinVersion: tls.VersionTLS13}
	f := start(t, func(o *Options) { o.TLS, o.PeerTLS = server, true })

	put := func(config *tls.Config) error {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{"https://" + f.gateway.ClientAddr()}, TLS: config, Logger: zap.NewNop()})
		if err != nil {
			return err
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := c.Put(ctx, "a", "1"); err != nil {
			return err
		}
		members, err := c.MemberList(ctx)
		if err == nil && (members.Members[0].ClientURLs[0] != "https://127.0.0.1:2379" || members.Members[0].PeerURLs[0] != "https://127.0.0.1:7001") {
			t.Errorf("members = %v", members.Members)
		}
		return err
	}
	if err := put(known); err != nil {
		t.Errorf("a client with a certificate: %v", err)
	}
	if err := put(stranger); err == nil {
		t.Error("a client without a certificate was served")
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: stranger, DisableKeepAlives: true}}
	resp, err := web.Get("https://" + f.gateway.HTTPAddr() + "/health")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("/health without a certificate: %v, %v", resp, err)
	}
	_ = resp.Body.Close() // it was read or is not wanted
}

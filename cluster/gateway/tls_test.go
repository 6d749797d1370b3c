package gateway

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/pmmc-go/pmmc/cluster/certs"
	"github.com/pmmc-go/pmmc/cluster/transport/testcert"
)

// With TLS, only clients with a certificate are served; health needs none. The URLs
// of members say so.
func TestTLS(t *testing.T) {
	authority := testcert.New(t)
	server, known := authority.TLS("alpha"), authority.TLS("client")
	server.ClientAuth = tls.RequireAndVerifyClientCert
	stranger := &tls.Config{RootCAs: known.RootCAs, MinVersion: tls.VersionTLS13}
	f := start(t, func(o *Options) { o.TLS, o.PeerTLS = certs.Fixed(server), certs.Fixed(server) })

	put := func(ctx context.Context, config *tls.Config) error {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{"https://" + f.gateway.ClientAddr()}, TLS: config, Logger: zap.NewNop()})
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Put(ctx, "a", "1"); err != nil {
			return err
		}
		members, err := c.MemberList(ctx)
		if err == nil && (members.Members[0].ClientURLs[0] != "https://127.0.0.1:2379" || members.Members[0].PeerURLs[0] != "https://127.0.0.1:7001") {
			t.Errorf("members = %v", members.Members)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := put(ctx, known); err != nil {
		t.Errorf("a client with a certificate: %v", err)
	}
	ctx, giveUp := context.WithCancel(t.Context())
	turnedAway := make(chan error, 1)
	go func() { turnedAway <- put(ctx, stranger) }() // again and again
	failed := &f.gateway.metrics.handshakes
	eventually(t, "a handshake that failed", func() bool { return failed.Load() > 0 && failed.said.Load() > 0 })
	giveUp()
	if err := <-turnedAway; err == nil {
		t.Error("a client without a certificate was served")
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: stranger, DisableKeepAlives: true}}
	resp, err := web.Get("https://" + f.gateway.HTTPAddr() + "/health")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("/health without a certificate: %v, %v", resp, err)
	}
	_ = resp.Body.Close() // it was read or is not wanted
}

// Who only looks whether the port is open, and is let go at the end, has failed in nothing.
func TestASilentConnectionIsNoFailedHandshake(t *testing.T) {
	o := start(t).gateway.options
	o.Client, o.HTTP, o.TLS = "127.0.0.1:0", "", certs.Fixed(testcert.New(t).TLS("alpha"))
	g, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Dial("tcp", g.ClientAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	eventually(t, "the connection", func() bool { return g.clients.count() == 1 })
	if err := g.Stop(t.Context()); err != nil { // which waits for all handshakes
		t.Fatal(err)
	}
	if n := g.metrics.handshakes.Load(); n != 0 {
		t.Errorf("%d handshakes failed", n)
	}
}

// Clients speak TLS 1.3 or not at all, on either port, and with what the source gives
// when they come.
func TestTLSOfEachHandshake(t *testing.T) {
	first, second := testcert.New(t), testcert.New(t)
	var now atomic.Pointer[tls.Config]
	now.Store(first.TLS("alpha"))
	f := start(t, func(o *Options) { o.TLS = now.Load })
	dial := func(address string, authority *testcert.Authority, version uint16) error {
		c := authority.TLS("client")
		c.ServerName, c.MinVersion, c.MaxVersion, c.NextProtos = "alpha", tls.VersionTLS12, version, []string{"h2", "http/1.1"}
		conn, err := tls.Dial("tcp", address, c)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	for _, authority := range []*testcert.Authority{first, second} {
		config := authority.TLS("alpha")
		config.MinVersion = 0 // which is 1.2
		now.Store(config)
		for _, address := range []string{f.gateway.ClientAddr(), f.gateway.HTTPAddr()} {
			if err := dial(address, authority, tls.VersionTLS12); err == nil {
				t.Errorf("%s: TLS 1.2 was spoken", address)
			}
			if err := dial(address, authority, tls.VersionTLS13); err != nil {
				t.Errorf("%s: %v", address, err)
			}
		}
	}
}

// When certificates expire shows in the metrics, and is worth a warning three weeks before.
func TestCertificatesExpire(t *testing.T) {
	plain := start(t)
	plain.gateway.lookAtCertificates()
	if _, got := plain.web("/metrics"); strings.Contains(got, "pmmc_certificate_expires") {
		t.Error("a certificate is shown without TLS")
	}
	config := testcert.New(t).TLS("alpha")
	leaf := *config.Certificates[0].Leaf
	config.Certificates[0].Leaf = &leaf
	leaf.NotAfter = time.Unix(1_800_000_000, 0)
	f := start(t, func(o *Options) { o.PeerTLS = certs.Fixed(config) })
	f.gateway.lookAtCertificates()
	_, numbers := f.web("/metrics")
	if want := `pmmc_certificate_expires_timestamp_seconds{for="peer"} 1.8e+09`; !strings.Contains(numbers, "\n"+want+"\n") {
		t.Errorf("no %s", want)
	}
	for before, want := range map[time.Duration][]string{
		warnExpiry:      nil,
		warnExpiry - 1:  {"alpha: its certificate for peers expires in 20d23h"},
		time.Hour:       {"alpha: its certificate for peers expires in 1h00m"},
		0:               {"alpha: its certificate for peers has expired"},
		-10 * time.Hour: {"alpha: its certificate for peers has expired"},
	} {
		if got := f.gateway.certificateWarnings(leaf.NotAfter.Add(-before)); !slices.Equal(got, want) {
			t.Errorf("%s before: %q, want %q", before, got, want)
		}
	}
}

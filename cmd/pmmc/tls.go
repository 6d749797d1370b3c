package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/pmmc-go/pmmc/cluster/transport"
	"github.com/pmmc-go/pmmc/config"
)

// serverTLS is what a node needs for its listeners; nil is plaintext.
type serverTLS struct {
	peer   *tls.Config
	client *tls.Config // the certificates of clients are looked at as configured
}

// loadTLS reads the files that a configuration names.
func loadTLS(c config.TLS) (serverTLS, error) {
	var s serverTLS
	var err error
	if p := c.Peer; p != nil {
		if s.peer, err = transport.LoadTLS(p.Cert, p.Key, p.CA); err != nil {
			return s, err
		}
	}
	if c.Client == nil {
		return s, nil
	}
	cert, err := tls.LoadX509KeyPair(c.Client.Cert, c.Client.Key)
	if err != nil {
		return s, fmt.Errorf("certificate %s with key %s: %w", c.Client.Cert, c.Client.Key, err)
	}
	s.client = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	if c.Client.CA != "" {
		if s.client.ClientCAs, err = loadPool(c.Client.CA); err != nil {
			return s, err
		}
		s.client.ClientAuth = tls.VerifyClientCertIfGiven
	}
	if c.Client.ClientAuth {
		s.client.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return s, nil
}

func loadPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("authority %s: no certificate in it, want PEM blocks of type CERTIFICATE", file)
	}
	return pool, nil
}

// tlsFlags are the files with which a client speaks TLS.
type tlsFlags struct{ ca, cert, key string }

// load returns nil for plaintext, which is what no file means.
func (f tlsFlags) load() (*tls.Config, error) {
	if (f.cert == "") != (f.key == "") {
		return nil, errors.New("--cert and --key go together")
	}
	if f == (tlsFlags{}) {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS13}
	if f.ca != "" {
		pool, err := loadPool(f.ca)
		if err != nil {
			return nil, fmt.Errorf("--cacert: %w", err)
		}
		c.RootCAs = pool
	}
	if f.cert != "" {
		cert, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, fmt.Errorf("--cert %s with --key %s: %w", f.cert, f.key, err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

package main

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/cluster/certs"
	"github.com/pmmc-go/pmmc/config"
)

// serverTLS is what a node needs for its listeners; nil is plaintext.
type serverTLS struct {
	peer   certs.Source
	client certs.Source // the certificates of clients are looked at as configured
}

// loadTLS reads the files that a configuration names. They are read again when they
// change.
func loadTLS(c *config.Config, log hclog.Logger) (serverTLS, error) {
	var s serverTLS
	var err error
	log = log.Named("tls")
	if p := c.TLS.Peer; p != nil {
		files := certs.Files{Cert: p.Cert, Key: p.Key, CA: p.CA, Member: c.Node.Name}
		if s.peer, err = certs.Watch(files, log); err != nil {
			return s, err
		}
	}
	client := c.TLS.Client
	if client == nil {
		return s, nil
	}
	source, err := certs.Watch(certs.Files{Cert: client.Cert, Key: client.Key, CA: client.CA}, log)
	if err != nil {
		return s, err
	}
	s.client = func() *tls.Config {
		config := source().Clone()
		switch {
		case client.ClientAuth:
			config.ClientAuth = tls.RequireAndVerifyClientCert
		case client.CA != "":
			config.ClientAuth = tls.VerifyClientCertIfGiven
		}
		return config
	}
	return s, nil
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
		pool, err := certs.ReadPool(f.ca)
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

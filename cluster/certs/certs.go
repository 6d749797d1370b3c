// Package certs reads a node's certificates from files, and reads them again when the
// files change, so that renewing them takes no restart.
//
//  1. Each handshake uses what the files held when it began. Connections that stand are
//     left alone.
//  2. Files that cannot be used, because they are half written or do not belong together,
//     change nothing: the last good ones stay, and one line says so.
//  3. TLS 1.3 or nothing.
//
// Less formally: a Source is asked for a configuration at each handshake. It looks at the
// files' ages, sizes and inodes, three system calls beside a handshake's elliptic curves,
// so nothing runs in between and nothing has to be stopped.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// A Source gives the configuration for one handshake, in either direction. Who gets it
// must not change it.
type Source func() *tls.Config

// Fixed is a source of one configuration.
func Fixed(c *tls.Config) Source { return func() *tls.Config { return c } }

// Files are the PEM files of one party.
type Files struct {
	Cert, Key string
	CA        string // of the authorities that must have signed the other party's; none if empty
	// Member, if not empty, is the name that a party of the same authorities must find in
	// the certificate.
	Member string
}

// Read reads the files once.
func (f Files) Read() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", f.Cert, f.Key, err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	if f.CA != "" {
		if c.RootCAs, err = ReadPool(f.CA); err != nil {
			return nil, err
		}
		c.ClientCAs = c.RootCAs
	}
	if f.Member == "" {
		return c, nil
	}
	if err := Verify(cert.Leaf, nil, c.RootCAs, f.Member); err != nil {
		return nil, fmt.Errorf("certificate %s is not what other members want to see of %q: %w", f.Cert, f.Member, err)
	}
	return c, nil
}

// ReadPool reads the certificates of authorities from a PEM file.
func ReadPool(file string) (*x509.CertPool, error) {
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

// Verify tells whether a certificate is of one of the authorities, and has a name, if
// that is not empty.
func Verify(leaf *x509.Certificate, between []*x509.Certificate, authorities *x509.CertPool, name string) error {
	if leaf == nil {
		return errors.New("no certificate")
	}
	pool := x509.NewCertPool()
	for _, c := range between {
		pool.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: authorities, Intermediates: pool, DNSName: name})
	return err
}

// Package certs reads a node's certificates from files, and reads them again when the
// files change, so that renewing them takes no restart.
//
//  1. Each handshake uses what the files held when it began. Connections that stand are
//     left alone.
//  2. Files that cannot be used, because they are half written or do not belong together,
//     change nothing: the last good ones stay, and one line says so.
//  3. TLS 1.3 or nothing.
//
// Less formally: a Source is asked for a configuration at each handshake. It reads the files,
// which costs little beside a handshake's elliptic curves, and compares them with what it
// knows: nothing runs in between, nothing has to be stopped, and no change is too fast to
// be seen in a file's age.
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
	t, err := f.texts()
	if err != nil {
		return nil, err
	}
	return f.parse(t)
}

// texts is what is in the files of a party.
type texts struct{ cert, key, ca string }

func (f Files) texts() (t texts, err error) {
	for _, one := range []struct {
		what, path string
		to         *string
	}{{"certificate", f.Cert, &t.cert}, {"key", f.Key, &t.key}, {"authority", f.CA, &t.ca}} {
		if one.path == "" {
			continue
		}
		b, err := os.ReadFile(one.path)
		if err != nil {
			return t, fmt.Errorf("%s: %w", one.what, err)
		}
		*one.to = string(b)
	}
	return t, nil
}

func (f Files) parse(t texts) (*tls.Config, error) {
	cert, err := tls.X509KeyPair([]byte(t.cert), []byte(t.key))
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", f.Cert, f.Key, err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	if f.CA != "" {
		if c.RootCAs, err = parsePool(f.CA, []byte(t.ca)); err != nil {
			return nil, err
		}
		c.ClientCAs = c.RootCAs
	}
	if f.Member == "" {
		return c, nil
	}
	var between []*x509.Certificate
	for _, der := range cert.Certificate[1:] {
		one, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: one of those behind the first: %w", f.Cert, err)
		}
		between = append(between, one)
	}
	if err := Verify(cert.Leaf, between, c.RootCAs, f.Member); err != nil {
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
	return parsePool(file, pem)
}

func parsePool(file string, pem []byte) (*x509.CertPool, error) {
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

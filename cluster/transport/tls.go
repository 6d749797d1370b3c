package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// LoadTLS reads a node's certificate and key, and the certificate of the authority
// that must have signed its peers', from PEM files.
func LoadTLS(certFile, keyFile, caFile string) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("transport: TLS: certificate %s with key %s: %w", certFile, keyFile, err)
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("transport: TLS: authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("transport: TLS: authority %s: no certificate in it, want PEM blocks of type CERTIFICATE", caFile)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, ClientCAs: pool, MinVersion: tls.VersionTLS13}, nil
}

// mutual is the part of a configuration that both sides of a connection share.
func mutual(c *tls.Config) (*tls.Config, error) {
	c = c.Clone()
	if c.RootCAs == nil {
		c.RootCAs = c.ClientCAs
	}
	if c.ClientCAs == nil {
		c.ClientCAs = c.RootCAs
	}
	switch {
	case c.RootCAs == nil:
		return nil, errors.New("no RootCAs: without it any certificate that some public authority signed would do")
	case len(c.Certificates) == 0 && (c.GetCertificate == nil || c.GetClientCertificate == nil):
		return nil, errors.New("no Certificates")
	}
	c.MinVersion = tls.VersionTLS13
	c.InsecureSkipVerify = false
	c.SessionTicketsDisabled = true
	return c, nil
}

// certified tells whether the certificate that was shown is a member's.
func certified(state tls.ConnectionState, member string) bool {
	return len(state.PeerCertificates) > 0 && slices.Contains(state.PeerCertificates[0].DNSNames, member)
}

// serverCredentials are for those who dial this node.
func (t *Transport) serverCredentials() credentials.TransportCredentials {
	if t.options.TLS == nil {
		return insecure.NewCredentials()
	}
	c := t.options.TLS.Clone()
	c.ClientAuth = tls.RequireAndVerifyClientCert
	c.VerifyConnection = func(state tls.ConnectionState) error {
		for member := range t.peering.Load().byName {
			if isUnknown(member) || certified(state, member) {
				return nil
			}
		}
		return fmt.Errorf("certificate for %q, want a member's name", state.PeerCertificates[0].DNSNames)
	}
	return credentials.NewTLS(c)
}

// clientCredentials are for dialling a member.
func (t *Transport) clientCredentials(member string) credentials.TransportCredentials {
	if t.options.TLS == nil {
		return insecure.NewCredentials()
	}
	c := t.options.TLS.Clone()
	if isUnknown(member) {
		c.InsecureSkipVerify = true // of the name only: the chain is verified below
		c.VerifyConnection = func(state tls.ConnectionState) error {
			return signedBy(c.RootCAs, state.PeerCertificates)
		}
		return credentials.NewTLS(c)
	}
	c.ServerName = member
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if !certified(state, member) {
			return fmt.Errorf("certificate for %q, want %q", state.PeerCertificates[0].DNSNames, member)
		}
		return nil
	}
	return credentials.NewTLS(c)
}

// signedBy tells whether the first certificate is of the authority of the cluster.
func signedBy(roots *x509.CertPool, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
	return err
}

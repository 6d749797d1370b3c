package transport

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/pmmc-go/pmmc/cluster/certs"
)

// checkTLS refuses a configuration with which peers cannot know each other.
func checkTLS(c *tls.Config) error {
	switch {
	case c.RootCAs == nil && c.ClientCAs == nil:
		return errors.New("no RootCAs: without it any certificate that some public authority signed would do")
	case len(c.Certificates) == 0 && (c.GetCertificate == nil || c.GetClientCertificate == nil):
		return errors.New("no Certificates")
	}
	return nil
}

// mutual is the part of a configuration that both sides of a connection share. Without
// authorities it trusts nobody.
func mutual(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.RootCAs = cmp.Or(c.RootCAs, c.ClientCAs, x509.NewCertPool())
	c.ClientCAs = cmp.Or(c.ClientCAs, c.RootCAs)
	c.MinVersion = tls.VersionTLS13
	c.InsecureSkipVerify = false
	c.SessionTicketsDisabled = true
	return c
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
	return t.credentials(func(c *tls.Config) {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.VerifyConnection = func(state tls.ConnectionState) error {
			for member := range t.peering.Load().byName {
				if isUnknown(member) || certified(state, member) {
					return nil
				}
			}
			return fmt.Errorf("certificate for %q, want a member's name", state.PeerCertificates[0].DNSNames)
		}
	})
}

// clientCredentials are for dialling a member.
func (t *Transport) clientCredentials(member string) credentials.TransportCredentials {
	if t.options.TLS == nil {
		return insecure.NewCredentials()
	}
	return t.credentials(func(c *tls.Config) {
		if isUnknown(member) {
			c.InsecureSkipVerify = true // of the name only: the chain is verified below
			c.VerifyConnection = func(state tls.ConnectionState) error {
				return signedBy(c.RootCAs, state.PeerCertificates)
			}
			return
		}
		c.ServerName = member
		c.VerifyConnection = func(state tls.ConnectionState) error {
			if !certified(state, member) {
				return fmt.Errorf("certificate for %q, want %q", state.PeerCertificates[0].DNSNames, member)
			}
			return nil
		}
	})
}

// credentials have what one side adds to the configuration at hand at each handshake.
func (t *Transport) credentials(add func(*tls.Config)) credentials.TransportCredentials {
	return certs.Credentials(func() *tls.Config {
		c := mutual(t.options.TLS())
		add(c)
		return c
	})
}

// signedBy tells whether the first certificate is of the authority of the cluster.
func signedBy(roots *x509.CertPool, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("no certificate")
	}
	return certs.Verify(chain[0], chain[1:], roots, "")
}

// Package testcert makes certificates for tests: an authority, and what it signs.
package testcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// caFile is that of the authorities' certificates.
const caFile = "ca.pem"

// lifetime is how long certificates are valid, before and after now.
const lifetime = time.Hour

// Authority signs certificates.
type Authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// New makes an authority that nobody else knows.
func New(t testing.TB) *Authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-lifetime), NotAfter: time.Now().Add(lifetime),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return &Authority{t: t, cert: sign(t, template, template, key, key), key: key}
}

// TLS returns the configuration of a node, or of a client, whose certificate has the
// given DNS names, and loopback's addresses. It trusts those whom the authority signed.
func (a *Authority) TLS(names ...string) *tls.Config {
	a.t.Helper()
	cert, key := a.issue(names)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}},
		RootCAs:      pool, ClientCAs: pool, MinVersion: tls.VersionTLS13,
	}
}

// Files writes a certificate for the names, its key, and the authority's certificate
// to a folder.
func (a *Authority) Files(dir string, names ...string) (cert, key, ca string) {
	a.t.Helper()
	leaf, private := a.issue(names)
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		a.t.Fatalf("testcert: encode a key: %v", err)
	}
	return a.write(dir, "cert.pem", "CERTIFICATE", leaf.Raw),
		a.write(dir, "key.pem", "EC PRIVATE KEY", der),
		a.write(dir, caFile, "CERTIFICATE", a.cert.Raw)
}

// Bundle writes the authority's certificate, and those of others, to the file that Files
// writes, as while one authority takes the place of another.
func (a *Authority) Bundle(dir string, others ...*Authority) {
	a.t.Helper()
	var bundle []byte
	for _, one := range append([]*Authority{a}, others...) {
		bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one.cert.Raw})...)
	}
	if err := os.WriteFile(filepath.Join(dir, caFile), bundle, 0o600); err != nil {
		a.t.Fatalf("testcert: %v", err)
	}
}

func (a *Authority) write(dir, name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatalf("testcert: %v", err)
	}
	return path
}

func (a *Authority) issue(names []string) (*x509.Certificate, *ecdsa.PrivateKey) {
	key := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: serial(a.t), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-lifetime), NotAfter: time.Now().Add(lifetime),
		DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	return sign(a.t, template, a.cert, key, a.key), key
}

func sign(t testing.TB, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatalf("testcert: sign: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("testcert: parse: %v", err)
	}
	return cert
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("testcert: make a key: %v", err)
	}
	return key
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatalf("testcert: draw a number: %v", err)
	}
	return n
}

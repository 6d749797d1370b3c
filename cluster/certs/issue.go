package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// early is how long before it is made a certificate begins to be valid, for machines whose
// clocks are behind.
const early = 5 * time.Minute

// maxSerial bounds the numbers of certificates, which are drawn: two will not meet.
var maxSerial = new(big.Int).Lsh(big.NewInt(1), 120)

// Authority is who signs certificates: a key, its certificate, and those of the authority
// whose place it took, which are trusted as long as they stand in its file.
type Authority struct {
	path string // without .pem and .key
	key  crypto.Signer
	cert *x509.Certificate
	old  []*x509.Certificate
}

// NewAuthority makes an authority in the files path.pem and path.key. One that is there is
// replaced only if next is true; it stays trusted then, until Retire.
func NewAuthority(path string, next bool, valid time.Duration) (*Authority, error) {
	a := &Authority{path: path}
	switch before, err := OpenAuthority(path); {
	case err == nil && !next:
		return nil, fmt.Errorf("%s.pem: there is an authority already", path)
	case err == nil:
		a.old = append(a.old, before.cert)
	case next || !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	template, err := newTemplate(filepath.Base(path), valid)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	if a.cert, err = sign(template, template, a.key.Public(), a.key); err != nil {
		return nil, err
	}
	return a, errors.Join(writeKey(path+".key", a.key), a.writeCerts(path+".pem"))
}

// OpenAuthority reads an authority from the files path.pem and path.key.
func OpenAuthority(path string) (*Authority, error) {
	text, err := os.ReadFile(path + ".pem")
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	var all []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("authority %s.pem: %w", path, err)
		}
		all = append(all, cert)
	}
	text, err = os.ReadFile(path + ".key")
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || len(all) == 0 {
		return nil, fmt.Errorf("authority %s: want PEM in its .pem and its .key", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("authority %s.key: %w", path, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("authority %s.key: a key of type %T signs nothing", path, key)
	}
	return &Authority{path: path, key: signer, cert: all[0], old: all[1:]}, nil
}

// Retire takes the authority whose place this one took out of its file, and tells whether
// there was one.
func (a *Authority) Retire() (bool, error) {
	if len(a.old) == 0 {
		return false, nil
	}
	a.old = nil
	return true, a.writeCerts(a.path + ".pem")
}

// A Subject is whom a certificate is for.
type Subject struct {
	Name  string
	Hosts []string // names and addresses at which it is reached
	Valid time.Duration
}

// Issue writes a certificate with its key, and the authority's certificates, to the files
// kind.pem, kind.key and kind-ca.pem in a folder. They are replaced one by one, each as a
// whole: whoever watches them takes the certificate once its key is there.
func (a *Authority) Issue(s Subject, dir, kind string) (*x509.Certificate, error) {
	template, err := newTemplate(s.Name, s.Valid)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, host := range s.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert, err := sign(template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, kind)
	return cert, errors.Join(a.writeCerts(path+"-ca.pem"), writeKey(path+".key", key), writeFile(path+".pem", "CERTIFICATE", 0o644, cert.Raw))
}

func newTemplate(name string, valid time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, maxSerial)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-early), NotAfter: now.Add(valid), BasicConstraintsValid: true,
	}, nil
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (a *Authority) writeCerts(path string) error {
	all := [][]byte{a.cert.Raw}
	for _, c := range a.old {
		all = append(all, c.Raw)
	}
	return writeFile(path, "CERTIFICATE", 0o644, all...)
}

func writeKey(path string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writeFile(path, "PRIVATE KEY", 0o600, der)
}

// writeFile replaces a file as a whole.
func writeFile(path, kind string, mode os.FileMode, blocks ...[]byte) error {
	var text []byte
	for _, der := range blocks {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // one with another mode would keep it
	}
	if err := os.WriteFile(part, text, mode); err != nil {
		return err
	}
	return os.Rename(part, path)
}

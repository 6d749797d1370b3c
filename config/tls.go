package config

import (
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/hcl/v2"
)

func (d *decoder) tls(f *fileTLS, out *TLS) {
	if f == nil {
		return
	}
	if p := f.Peer; p != nil {
		out.Peer = new(PeerTLS)
		d.file(p.Range, "tls.peer", "cert", p.Cert, &out.Peer.Cert)
		d.file(p.Range, "tls.peer", "key", p.Key, &out.Peer.Key)
		d.file(p.Range, "tls.peer", "ca", p.CA, &out.Peer.CA)
	}
	if c := f.Client; c != nil {
		out.Client = &ClientTLS{ClientAuth: true}
		d.flag(c.ClientAuth, &out.Client.ClientAuth)
		d.file(c.Range, "tls.client", "cert", c.Cert, &out.Client.Cert)
		d.file(c.Range, "tls.client", "key", c.Key, &out.Client.Key)
		if out.Client.ClientAuth || d.given(c.CA) {
			d.file(c.Range, "tls.client", "ca", c.CA, &out.Client.CA)
		}
	}
}

// file wants the path of a file that can be read.
func (d *decoder) file(block hcl.Range, where, name string, e hcl.Expression, out *string) {
	if !d.given(e) {
		d.missing(block, where, name, fmt.Sprintf("%q", "tls/"+name+".pem"))
		return
	}
	if !d.text(e, out) {
		return
	}
	if err := readable(*out); err != nil {
		d.error(e.Range(), "Cannot read file", "%q: %s. A relative path is relative to the working directory.", *out, reason(err))
	}
}

func readable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

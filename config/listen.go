package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// place is an address, and where and as what it is written. The zero place stands
// for one that is missing or wrong.
type place struct {
	text string // as written
	host string // lower case
	ip   netip.Addr
	port uint16
	at   hcl.Range
	what string // such as: the peer address of member "alpha"
}

// everywhere says that p stands for all addresses of the machine.
func (p place) everywhere() bool { return p.host == "" || p.ip.IsValid() && p.ip.IsUnspecified() }

// loopback says that what is sent to p does not leave the machine.
func (p place) loopback() bool { return p.host == "localhost" || p.ip.IsValid() && p.ip.IsLoopback() }

func (p place) same(q place) bool {
	return p.port == q.port && (p.host == q.host || p.ip.IsValid() && p.ip == q.ip)
}

// overlaps says that one machine can't listen at both.
func (p place) overlaps(q place) bool {
	return p.same(q) || p.port == q.port && (p.everywhere() || q.everywhere())
}

// collides complains when p collides with one of others.
func (d *decoder) collides(p place, how func(place, place) bool, others ...place) bool {
	for _, q := range others {
		if p.text != "" && q.text != "" && how(p, q) {
			d.error(p.at, "Duplicate address", "%q can't be %s: %s is %q.", p.text, p.what, q.what, q.text)
			return true
		}
	}
	return false
}

// purpose is what an address is for.
type purpose int

const (
	reachable purpose = iota // others must find it
	bindable                 // this node listens there: all addresses of the machine will do
)

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?$`)

// address wants host:port.
func (d *decoder) address(e hcl.Expression, use purpose, such string) place {
	wanted := fmt.Sprintf("host:port, such as %q", such)
	v, ok := d.value(e, cty.String, "Bad address", wanted)
	if !ok {
		return place{}
	}
	p, why := parsePlace(v.AsString())
	if why == "" && use == reachable && p.everywhere() {
		why = "others can't reach a node there"
	}
	if why != "" {
		d.error(e.Range(), "Bad address", "Want %s, not %q: %s.", wanted, v.AsString(), why)
		return place{}
	}
	p.at = e.Range()
	return p
}

// parsePlace takes host:port apart, or says in a few words why it can't.
func parsePlace(s string) (p place, why string) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		if strings.Contains(s, "://") {
			return p, "leave out the scheme"
		}
		if !strings.Contains(s, ":") {
			return p, "the port is missing"
		}
		return p, "this is not host:port; an IPv6 host is written in brackets, such as \"[::1]:7001\""
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return p, "a port is a number from 1 to 65535"
	}
	p = place{text: s, host: strings.ToLower(host), port: uint16(n)}
	if ip, err := netip.ParseAddr(host); err == nil {
		p.ip = ip.Unmap()
		return p, ""
	}
	if host != "" && !hostPattern.MatchString(host) {
		return p, fmt.Sprintf("%q is neither an IP address nor the name of a host", host)
	}
	return p, ""
}

// listening is where this node listens.
type listening struct{ peer, client, http place }

// listen decodes where this node listens. It is self, whose addresses are the
// default for all but http.
func (d *decoder) listen(f *fileListen, out *Listen, self *member, members []member) listening {
	f = orEmpty(f)
	var l listening
	if self != nil {
		l.peer, l.client = self.peer, self.client
	}
	l.peer.what, l.client.what = "listen.peer", "listen.client"
	l.http, _ = parsePlace(out.HTTP)
	l.http.what = "listen.http, unless it is set,"

	var own []place
	set := func(e hcl.Expression, p *place, what, such string) {
		if d.given(e) {
			*p = d.address(e, bindable, such)
			p.what = what
			own = append(own, *p)
		}
	}
	set(f.Peer, &l.peer, "listen.peer", "10.0.0.1:7001")
	set(f.Client, &l.client, "listen.client", "10.0.0.1:2379")
	if len(own) > 0 {
		d.collides(l.client, place.overlaps, l.peer)
	}
	switch {
	case d.off(f.HTTP):
		l.http = place{}
	case d.given(f.HTTP):
		set(f.HTTP, &l.http, "listen.http", "127.0.0.1:2380")
		d.collides(l.http, place.overlaps, l.peer, l.client)
	default:
		d.collides(l.peer, place.overlaps, l.http)
		d.collides(l.client, place.overlaps, l.http)
	}
	for _, p := range own {
		for _, m := range members {
			if self != nil && m.Name != self.Name && d.collides(p, place.same, m.places()...) {
				break
			}
		}
	}
	out.Peer, out.Client, out.HTTP = l.peer.text, l.client.text, l.http.text
	return l
}

// off says that an argument is the word off.
func (d *decoder) off(e hcl.Expression) bool {
	if !d.given(e) {
		return false
	}
	v, diags := e.Value(d.context)
	return !diags.HasErrors() && v.Type() == cty.String && v.AsString() == "off"
}

// plaintext complains about what would be said in plaintext off this machine,
// unless that is wanted: about one address of each kind.
func (d *decoder) plaintext(c *Config, node *fileNode, l listening, members []member, join []place) {
	if c.Node.Insecure || node == nil {
		return
	}
	complain := func(p place, block string) bool {
		if p.text == "" || p.loopback() {
			return false
		}
		d.error(p.at, "Plaintext off this machine",
			"%q is not a loopback address, and there is no block %s in tls: whoever is on the way could read and change what is said. "+
				"Add the block, or insecure = true to node %q if plaintext is wanted.", p.text, block, node.Name)
		return true
	}
	if c.TLS.Peer == nil && !complain(l.peer, "peer") {
		peers := slices.Clone(join)
		for _, m := range members {
			peers = append(peers, m.peer)
		}
		for _, p := range peers {
			if complain(p, "peer") {
				break
			}
		}
	}
	if c.TLS.Client == nil {
		complain(l.client, "client")
		complain(l.http, "client")
	}
}

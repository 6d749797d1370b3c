package config

import (
	"github.com/hashicorp/hcl/v2"
)

// This file is about a node that is to be added to a running cluster: it is told where
// some members are, and the cluster tells it the rest.

// join decodes the peer addresses of members, and tells whether this node joins at all:
// one of a new cluster does not.
func (d *decoder) join(e hcl.Expression) (places []place, joins bool) {
	if !d.given(e) {
		return nil, false
	}
	items, diags := hcl.ExprList(e)
	if diags.HasErrors() {
		d.error(e.Range(), "Bad addresses",
			`Want a list of members' peer addresses, such as ["10.0.0.1:7001", "10.0.0.2:7001"], not %s.`, d.source(e))
		return nil, true
	}
	for _, item := range items {
		p := d.address(item, reachable, "10.0.0.1:7001")
		p.what = "another address in join"
		d.collides(p, place.same, places...)
		p.what = "an address in join"
		places = append(places, p)
	}
	return places, len(items) > 0
}

// joiner decodes the only member block of a node that joins: its own, which says where
// it will be reached. Its id and its roles come from the cluster.
func (d *decoder) joiner(fs []fileMember, join []place) []member {
	if len(fs) == 0 {
		d.missingBlock("member", "which says at which peer and client address this node will be reached")
		return nil
	}
	for _, f := range fs[1:] {
		d.error(f.Range, "Member beside join",
			"With join, the cluster tells who its members are. Leave all member blocks out but this node's own.")
	}
	f := &fs[0]
	m := d.member(f)
	for _, given := range []struct {
		name string
		e    hcl.Expression
	}{{"id", f.ID}, {"roles", f.Roles}} {
		if d.given(given.e) {
			d.error(given.e.Range(), "Argument beside join",
				"With join, the cluster gives the node its %s when it is added, with `pmmc member add`. Leave it out.", given.name)
		}
	}
	for _, p := range m.places() {
		d.collides(p, place.same, join...)
	}
	own := m.places()
	d.collides(own[1], place.same, own[0])
	m.ID, m.Roles = 0, nil
	return []member{m}
}

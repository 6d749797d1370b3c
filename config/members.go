package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// A name is part of actors' paths and of certificates.
var namePattern = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)

func (d *decoder) badName(at hcl.Range, name string) {
	d.error(at, "Bad name", "Want 1 to 63 of the characters a-z, 0-9 and -, such as \"alpha\", not %q.", name)
}

// member is a Member and where it is written.
type member struct {
	Member
	peer, client place
	file         *fileMember
}

// members decodes the members, in the order of their ids.
func (d *decoder) members(fs []fileMember, join []place, joins bool) []member {
	switch {
	case joins:
		return d.joiner(fs, join)
	case len(fs) == 0:
		d.missingBlock("member", "of which there is one for each member of the cluster, this node among them")
		return nil
	}
	before := len(d.diags)
	var members []member
	for i := range fs {
		d.hasID(&fs[i])
		members = append(members, d.member(&fs[i]))
	}
	d.distinct(members)
	if len(d.diags) == before {
		d.cast(members)
	}
	slices.SortFunc(members, func(a, b member) int { return cmp.Compare(a.ID, b.ID) })
	return members
}

// hasID wants the number that a member of a new cluster must have.
func (d *decoder) hasID(f *fileMember) {
	if !d.given(f.ID) {
		d.missing(f.Range, fmt.Sprintf("member %q", f.Name), "id", "1")
	}
}

func (d *decoder) member(f *fileMember) member {
	m := member{file: f}
	m.Name, m.Roles = f.Name, Roles()
	if !namePattern.MatchString(f.Name) {
		d.badName(f.NameRange, f.Name)
	}
	where := fmt.Sprintf("member %q", f.Name)
	require := func(e hcl.Expression, name, such string) {
		if !d.given(e) {
			d.missing(f.Range, where, name, such)
		}
	}
	require(f.Peer, "peer", `"10.0.0.1:7001"`)
	require(f.Client, "client", `"10.0.0.1:2379"`)
	var id int
	d.count(f.ID, &id, 1, 65535)
	m.ID = uint32(id)
	m.peer = d.address(f.Peer, reachable, "10.0.0.1:7001")
	m.client = d.address(f.Client, reachable, "10.0.0.1:2379")
	m.Peer, m.Client = m.peer.text, m.client.text
	d.roles(f.Roles, &m.Roles)
	return m
}

// roles wants a list of distinct roles, in any order.
func (d *decoder) roles(e hcl.Expression, out *[]Role) {
	const wanted = `a list of roles, such as ["replica", "leader", "acceptor"]`
	v, ok := d.raw(e)
	if !ok {
		return
	}
	if !v.Type().IsTupleType() {
		d.error(e.Range(), "Bad roles", "Want %s, not %s.", wanted, d.source(e))
		return
	}
	var words []string
	for _, r := range Roles() {
		words = append(words, string(r))
	}
	var found []Role
	for _, v := range v.AsValueSlice() {
		if v.Type() != cty.String || v.IsNull() {
			d.error(e.Range(), "Bad roles", "Want %s, not %s.", wanted, d.source(e))
			return
		}
		switch word := v.AsString(); {
		case !slices.Contains(words, word):
			d.error(e.Range(), "Unknown role", "Want any of replica, leader, acceptor, not %q.%s", word, didYouMean(word, words))
			return
		case slices.Contains(found, Role(word)):
			d.error(e.Range(), "Duplicate role", "Role %s is there twice.", word)
			return
		default:
			found = append(found, Role(word))
		}
	}
	if len(found) == 0 {
		d.error(e.Range(), "Bad roles", "Want %s, not none: a member without a role is no member.", wanted)
		return
	}
	slices.SortFunc(found, func(a, b Role) int { return cmp.Compare(slices.Index(Roles(), a), slices.Index(Roles(), b)) })
	*out = found
}

// distinct wants no two members with the same name, id or address.
func (d *decoder) distinct(members []member) {
	names := make(map[string]*fileMember)
	ids := make(map[uint32]string)
	var taken []place
	for _, m := range members {
		if other, ok := names[m.Name]; ok {
			d.error(m.file.NameRange, "Duplicate member", "There is a block member %q { … } already at %s.", m.Name, other.Range)
		}
		if other, ok := ids[m.ID]; ok && m.ID != 0 {
			d.error(m.file.ID.Range(), "Duplicate member id",
				"Member %q already has id %d. Ballots are ordered by id, so two members must never share one.", other, m.ID)
		}
		names[m.Name], ids[m.ID] = m.file, m.Name
		for _, p := range m.places() {
			d.collides(p, place.same, taken...)
			taken = append(taken, p)
		}
	}
}

// places are the addresses of a member.
func (m member) places() []place {
	peer, client := m.peer, m.client
	peer.what = fmt.Sprintf("the peer address of member %q", m.Name)
	client.what = fmt.Sprintf("the client address of member %q", m.Name)
	return []place{peer, client}
}

// cast wants each role played by somebody.
func (d *decoder) cast(members []member) {
	for _, r := range Roles() {
		if !slices.ContainsFunc(members, func(m member) bool { return m.Has(r) }) {
			d.error(members[0].file.Range, "Role without a member", "No member has the role %q, so nothing can be decided. Give it to at least one.", r)
		}
	}
}

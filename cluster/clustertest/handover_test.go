package clustertest

import (
	"errors"
	"testing"
)

// Who is to end hands its office to a member that can take it; who has none does nothing.
func TestHandOver(t *testing.T) {
	c := New(t, 3)
	first := c.Leader()
	var gone, heir *Node
	for _, n := range c.Nodes() {
		if n != first {
			gone, heir = heir, n
			n.HandOver(t.Context())
		}
	}
	if got := c.Leader(); got != first {
		t.Fatalf("%s is in office: members without it handed over that of %s", got.Name, first.Name)
	}
	gone.Kill()
	c.Eventually("missed", func() error {
		if first.Status().Transport.Peers[gone.Name].Connected {
			return errors.New("still connected")
		}
		return nil
	})
	first.HandOver(t.Context())
	if got := first.Status().InOffice; got != heir.Name {
		t.Errorf("%q is in office after %s handed over and %s was killed", got, first.Name, gone.Name)
	}
}

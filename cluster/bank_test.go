package cluster_test

import (
	"maps"
	"strings"
	"testing"
)

// The Bank of the example is what others copy: it is restored as a whole or not at all.
func TestTheBankIsRestoredAsAWhole(t *testing.T) {
	for snapshot, want := range map[string]map[string]int{
		`{"bob":7}`:               {"bob": 7},
		`{"bob":7,"carl":"much"}`: {"ann": 1},
		`{"bob":7`:                {"ann": 1},
	} {
		b := &Bank{accounts: map[string]int{"ann": 1}}
		if err := b.Restore(strings.NewReader(snapshot)); (err != nil) != (want["ann"] > 0) {
			t.Errorf("restore %s: error %v", snapshot, err)
		}
		if !maps.Equal(b.accounts, want) {
			t.Errorf("after %s the accounts are %v, want %v", snapshot, b.accounts, want)
		}
	}
}

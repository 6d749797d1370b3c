package main

import "testing"

// FuzzTxnText parses whatever stands behind --when, --then and --else.
func FuzzTxnText(f *testing.F) {
	for _, text := range []string{
		`value(a) = "1"`, `version("a b") > 0`, `mod(a) != 99999999999999999999`, `put a "x\n"`, "get a --prefix", "del --prefix", `put "\x`, "",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := parseCondition(text); err == nil && len(c.KeyBytes()) == 0 {
			t.Errorf("%q compares no key", text)
		}
		if op, err := parseOperation(text); err == nil && !op.IsPut() && !op.IsGet() && !op.IsDelete() {
			t.Errorf("%q does nothing", text)
		}
	})
}

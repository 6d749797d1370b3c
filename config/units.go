package config

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

var units = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

var sizePattern = regexp.MustCompile(`^([0-9]{1,18}(?:\.[0-9]{1,18})?)([A-Za-z]*)$`)

// parseSize reads a number of bytes, such as "1.5MiB". The error says what is
// wrong in a few words.
func parseSize(s string) (int64, error) {
	parts := sizePattern.FindStringSubmatch(s)
	if parts == nil {
		return 0, errors.New("this is not a number with a unit")
	}
	number, unit := parts[1], parts[2]
	if unit == "" {
		return 0, errors.New("the unit is missing")
	}
	for _, u := range units {
		if u.name != unit {
			continue
		}
		r, _ := new(big.Rat).SetString(number)
		r.Mul(r, new(big.Rat).SetInt64(u.bytes))
		switch {
		case !r.IsInt():
			return 0, fmt.Errorf("these are %s bytes, and bytes have no fractions", strings.TrimRight(r.FloatString(3), "0"))
		case !r.Num().IsInt64():
			return 0, errors.New("so many can't be counted")
		}
		return r.Num().Int64(), nil
	}
	return 0, fmt.Errorf("%q is not one of the units%s", unit, meantUnit(unit))
}

// meantUnit guesses from "K", "kb" or "kib" that KiB was meant.
func meantUnit(unit string) string {
	for _, u := range units {
		short := strings.ToLower(u.name[:1])
		if slices.Contains([]string{short, short + "b", short + "ib", short + "i"}, strings.ToLower(unit)) && u.name != "B" {
			return fmt.Sprintf("; %s is", u.name)
		}
	}
	return ""
}

// formatSize writes bytes as parseSize reads them, in the largest unit in which
// they have one decimal at the most.
func formatSize(n int64) string {
	for _, u := range units {
		if n < u.bytes || (n%u.bytes)*10%u.bytes != 0 {
			continue
		}
		if tenth := n % u.bytes * 10 / u.bytes; tenth != 0 {
			return fmt.Sprintf("%d.%d%s", n/u.bytes, tenth, u.name)
		}
		return fmt.Sprintf("%d%s", n/u.bytes, u.name)
	}
	return fmt.Sprintf("%dB", n)
}

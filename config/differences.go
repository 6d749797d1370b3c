package config

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// Difference is an argument, or a block, that two configurations have differently.
type Difference struct {
	Name     string // as it is written: limits.quota
	From, To any
	Live     bool // a node that runs can take it over
}

// live are the arguments that a node takes over while it runs. What else there is was
// decided when it started: sizes of what it holds, and what members must agree on.
var live = []string{
	"node.log_level", "limits.txn_ops", "limits.in_flight_bytes", "limits.quota", "limits.connections", "limits.request_timeout", "limits.shutdown_timeout",
}

// Differences lists what another configuration has differently, in the order of the
// reference.
func (c *Config) Differences(other *Config) []Difference {
	return differences("", reflect.ValueOf(*c), reflect.ValueOf(*other))
}

// TakeLive makes the arguments those of another configuration that a node can take over
// while it runs.
func (c *Config) TakeLive(other *Config) {
	c.Node.LogLevel = other.Node.LogLevel
	l, next := &c.Limits, other.Limits
	l.TxnOps, l.InFlightBytes, l.Quota, l.Connections = next.TxnOps, next.InFlightBytes, next.Quota, next.Connections
	l.RequestTimeout, l.ShutdownTimeout = next.RequestTimeout, next.ShutdownTimeout
}

func differences(prefix string, a, b reflect.Value) (all []Difference) {
	for i := range a.NumField() {
		x, y, name := a.Field(i), b.Field(i), prefix+argument(a.Type().Field(i).Name)
		if x.Kind() == reflect.Pointer && !x.IsNil() && !y.IsNil() {
			x, y = x.Elem(), y.Elem()
		}
		switch {
		case x.Kind() == reflect.Struct && x.Type() != reflect.TypeFor[AutoCompaction](): // of which one field is written as two arguments
			all = append(all, differences(name+".", x, y)...)
		case !reflect.DeepEqual(x.Interface(), y.Interface()):
			all = append(all, Difference{name, x.Interface(), y.Interface(), slices.Contains(live, name)})
		}
	}
	return all
}

// written are the names that differ by more than their case.
var written = map[string]string{"Members": "member", "HTTP": "http", "TLS": "tls", "CA": "ca"}

// argument is how the field of a configuration is written: data_dir for DataDir.
func argument(field string) string {
	if name, ok := written[field]; ok {
		return name
	}
	var b strings.Builder
	for i, r := range field {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

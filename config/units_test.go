package config

import "testing"

func TestParseSize(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int64
		why  string // it is refused
	}{
		{"0B", 0, ""},
		{"1B", 1, ""},
		{"64KiB", 64 << 10, ""},
		{"1MiB", 1 << 20, ""},
		{"1.5MiB", 3 << 19, ""},
		{"0.125KiB", 128, ""},
		{"1.0B", 1, ""},
		{"2GiB", 2 << 30, ""},
		{"0.3KiB", 0, "these are 307.2 bytes, and bytes have no fractions"},
		{"1.5B", 0, "these are 1.5 bytes, and bytes have no fractions"},
		{"64", 0, "the unit is missing"},
		{"64K", 0, `"K" is not one of the units; KiB is`},
		{"64KB", 0, `"KB" is not one of the units; KiB is`},
		{"64kib", 0, `"kib" is not one of the units; KiB is`},
		{"1mb", 0, `"mb" is not one of the units; MiB is`},
		{"1G", 0, `"G" is not one of the units; GiB is`},
		{"1TiB", 0, `"TiB" is not one of the units`},
		{"1b", 0, `"b" is not one of the units`},
		{"", 0, "this is not a number with a unit"},
		{"MiB", 0, "this is not a number with a unit"},
		{"-1MiB", 0, "this is not a number with a unit"},
		{"1 MiB", 0, "this is not a number with a unit"},
		{"1e3MiB", 0, "this is not a number with a unit"},
		{".5MiB", 0, "this is not a number with a unit"},
		{"1_000B", 0, "this is not a number with a unit"},
		{"999999999999999999GiB", 0, "so many can't be counted"},
	} {
		got, err := parseSize(tt.text)
		why := ""
		if err != nil {
			why = err.Error()
		}
		if got != tt.want || why != tt.why {
			t.Errorf("%q: %d, %q; want %d, %q", tt.text, got, why, tt.want, tt.why)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for _, tt := range []struct {
		bytes int64
		want  string
	}{
		{0, "0B"},
		{1, "1B"},
		{1000, "1000B"},
		{1 << 10, "1KiB"},
		{1<<10 + 1, "1025B"},
		{3 << 19, "1.5MiB"},
		{16 << 20, "16MiB"},
		{1 << 30, "1GiB"},
		{64 << 30, "64GiB"},
	} {
		got := formatSize(tt.bytes)
		if got != tt.want {
			t.Errorf("%d: %s, want %s", tt.bytes, got, tt.want)
		}
		if back, err := parseSize(got); back != tt.bytes || err != nil {
			t.Errorf("%s: %d, %v, want %d", got, back, err, tt.bytes)
		}
	}
}

func TestParsePlace(t *testing.T) {
	for _, tt := range []struct {
		text                 string
		loopback, everywhere bool
		why                  string // it is refused
	}{
		{"127.0.0.1:7001", true, false, ""},
		{"127.9.9.9:7001", true, false, ""},
		{"localhost:7001", true, false, ""},
		{"LocalHost:7001", true, false, ""},
		{"[::1]:7001", true, false, ""},
		{"[::ffff:127.0.0.1]:7001", true, false, ""},
		{"10.0.0.1:65535", false, false, ""},
		{"node-1.example.org:7001", false, false, ""},
		{"localhost.example.org:7001", false, false, ""},
		{"[fe80::1%eth0]:7001", false, false, ""},
		{"0.0.0.0:7001", false, true, ""},
		{"[::]:7001", false, true, ""},
		{":7001", false, true, ""},
		{"10.0.0.1", false, false, "the port is missing"},
		{"10.0.0.1:", false, false, "a port is a number from 1 to 65535"},
		{"10.0.0.1:0", false, false, "a port is a number from 1 to 65535"},
		{"10.0.0.1:65536", false, false, "a port is a number from 1 to 65535"},
		{"10.0.0.1:http", false, false, "a port is a number from 1 to 65535"},
		{"http://10.0.0.1:7001", false, false, "leave out the scheme"},
		{"::1:7001", false, false, `this is not host:port; an IPv6 host is written in brackets, such as "[::1]:7001"`},
		{"a b:7001", false, false, `"a b" is neither an IP address nor the name of a host`},
		{"a/b:7001", false, false, `"a/b" is neither an IP address nor the name of a host`},
	} {
		p, why := parsePlace(tt.text)
		if why != tt.why || why == "" && (p.loopback() != tt.loopback || p.everywhere() != tt.everywhere) {
			t.Errorf("%q: loopback %t, everywhere %t, %q; want %t, %t, %q",
				tt.text, p.loopback(), p.everywhere(), why, tt.loopback, tt.everywhere, tt.why)
		}
	}
}

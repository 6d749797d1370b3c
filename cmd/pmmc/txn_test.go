package main

import (
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"
)

func TestParseCondition(t *testing.T) {
	for _, c := range []struct {
		text string
		want clientv3.Cmp
	}{
		{`value(a) = 1`, clientv3.Compare(clientv3.Value("a"), "=", "1")},
		{`value("a")="1"`, clientv3.Compare(clientv3.Value("a"), "=", "1")},
		{` value( "two words" ) != "b(\"c\")"`, clientv3.Compare(clientv3.Value("two words"), "!=", `b("c")`)},
		{`value(a) = f(x)`, clientv3.Compare(clientv3.Value("a"), "=", "f(x)")},
		{`version(a) = 0`, clientv3.Compare(clientv3.Version("a"), "=", 0)},
		{`create(a)<7`, clientv3.Compare(clientv3.CreateRevision("a"), "<", 7)},
		{`mod("a") > "7"`, clientv3.Compare(clientv3.ModRevision("a"), ">", 7)},
	} {
		got, err := parseCondition(c.text)
		if err != nil || !proto.Equal(got.GetCompare(), c.want.GetCompare()) {
			t.Errorf("%s: %v %v, want %v", c.text, got.GetCompare(), err, c.want.GetCompare())
		}
	}
	for text, want := range map[string]string{
		`value(a)`:        "want a condition",
		`value a = 1`:     "want a condition",
		`value(a) == 1`:   "want a condition",
		`value(a) = 1 2`:  "want a condition",
		`colour(a) = 1`:   `not "colour"`,
		`mod(a) = x`:      `not "x"`,
		`value("\q") = 1`: "not quoted as in Go",
	} {
		if _, err := parseCondition(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestParseOperation(t *testing.T) {
	for _, c := range []struct {
		text string
		want clientv3.Op
	}{
		{`put a 1`, clientv3.OpPut("a", "1")},
		{`put "a b" "c\nd"`, clientv3.OpPut("a b", "c\nd")},
		{`put f(x) --prefix`, clientv3.OpPut("f(x)", "--prefix")},
		{`  get   a `, clientv3.OpGet("a")},
		{`get a --prefix`, clientv3.OpGet("a", clientv3.WithPrefix())},
		{`del a`, clientv3.OpDelete("a")},
		{`del "" --prefix`, clientv3.OpDelete("", clientv3.WithPrefix())},
	} {
		got, err := parseOperation(c.text)
		if err != nil || !sameOp(got, c.want) {
			t.Errorf("%s: %v %v, want %v", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{``, `put a`, `put a 1 2`, `get`, `get a b`, `drop a`, `put a "1`, `put a"b" 1`} {
		if got, err := parseOperation(text); err == nil {
			t.Errorf("%s: %v, want an error", text, got)
		}
	}
}

func sameOp(a, b clientv3.Op) bool {
	return a.IsPut() == b.IsPut() && a.IsGet() == b.IsGet() && a.IsDelete() == b.IsDelete() &&
		string(a.KeyBytes()) == string(b.KeyBytes()) && string(a.ValueBytes()) == string(b.ValueBytes()) &&
		string(a.RangeBytes()) == string(b.RangeBytes())
}

func TestReadTransaction(t *testing.T) {
	var f txnFlags
	if err := f.read("value(a) = 1\nversion(b) = 0\n\nput a 2\r\n\nget a\n"); err != nil {
		t.Fatal(err)
	}
	if len(f.when) != 2 || len(f.then) != 1 || f.then[0] != "put a 2" || len(f.other) != 1 {
		t.Errorf("read %q", []any{f.when, f.then, f.other})
	}
	if err := new(txnFlags).read("\n\n\nput a 1\n"); err == nil {
		t.Error("a fourth paragraph was read")
	}
}

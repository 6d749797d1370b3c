package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// A quoted word, and words without quotes: in a condition, parentheses end them.
const (
	quoted    = `"(?:[^"\\]|\\.)*"`
	inBraces  = quoted + `|[^\s"()]+`
	inTheOpen = quoted + `|[^\s"]+`
)

var (
	conditionPattern = regexp.MustCompile(`^\s*(\w+)\s*\(\s*(` + inBraces + `)\s*\)\s*(!=|=|<|>)\s*(` + inTheOpen + `)\s*$`)
	operationPattern = regexp.MustCompile(`^\s*(?:(?:` + inTheOpen + `)(?:\s+|$))+$`)
	wordPattern      = regexp.MustCompile(inTheOpen)
)

// unquote takes the quotes off a word that has any.
func unquote(w string) (string, error) {
	if !strings.HasPrefix(w, `"`) {
		return w, nil
	}
	s, err := strconv.Unquote(w)
	if err != nil {
		return "", fmt.Errorf("%s is not quoted as in Go", w)
	}
	return s, nil
}

// parseCondition parses such as value(a) = 1.
func parseCondition(text string) (clientv3.Cmp, error) {
	m := conditionPattern.FindStringSubmatch(text)
	if m == nil {
		return clientv3.Cmp{}, errors.New(`want a condition, such as value(a) = "1" or version(a) = 0`)
	}
	key, err := unquote(m[2])
	if err != nil {
		return clientv3.Cmp{}, err
	}
	value, err := unquote(m[4])
	if err != nil {
		return clientv3.Cmp{}, err
	}
	if m[1] == "value" {
		return clientv3.Compare(clientv3.Value(key), m[3], value), nil
	}
	targets := map[string]func(string) clientv3.Cmp{
		"version": clientv3.Version, "create": clientv3.CreateRevision, "mod": clientv3.ModRevision,
	}
	target, ok := targets[m[1]]
	if !ok {
		return clientv3.Cmp{}, fmt.Errorf("want value, version, create or mod, not %q", m[1])
	}
	number, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return clientv3.Cmp{}, fmt.Errorf("want a whole number to compare a %s with, not %q", m[1], value)
	}
	return clientv3.Compare(target(key), m[3], number), nil
}

// parseOperation parses such as put a 2.
func parseOperation(text string) (clientv3.Op, error) {
	malformed := errors.New("want put KEY VALUE, get KEY [--prefix] or del KEY [--prefix]")
	if !operationPattern.MatchString(text) {
		return clientv3.Op{}, malformed
	}
	var words []string
	for _, w := range wordPattern.FindAllString(text, -1) {
		w, err := unquote(w)
		if err != nil {
			return clientv3.Op{}, err
		}
		words = append(words, w)
	}
	var options []clientv3.OpOption
	if len(words) == 3 && words[0] != "put" && words[2] == "--prefix" {
		words = words[:2]
		options = append(options, clientv3.WithPrefix())
	}
	switch {
	case len(words) == 3 && words[0] == "put":
		return clientv3.OpPut(words[1], words[2]), nil
	case len(words) == 2 && words[0] == "get":
		return clientv3.OpGet(words[1], options...), nil
	case len(words) == 2 && words[0] == "del":
		return clientv3.OpDelete(words[1], options...), nil
	}
	return clientv3.Op{}, malformed
}

package paper

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Set is the paper's set: unbounded, and never changed in place, so that what a message
// carries stays what it was when the message was sent.
type Set[T comparable] map[T]struct{}

// SetOf returns the set of all.
func SetOf[T comparable](all ...T) Set[T] { return Set[T](nil).With(all...) }

// Has tells whether x ∈ s.
func (s Set[T]) Has(x T) bool { _, ok := s[x]; return ok }

// With returns s ∪ more.
func (s Set[T]) With(more ...T) Set[T] {
	sum := make(Set[T], len(s)+len(more))
	maps.Copy(sum, s)
	for _, x := range more {
		sum[x] = struct{}{}
	}
	return sum
}

// Without returns s − {x}.
func (s Set[T]) Without(x T) Set[T] {
	rest := maps.Clone(s)
	delete(rest, x)
	return rest
}

// Union returns s ∪ other.
func (s Set[T]) Union(other Set[T]) Set[T] {
	sum := s.With()
	maps.Copy(sum, other)
	return sum
}

// List returns the elements in one fixed order: that of what they print.
func (s Set[T]) List() []T {
	byText := make(map[string]T, len(s))
	for x := range s {
		byText[fmt.Sprint(x)] = x
	}
	var all []T
	for _, text := range slices.Sorted(maps.Keys(byText)) {
		all = append(all, byText[text])
	}
	return all
}

// String prints the set as the paper would.
func (s Set[T]) String() string {
	var all []string
	for _, x := range s.List() {
		all = append(all, fmt.Sprint(x))
	}
	return "{" + strings.Join(all, ", ") + "}"
}

package config_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"keywatch/config"
	"keywatch/internal/diag"
)

// universe is what brute force tries as the value of a tag; "absent" is none.
var universe = func() []string {
	out := []string{"absent", "", "/", "dev", "prod"}
	letters := []string{"a", "b", "A"}
	last := []string{""}
	for range 3 {
		var longer []string
		for _, w := range last {
			for _, l := range letters {
				longer = append(longer, w+l)
			}
		}
		out, last = append(out, longer...), longer
	}
	return out
}()

// satisfiable tries every pair of values of the tags x and y.
func satisfiable(c *config.Condition) bool {
	for _, x := range universe {
		for _, y := range universe {
			key := tags{}
			if x != "absent" {
				key["x"] = x
			}
			if y != "absent" {
				key["y"] = y
			}
			if holds(c, key) {
				return true
			}
		}
	}
	return false
}

type conditions struct {
	*rand.Rand
	patterns bool
}

func (r conditions) pick(from ...string) string { return from[r.IntN(len(from))] }

func (r conditions) leaf() string {
	tag := r.pick("x", "x", "x", "y")
	value := func() string { return r.pick(`""`, "a", "b", "ab", "A", "dev") }
	tests := []string{
		"equals: " + value(), "equals: " + value(),
		"in: [a, " + r.pick("b", `""`, "dev") + "]", "in: [b, ab, A]",
		"exists: true", "exists: false",
	}
	if r.patterns {
		tests = append(tests, `glob: "`+r.pick("a*", "*", "?", "[ab]", "[!a]*", "d?v")+`"`, `regex: "`+r.pick("a|b", ".*", "a+", "dev|prod", "")+`"`)
	}
	return fmt.Sprintf("{tag: %s, %s}", tag, r.pick(tests...))
}

func (r conditions) node(depth int) string {
	kind := r.IntN(10)
	switch {
	case depth == 0 || kind < 4:
		return r.leaf()
	case kind < 6:
		return "{not: " + r.node(depth-1) + "}"
	}
	var children []string
	for range 1 + r.IntN(3) {
		children = append(children, r.node(depth-1))
	}
	return "{" + r.pick("all", "all", "any") + ": [" + strings.Join(children, ", ") + "]}"
}

// contradictionsOf returns the nodes that are called contradictory.
func contradictionsOf(t *testing.T, match string) (*config.Condition, []*config.Condition) {
	t.Helper()
	c, problems := config.Parse("f", []byte("version: 1\nrules: [{name: r, watch: false, match: "+match+"}]\n"), nil)
	if c == nil || len(c.Rules) != 1 || c.Rules[0].Match == nil {
		t.Fatalf("match: %s: %v", match, problems)
	}
	places := map[diag.Pos]bool{}
	for _, p := range problems.Errors() {
		if p.Code != "contradiction" {
			t.Fatalf("match: %s: %v", match, p)
		}
		places[p.Pos] = true
	}
	var found []*config.Condition
	var walk func(n *config.Condition)
	walk = func(n *config.Condition) {
		if n.Kind == config.All && places[n.Pos] {
			found = append(found, n)
			delete(places, n.Pos)
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(c.Rules[0].Match)
	if len(places) > 0 {
		t.Fatalf("match: %s: a contradiction stands where no all is: %v", match, places)
	}
	return c.Rules[0].Match, found
}

// What is called a contradiction is one: no value of the universe satisfies it.
func TestContradictionsAreReal(t *testing.T) {
	t.Parallel()
	r := conditions{rand.New(rand.NewPCG(3, 1)), true}
	called := 0
	for range 6_000 {
		match := "{all: [" + r.node(2) + ", " + r.node(2) + ", " + r.node(1) + "]}"
		_, found := contradictionsOf(t, match)
		for _, c := range found {
			called++
			if satisfiable(c) {
				t.Fatalf("%s is called a contradiction, and some value satisfies it:\n%s", c, match)
			}
		}
	}
	if called < 500 {
		t.Errorf("only %d contradictions in 6,000 conditions: this shows little", called)
	}
}

// Of literal values, no contradiction is missed.
func TestLiteralContradictionsAreAllFound(t *testing.T) {
	t.Parallel()
	r := conditions{rand.New(rand.NewPCG(5, 1)), false}
	impossible := 0
	for range 4_000 {
		var leaves []string
		for range 2 + r.IntN(3) {
			l := r.leaf()
			if r.IntN(3) == 0 {
				l = "{not: " + l + "}"
			}
			leaves = append(leaves, l)
		}
		match := "{all: [" + strings.Join(leaves, ", ") + "]}"
		c, found := contradictionsOf(t, match)
		if got, want := slices.Contains(found, c), !satisfiable(c); got != want {
			t.Fatalf("%s: called a contradiction: %v, is one: %v", match, got, want)
		} else if want {
			impossible++
		}
	}
	if impossible < 500 {
		t.Errorf("only %d contradictions in 4,000 conditions: this shows little", impossible)
	}
}

// Legal conditions that look a little like contradictions.
func TestNoContradiction(t *testing.T) {
	t.Parallel()
	for _, match := range []string{
		`{all: [{tag: x, equals: a}, {tag: y, equals: b}]}`,
		`{any: [{tag: x, equals: a}, {tag: x, equals: b}]}`,
		`{all: [{tag: x, in: [a, b]}, {tag: x, in: [b, c]}]}`,
		`{all: [{tag: x, in: [a, b]}, {not: {tag: x, equals: a}}]}`,
		`{all: [{tag: x, glob: "a*"}, {tag: x, glob: "*b"}]}`,
		`{all: [{tag: x, glob: "a*"}, {not: {tag: x, glob: "ab*"}}]}`,
		`{all: [{tag: x, exists: true}, {not: {tag: x, equals: a}}]}`,
		`{all: [{not: {tag: x, equals: a}}, {not: {tag: x, equals: b}}]}`,
		`{all: [{not: {tag: x, exists: true}}, {not: {tag: x, glob: "a*"}}]}`,
		`{all: [{tag: x, equals: a}, {any: [{tag: x, equals: b}, {tag: y, equals: c}]}]}`,
		`{all: [{tag: x, equals: a}, {not: {all: [{tag: x, equals: a}, {tag: y, equals: c}]}}]}`,
	} {
		if _, found := contradictionsOf(t, match); len(found) > 0 {
			t.Errorf("%s is called a contradiction", match)
		}
	}
}

package config

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"keywatch/internal/diag"
)

// sample is a key as the naive reading below sees it. A fact that is not there is
// one that nobody could read.
type sample struct {
	tags    map[string]string
	aliases []string
	facts   map[Fact]string
	multi   *bool
	created *time.Time
}

type truth int

const (
	no truth = iota
	unknown
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// holds reads a condition naively, in three values.
func holds(c *Condition, k sample) truth {
	switch c.Kind {
	case Every:
		return yes
	case Not:
		return yes - holds(c.Children[0], k)
	case All:
		out := yes
		for _, child := range c.Children {
			out = min(out, holds(child, k))
		}
		return out
	case Any:
		out := no
		for _, child := range c.Children {
			out = max(out, holds(child, k))
		}
		return out
	case Tag:
		value, present := k.tags[c.Tag]
		return truthOf(c.MatchTag(value, present))
	}
	switch c.Fact {
	case Alias:
		return truthOf(slices.ContainsFunc(k.aliases, func(a string) bool { return c.MatchTag(a, true) }))
	case MultiRegion:
		if k.multi == nil {
			return unknown
		}
		return truthOf(*k.multi == c.Want)
	case CreatedBefore, CreatedAfter:
		if k.created == nil {
			return unknown
		}
		return truthOf(k.created.Before(c.Date) == (c.Fact == CreatedBefore))
	}
	value, known := k.facts[c.Fact]
	if !known {
		return unknown
	}
	return truthOf(c.MatchTag(value, true))
}

var (
	someValues = []string{"", "a", "ab", "abc", "b", "*", "prod-eu", "prod-us", "PROD"}
	someGlobs  = []string{"*", "a*", "*b", "a*b", "ab*", "?", "prod-*", "prod-*u", "p*-*u", `\*`, "[ab]*"}
	someDays   = []time.Time{day(1), day(2), day(3)}
)

func day(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

func from[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func randomLeaf(r *rand.Rand) *Condition {
	c := &Condition{Kind: Tag, Tag: from(r, []string{"x", "y"})}
	if r.IntN(2) == 0 {
		c = &Condition{Kind: Is, Fact: from(r, []Fact{Alias, Usage, MultiRegion, CreatedBefore, CreatedAfter})}
	}
	switch c.Fact {
	case MultiRegion:
		c.Want = r.IntN(2) == 0
		return c
	case CreatedBefore, CreatedAfter:
		c.Date = from(r, someDays)
		return c
	}
	c.Test = from(r, []TagTest{Equals, In, GlobOf, Regex, Exists})
	if c.Kind == Is && (c.Test == Regex || c.Test == Exists) {
		c.Test = GlobOf
	}
	switch c.Test {
	case Equals:
		c.Values = []string{from(r, someValues)}
	case In:
		c.Values = []string{from(r, someValues), from(r, someValues)}
	case GlobOf:
		c.Values = []string{from(r, someGlobs)}
		c.glob, _ = CompileGlob(c.Values[0])
	case Regex:
		c.Values = []string{from(r, []string{"a.*", "ab?c?", "prod-(eu|us)"})}
		c.regex, _ = compileRegex(c.Values[0])
	case Exists:
		c.Want = r.IntN(2) == 0
	}
	return c
}

func randomCondition(r *rand.Rand, depth int) *Condition {
	if depth > 2 || r.IntN(3) == 0 {
		return randomLeaf(r)
	}
	c := &Condition{Kind: from(r, []ConditionKind{All, Any, Not})}
	n := 1
	if c.Kind != Not {
		n += r.IntN(3)
	}
	for range n {
		c.Children = append(c.Children, randomCondition(r, depth+1))
	}
	return c
}

func randomSample(r *rand.Rand) sample {
	k := sample{tags: map[string]string{}, facts: map[Fact]string{}}
	for _, tag := range []string{"x", "y"} {
		if r.IntN(4) > 0 {
			k.tags[tag] = from(r, someValues)
		}
	}
	for range r.IntN(3) {
		k.aliases = append(k.aliases, from(r, someValues))
	}
	if r.IntN(4) > 0 { // described
		k.facts[Usage] = from(r, someValues)
		multi, created := r.IntN(2) == 0, from(r, someDays).Add(time.Duration(r.IntN(3)-1)*time.Nanosecond)
		k.multi, k.created = &multi, &created
	}
	return k
}

// What it proves is so of every key: 10,000 random ones, of which not everything
// is known, against a naive reading. It must also prove a good part of what is so.
func TestImpliesProvesNothingWrong(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 1))
	keys := make([]sample, 10_000)
	for i := range keys {
		keys[i] = randomSample(r)
	}
	proofs, misses := 0, 0
	for range 6_000 {
		a, b := randomCondition(r, 0), randomCondition(r, 0)
		proved, _ := implies(claimOf(a, false), claimOf(b, false))
		seen := keys[:300]
		if proved {
			proofs++
			seen = keys
		}
		counter := slices.IndexFunc(seen, func(k sample) bool { return holds(a, k) == yes && holds(b, k) != yes })
		matched := slices.ContainsFunc(seen, func(k sample) bool { return holds(a, k) == yes })
		switch {
		case proved && counter >= 0:
			t.Fatalf("%s\nis said to imply\n%s\nand does not for %+v", tree(a), tree(b), seen[counter])
		case !proved && counter < 0 && matched:
			misses++
		}
	}
	t.Logf("%d proofs, %d implications without", proofs, misses)
	if proofs < 200 || proofs < misses {
		t.Errorf("only %d proofs, and %d times it looked like one", proofs, misses)
	}
}

// tree writes a condition for a failure; facts have no text of their own here.
func tree(c *Condition) string {
	if len(c.Children) == 0 {
		return fmt.Sprintf("{%s%s %s %q %v %s}", c.Tag, c.Fact, c.Test, c.Values, c.Want, c.Date.Format(time.DateOnly))
	}
	var parts []string
	for _, child := range c.Children {
		parts = append(parts, tree(child))
	}
	return fmt.Sprintf("%d(%s)", c.Kind, strings.Join(parts, ", "))
}

// What people write, by hand: each line is a rule behind another one.
func TestRulesThatNeverDecide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		first, second string
		taken         bool
	}{
		{`{tag: env, equals: prod}`, `{tag: env, equals: prod}`, true},
		{`{tag: env, in: [prod, dev]}`, `{tag: env, equals: prod}`, true},
		{`{tag: env, equals: prod}`, `{tag: env, in: [prod, dev]}`, false},
		{`{tag: env, exists: true}`, `{tag: env, regex: "x+"}`, true},
		{`{tag: env, glob: "prod*"}`, `{tag: env, glob: "prod-eu-*"}`, true},
		{`{tag: env, glob: "prod*"}`, `{tag: env, glob: "pro*"}`, false},
		{`{tag: env, glob: "ab*bc"}`, `{tag: env, glob: "abc"}`, false},
		{`{tag: env, glob: "prod*"}`, `{all: [{tag: env, equals: prod-1}, {tag: team, equals: a}]}`, true},
		{`{any: [{tag: env, equals: prod}, {tag: team, equals: a}]}`, `{tag: team, equals: a}`, true},
		{`{tag: team, equals: a}`, `{any: [{tag: env, equals: prod}, {tag: team, equals: a}]}`, false},
		{`{not: {tag: env, equals: prod}}`, `{tag: env, equals: dev}`, true},
		{`{not: {tag: env, equals: prod}}`, `{not: {tag: env, in: [prod, dev]}}`, true},
		{`{not: {tag: env, in: [prod, dev]}}`, `{not: {tag: env, equals: prod}}`, false},
		{`{not: {tag: env, equals: prod}}`, `{tag: env, exists: false}`, true},
		{`{tag: env, equals: dev}`, `{all: [{tag: env, in: [prod, dev]}, {not: {tag: env, equals: prod}}]}`, true},
		{`{not: {all: [{tag: a, exists: true}, {tag: b, exists: true}]}}`, `{tag: b, exists: false}`, true},
	} {
		_, problems := Parse("f", fmt.Appendf(nil, "version: 1\nrules:\n  - {name: first, match: %s}\n  - {name: second, match: %s}\n", c.first, c.second), nil)
		var got []string
		for _, p := range problems {
			if p.Code == "unreachable" {
				got = append(got, p.String())
			}
		}
		want := []string{`f:4:5: warning: rules[1]: rule "second" never decides: rule "first" in line 3 matches every key that it matches, and ends there; put the narrower one first, or give the other continue: true [unreachable]`}
		if !c.taken {
			want = nil
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s before %s: %q, want %q", c.first, c.second, got, want)
		}
	}
	open := "version: 1\nrules:\n  - {name: first, match: {tag: a, exists: true}, continue: true}\n  - {name: second, match: {tag: a, equals: b}}\n"
	if _, problems := Parse("f", []byte(open), nil); slices.ContainsFunc(problems, func(p diag.Problem) bool { return p.Code == "unreachable" }) {
		t.Errorf("a rule behind one that continues is called unreachable: %v", problems)
	}
}

// A proof that would take 3^40 steps is given up.
func TestProofsEnd(t *testing.T) {
	t.Parallel()
	hard := &Condition{Kind: All}
	for i := range 40 {
		part := &Condition{Kind: Any}
		for j := range 3 {
			part.Children = append(part.Children, &Condition{Kind: Tag, Tag: fmt.Sprint(i, "-", j), Test: Equals, Values: []string{"a"}})
		}
		hard.Children = append(hard.Children, part)
	}
	other := &Condition{Kind: All, Children: slices.Concat(hard.Children[1:], hard.Children[:1])}
	if proved, steps := implies(claimOf(hard, false), claimOf(other, false)); proved || steps > 2*maxSteps {
		t.Errorf("proved: %v, in %d steps", proved, steps)
	}
}

package config_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keywatch/config"
	"keywatch/constructs/spec"
)

func is(fact config.Fact, test config.TagTest, values ...string) *config.Condition {
	return &config.Condition{Kind: config.Is, Fact: fact, Test: test, Values: values}
}

func TestEveryFact(t *testing.T) {
	t.Parallel()
	c := load(t, "testdata/ok/facts.yaml")
	day := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 0, 0, 0, 0, time.UTC) }
	want := []*config.Condition{
		is("alias", config.GlobOf, "alias/pay-*"),
		is("alias", config.In, "alias/pay-a", "alias/pay/b"),
		{Kind: config.Not, Children: []*config.Condition{is("keyId", config.Equals, "1234abcd-12ab-34cd-56ef-1234567890ab")}},
		is("keyId", config.In, "mrk-1234abcd12ab34cd56ef1234567890ab", "2345bcde-12ab-34cd-56ef-1234567890ab"),
		is("usage", config.In, "SIGN_VERIFY", "KEY_AGREEMENT"),
		is("spec", config.GlobOf, "ECC_*"),
		is("origin", config.Equals, "EXTERNAL"),
		is("state", config.GlobOf, "*abled"),
		{Kind: config.Is, Fact: "multiRegion", Want: true},
		{Kind: config.Is, Fact: "createdAfter", Date: day(1, 31)},
		{Kind: config.Is, Fact: "createdBefore", Date: day(12, 1)},
	}
	if diff := cmp.Diff(want, c.Rules[0].Match.Children, sameValues); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := c.Rules[0].Match.Children[4].Pos.String(); got != "testdata/ok/facts.yaml:11:11" {
		t.Errorf("the leaf on usage is said to stand at %s", got)
	}
	if len(c.Warnings) > 0 {
		t.Error(c.Warnings)
	}
	text := `all(alias glob "alias/pay-*", alias in ["alias/pay-a", "alias/pay/b"], not keyId equals "1234abcd-12ab-34cd-56ef-1234567890ab", ` +
		`keyId in ["mrk-1234abcd12ab34cd56ef1234567890ab", "2345bcde-12ab-34cd-56ef-1234567890ab"], usage in ["SIGN_VERIFY", "KEY_AGREEMENT"], ` +
		`spec glob "ECC_*", origin equals "EXTERNAL", state glob "*abled", multiRegion true, createdAfter 2026-01-31, createdBefore 2026-12-01)`
	if diff := cmp.Diff(text, c.Rules[0].Match.String()); diff != "" {
		t.Errorf("it prints as (-want +got):\n%s", diff)
	}
}

// Every usage and spec that a condition may name is one that keys are watched
// with, and the other way round.
func TestUsagesAndSpecsAreThoseWithOperations(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, u := range config.Usage.Values() {
		for _, s := range config.Spec.Values() {
			if _, known := spec.Applicable(u, s); known {
				used[u], used[s] = true, true
			}
		}
	}
	for _, v := range slices.Concat(config.Usage.Values(), config.Spec.Values()) {
		if !used[v] {
			t.Errorf("no operation is known of %s", v)
		}
	}
}

func TestMatchCreated(t *testing.T) {
	t.Parallel()
	before, _ := condition(t, `{createdBefore: 2026-01-31}`)
	after, _ := condition(t, `{createdAfter: 2026-01-31}`)
	for created, early := range map[string]bool{
		"2026-01-30T23:59:59Z": true, "2026-01-31T00:00:00Z": false, "2026-01-31T12:00:00Z": false,
		"2026-01-31T01:00:00+02:00": true, "2026-01-30T23:00:00-02:00": false,
	} {
		at, err := time.Parse(time.RFC3339, created)
		if err != nil {
			t.Fatal(err)
		}
		if before.MatchCreated(at) != early || after.MatchCreated(at) == early {
			t.Errorf("%s: before %v, after %v", created, before.MatchCreated(at), after.MatchCreated(at))
		}
	}
}

func TestMayBegin(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{
		"alias/*": true, "alias/": true, "*": true, "*pay": true, "a*": true, "?????/x": true, "[!b]lias/x": true, "al*s/x": true, "alias?x": true,
		`\alias/x`: true, "": false, "alias": false, "pay*": false, "Alias/*": false, "?alias/*": false, "[b]*": false, "alia*t/x": true,
	} {
		g, err := config.CompileGlob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.MayBegin("alias/"); got != want {
			t.Errorf("%q may begin with alias/: %v, want %v", pattern, got, want)
		}
	}
}

// aKey is what the leaves of the test below look at.
type aKey struct {
	usage   string
	multi   bool
	created time.Time
	aliases []string
}

func (k aKey) satisfies(c *config.Condition) bool {
	switch {
	case c.Kind == config.Not:
		return !k.satisfies(c.Children[0])
	case c.Kind == config.All:
		return !slices.ContainsFunc(c.Children, func(child *config.Condition) bool { return !k.satisfies(child) })
	case c.Kind == config.Any:
		return slices.ContainsFunc(c.Children, k.satisfies)
	case c.Fact == config.Alias:
		return slices.ContainsFunc(k.aliases, c.MatchText)
	case c.Fact == config.Usage:
		return c.MatchText(k.usage)
	case c.Fact == config.MultiRegion:
		return k.multi == c.Want
	}
	return k.created.Before(c.Date) == (c.Fact == config.CreatedBefore)
}

// What is called a contradiction is one: no key satisfies it, with any usage,
// dates around those that are named, and any set of a few aliases.
func TestContradictionsOfFactsAreReal(t *testing.T) {
	t.Parallel()
	var keys []aKey
	names := []string{"alias/a", "alias/b", "alias/ab"}
	for _, usage := range config.Usage.Values() {
		for set := range 1 << len(names) {
			k := aKey{usage: usage}
			for i, name := range names {
				if set>>i&1 == 1 {
					k.aliases = append(k.aliases, name)
				}
			}
			for day := range 4 {
				k.created = time.Date(2026, 1, day+1, 0, 0, 0, 0, time.UTC)
				k.multi = false
				keys = append(keys, k)
				k.multi = true
				keys = append(keys, k)
			}
		}
	}
	r := conditions{rand.New(rand.NewPCG(7, 1)), true}
	leaf := func() string {
		return r.pick(
			"{alias: {equals: "+r.pick(names...)+"}}", "{alias: {in: [alias/a, alias/b]}}", `{alias: {glob: "`+r.pick("alias/a*", "alias/?", "*b")+`"}}`,
			"{usage: {equals: "+r.pick("SIGN_VERIFY", "KEY_AGREEMENT")+"}}", "{usage: {in: [SIGN_VERIFY, KEY_AGREEMENT]}}", `{usage: {glob: "`+r.pick("*VERIFY*", "*", "KEY*")+`"}}`,
			"{multiRegion: "+r.pick("true", "false")+"}", "{createdBefore: 2026-01-0"+r.pick("2", "3")+"}", "{createdAfter: 2026-01-0"+r.pick("2", "3")+"}")
	}
	called, satisfied := map[string]int{}, 0
	for range 6000 {
		var parts []string
		for range 2 + r.IntN(3) {
			part := leaf()
			switch r.IntN(5) {
			case 0, 1:
				part = "{not: " + part + "}"
			case 2:
				part = "{any: [" + part + ", " + leaf() + "]}"
			}
			parts = append(parts, part)
		}
		c, found := contradictionsOf(t, "{all: ["+strings.Join(parts, ", ")+"]}")
		if !slices.Contains(found, c) {
			satisfied++
			continue
		}
		called[fmt.Sprint(slices.Sorted(slices.Values(factsOf(c))))]++
		if slices.ContainsFunc(keys, func(k aKey) bool { return k.satisfies(c) }) {
			t.Fatalf("%s is called a contradiction, and some key satisfies it", c)
		}
	}
	if satisfied < 1000 || len(called) < 10 {
		t.Errorf("%d are none, contradictions %v: this shows little", satisfied, called)
	}
}

func factsOf(c *config.Condition) []string {
	out := []string{}
	if c.Kind == config.Is {
		out = append(out, string(c.Fact))
	}
	for _, child := range c.Children {
		out = append(out, factsOf(child)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Legal conditions on facts that look a little like contradictions.
func TestNoContradictionOfFacts(t *testing.T) {
	t.Parallel()
	for _, match := range []string{
		`{all: [{alias: {equals: alias/a}}, {alias: {equals: alias/b}}]}`, // a key has many
		`{all: [{alias: {glob: "alias/a*"}}, {not: {alias: {equals: alias/a}}}]}`,
		`{all: [{alias: {in: [alias/a, alias/b]}}, {not: {alias: {equals: alias/a}}}]}`,
		`{all: [{usage: {glob: "*VERIFY*"}}, {not: {usage: {equals: SIGN_VERIFY}}}]}`,
		`{not: {any: [{usage: {equals: SIGN_VERIFY}}, {usage: {equals: KEY_AGREEMENT}}]}}`,
		`{all: [{not: {usage: {in: [ENCRYPT_DECRYPT, SIGN_VERIFY, GENERATE_VERIFY_MAC, KEY_AGREEMENT]}}}, {not: {usage: {equals: SIGN_VERIFY}}}]}`, // what KMS may come to have
		`{all: [{createdAfter: 2026-01-31}, {createdBefore: 2026-02-01}]}`,
		`{all: [{createdBefore: 2026-01-31}, {not: {createdAfter: 2026-01-31}}]}`,
		`{all: [{multiRegion: true}, {not: {multiRegion: false}}]}`,
		`{all: [{state: {glob: "*abled"}}, {usage: {glob: "KEY*"}}]}`,
	} {
		if _, found := contradictionsOf(t, match); len(found) > 0 {
			t.Errorf("%s is called a contradiction", match)
		}
	}
}

// A pattern of allowed length without counted repetitions is never too large;
// one with them is if they make it so.
func TestOnlyCountsMakeAPatternTooLarge(t *testing.T) {
	t.Parallel()
	pad := func(part string) string { return strings.Repeat(part, 1000/len(part)) }
	for pattern, large := range map[string]bool{
		pad("a"): false, pad("a|"): false, pad("()"): false, pad("(|)*"): false, pad("(|a*)"): false, pad("a?"): false, pad("[ab]*?"): false, pad(`\pL`): false,
		strings.Repeat("(", 200) + strings.Repeat(")*", 200): false,
		"[a-z]{1,256}":             false,
		"(team|env)-[0-9]{1,100}":  false,
		"[ab]{1000}[cd]{1000}x{5}": true,
		pad("a{1000}"):             true,
		"((a{10}){10}){10}b{1000}": true,
		"([ab]{100}){10}":          false,
		"([ab]{100}c{10}){10}":     false,
		"a{1000,}[bc]{1000,}":      true,
	} {
		_, problems := config.Parse("f", []byte("version: 1\nrules: [{name: r, watch: false, match: {tag: t, regex: '"+pattern+"'}}]\n"), nil)
		problems = problems.Errors()
		if got := len(problems) == 1 && problems[0].Code == "bad-regex" && strings.Contains(problems[0].Message, "steps"); got != large || len(problems) > 1 || !large && len(problems) > 0 {
			t.Errorf("%.60s: too large is %v, want %v: %v", pattern, got, large, problems)
		}
	}
}

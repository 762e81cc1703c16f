package config_test

import (
	"strings"
	"testing"

	"keywatch/config"
)

// tags are the tags of one key.
type tags map[string]string

// holds is what the documentation says of conditions, for any tags.
func holds(c *config.Condition, t tags) bool {
	switch c.Kind {
	case config.Every:
		return true
	case config.Not:
		return !holds(c.Children[0], t)
	case config.All:
		for _, child := range c.Children {
			if !holds(child, t) {
				return false
			}
		}
		return true
	case config.Any:
		for _, child := range c.Children {
			if holds(child, t) {
				return true
			}
		}
		return false
	}
	value, present := t[c.Tag]
	return c.MatchTag(value, present)
}

// condition reads a match, in flow style, with whatever is said about it.
func condition(t *testing.T, match string) (*config.Condition, []string) {
	t.Helper()
	c, problems := config.Parse("f", []byte("version: 1\nrules: [{name: r, watch: false, match: "+match+"}]\n"), nil)
	if c == nil || len(c.Rules) != 1 || c.Rules[0].Match == nil {
		t.Fatalf("match: %s: %v", match, problems)
	}
	return c.Rules[0].Match, codes(problems.Errors())
}

// values are the columns of the truth table below. Each row is a leaf on the
// tag env and, per value of that tag, whether a key with it matches.
var values = []string{"absent", "", "prod", "Prod", " prod", "prod ", "prod/eu", "preprod", "été", "日", "a", "b", "ab", "*", "prod\nx"}

var truth = []struct{ leaf, want string }{
	//                                  absent "" prod Prod _prod prod_ prod/eu preprod été 日 a b ab * prod⏎x
	{`{tag: env, equals: prod}` /*    */, ". . x . . . . . . . . . . . ."},
	{`{tag: env, equals: ""}` /*      */, ". x . . . . . . . . . . . . ."},
	{`{tag: env, equals: "*"}` /*     */, ". . . . . . . . . . . . . x ."},
	{`{tag: env, equals: été}` /*     */, ". . . . . . . . x . . . . . ."},
	{`{tag: Env, equals: prod}` /*    */, ". . . . . . . . . . . . . . ."},
	{`{tag: env, in: [prod, ""]}` /*  */, ". x x . . . . . . . . . . . ."},
	{`{tag: env, in: [a, Prod]}` /*   */, ". . . x . . . . . . x . . . ."},
	{`{tag: env, exists: true}` /*    */, ". x x x x x x x x x x x x x x"},
	{`{tag: env, exists: false}` /*   */, "x . . . . . . . . . . . . . ."},
	{`{tag: env, glob: "*"}` /*       */, ". x x x x x x x x x x x x x x"},
	{`{tag: env, glob: ""}` /*        */, ". x . . . . . . . . . . . . ."},
	{`{tag: env, glob: "prod*"}` /*   */, ". . x . . x x . . . . . . . x"},
	{`{tag: env, glob: "*prod"}` /*   */, ". . x . x . . x . . . . . . ."},
	{`{tag: env, glob: "prod*eu"}` /* */, ". . . . . . x . . . . . . . ."},
	{`{tag: env, glob: "prod?eu"}` /* */, ". . . . . . x . . . . . . . ."},
	{`{tag: env, glob: "[Pp]rod"}` /* */, ". . x x . . . . . . . . . . ."},
	{`{tag: env, glob: "?"}` /*       */, ". . . . . . . . . x x x . x ."},
	{`{tag: env, glob: "???"}` /*     */, ". . . . . . . . x . . . . . ."},
	{`{tag: env, glob: "[!a]"}` /*    */, ". . . . . . . . . x . x . x ."},
	{`{tag: env, glob: '\*'}` /*      */, ". . . . . . . . . . . . . x ."},
	{`{tag: env, regex: prod}` /*     */, ". . x . . . . . . . . . . . ."},
	{`{tag: env, regex: ".*prod.*"}` /**/, ". . x . x x x x . . . . . . ."},
	{`{tag: env, regex: "a|b"}` /*    */, ". . . . . . . . . . x x . . ."},
	{`{tag: env, regex: "^a|b$"}` /*  */, ". . . . . . . . . . x x . . ."},
	{`{tag: env, regex: "|a"}` /*     */, ". x . . . . . . . . x . . . ."},
	{`{tag: env, regex: "a|ab"}` /*   */, ". . . . . . . . . . x . x . ."},
	{`{tag: env, regex: "a??"}` /*    */, ". x . . . . . . . . x . . . ."},
	{`{tag: env, regex: "(?i)PROD"}` /**/, ". . x x . . . . . . . . . . ."},
	{`{tag: env, regex: ".*"}` /*     */, ". x x x x x x x x x x x x x ."},
	{`{tag: env, regex: "(?s).*"}` /* */, ". x x x x x x x x x x x x x x"},
	{`{tag: env, regex: "(?m)^prod$"}` /**/, ". . x . . . . . . . . . . . ."},
	{`{tag: env, regex: '\p{Han}'}` /**/, ". . . . . . . . . x . . . . ."},
	{`{tag: env, regex: '\Qprod'}` /* */, ". . x . . . . . . . . . . . ."},
	{`{tag: env, regex: '\Q*'}` /*    */, ". . . . . . . . . . . . . x ."},
}

func TestTruthTable(t *testing.T) {
	t.Parallel()
	for _, row := range truth {
		c, problems := condition(t, row.leaf)
		not, _ := condition(t, "{not: "+row.leaf+"}")
		if len(problems) > 0 {
			t.Errorf("%s: %q", row.leaf, problems)
		}
		for i, cell := range strings.Fields(row.want) {
			key := tags{"env": values[i], "other": "prod"}
			if values[i] == "absent" {
				delete(key, "env")
			}
			want := cell == "x"
			if got := holds(c, key); got != want {
				t.Errorf("%s on %q: %v, want %v", row.leaf, values[i], got, want)
			}
			if got := holds(not, key); got == want {
				t.Errorf("not %s on %q: %v, want %v", row.leaf, values[i], got, !want)
			}
		}
		if n := len(strings.Fields(row.want)); n != len(values) {
			t.Errorf("%s has %d cells of %d", row.leaf, n, len(values))
		}
	}
}

// A condition prints as the user would say it.
func TestConditionString(t *testing.T) {
	t.Parallel()
	for match, want := range map[string]string{
		`every`:                       `every`,
		`{tag: team, equals: a}`:      `tag team equals "a"`,
		`{tag: team, in: [a, "b,c"]}`: `tag team in ["a", "b,c"]`,
		`{tag: team, glob: "a*"}`:     `tag team glob "a*"`,
		`{tag: team, exists: true}`:   `tag team exists`,
		`{tag: team, exists: false}`:  `tag team does not exist`,
		`{all: [{tag: a, exists: true}, {not: {any: [{tag: b, regex: "x.y"}, {tag: c, equals: ""}]}}]}`: `all(tag a exists, not any(tag b regex "x.y", tag c equals ""))`,
	} {
		c, _ := condition(t, match)
		if got := c.String(); got != want {
			t.Errorf("%s prints as %s, want %s", match, got, want)
		}
	}
}

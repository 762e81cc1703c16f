package config

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestSimplerThan(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		`prod`:             `equals: 'prod'`,
		`^prod$`:           `equals: 'prod'`,
		`(prod)`:           `equals: 'prod'`,
		`a\.b`:             `equals: 'a.b'`,
		`it's`:             `equals: 'it''s'`,
		``:                 `equals: ''`,
		`prod|preprod`:     `in: ['preprod', 'prod']`,
		`team-[ab]`:        `in: ['team-a', 'team-b']`,
		`prod(-eu)?`:       `in: ['prod', 'prod-eu']`,
		`(dev|test)-[123]`: `in: ['dev-1', 'dev-2', 'dev-3', 'test-1', 'test-2', 'test-3']`,
		`prod.*`:           `glob: 'prod*'`,
		`.*`:               `glob: '*'`,
		`.+`:               `glob: '?*'`,
		`^prod-.*-db$`:     `glob: 'prod-*-db'`,
		`a.c`:              `glob: 'a?c'`,
		`\*.*`:             `glob: '\**'`,
		`team-\d\d`:        `glob: 'team-[0-9][0-9]'`,
		`[a-z]-.*`:         `glob: '[a-z]-*'`,
		`prod-.*|dev-.*`:   ``,
		`[0-9]+`:           ``,
		`(?i)prod`:         ``,
		`prod\b.*`:         ``,
		`[^/]*`:            ``,
		`a{2,3}x*`:         ``,
		`(?m)^a$`:          ``,
		`a^b`:              ``,
	} {
		if got := simplerThan(pattern); got != want {
			t.Errorf("%q: %q, want %q", pattern, got, want)
		}
	}
}

// A replacement fits just what the regex fits, as the loader reads both.
func TestAReplacementSaysTheSame(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	parts := []string{"a", "b", "-", ".", ".*", ".+", "[ab]", "[a-c]", `\d`, `\*`, "(a|b)", "a?", "(ab)?", "^", "$", `\.`, "|", "[]-]", "[!a]", `\\`, `\[`, "ü", "'", " ", "[-!^]", ".*?"}
	alphabet := []rune(`abc-.*1]!^\[ü' `)
	found := 0
	for range 20_000 {
		var pattern strings.Builder
		for range 1 + r.IntN(5) {
			pattern.WriteString(from(r, parts))
		}
		regex, err := compileRegex(pattern.String())
		if err != nil {
			continue
		}
		simpler := simplerThan(pattern.String())
		if simpler == "" {
			continue
		}
		found++
		c, problems := Parse("f", []byte("version: 1\nrules:\n  - name: a\n    match: {tag: a, "+simpler+"}\n"), nil)
		if len(problems.Errors()) > 0 {
			t.Fatalf("%q: %s is not valid: %v", pattern.String(), simpler, problems)
		}
		for range 60 {
			var value strings.Builder
			for range r.IntN(6) {
				value.WriteRune(from(r, alphabet))
			}
			v := value.String()
			if got, want := c.Rules[0].Match.MatchTag(v, true), regex.MatchString(v); got != want {
				t.Fatalf("%q fits %q: %v, but %s: %v", pattern.String(), v, want, simpler, got)
			}
		}
	}
	if found < 5_000 {
		t.Errorf("only %d of the patterns have a replacement", found)
	}
}

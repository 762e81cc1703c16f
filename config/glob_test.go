package config_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"keywatch/config"
)

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern  string
		yes, not []string
	}{
		{"", []string{""}, []string{"a", " "}},
		{"a", []string{"a"}, []string{"", "A", "aa", "á"}},
		{"*", []string{"", "a", "a/b", "…"}, nil},
		{"**", []string{"", "a/b"}, nil},
		{"a*c", []string{"ac", "abc", "a/b/c", "acc"}, []string{"a", "c", "abcd", "xac"}},
		{"*a*a*", []string{"aa", "xaxax"}, []string{"a", "xax"}},
		{"?", []string{"a", "é", "日", "/", "😀"}, []string{"", "ab"}},
		{"a?c", []string{"abc", "a/c", "aéc"}, []string{"ac", "abbc"}},
		{"[abc]", []string{"a", "b", "c"}, []string{"", "d", "ab", "A"}},
		{"[a-c]x", []string{"ax", "bx", "cx"}, []string{"dx", "-x", "x"}},
		{"[a-cx-z0-9]", []string{"b", "y", "5"}, []string{"d", "-"}},
		{"[!a-c]", []string{"d", "A", "é", "/"}, []string{"a", "b", "", "dd"}},
		{"[a!]", []string{"a", "!"}, []string{"b"}},
		{"[]]", []string{"]"}, []string{"[", "[]]"}},
		{"[]a]", []string{"]", "a"}, []string{"b"}},
		{"[!]]", []string{"a"}, []string{"]"}},
		{"[a-]", []string{"a", "-"}, []string{"b"}},
		{"[-a]", []string{"a", "-"}, []string{"b"}},
		{"[--0]", []string{"-", ".", "/", "0"}, []string{"a", "1"}},
		{`[a\-c]`, []string{"a", "-", "c"}, []string{"b", `\`}},
		{`[\]]`, []string{"]"}, []string{`\`, "["}},
		{`[\^a]`, []string{"^", "a"}, []string{"b"}},
		{`[a^]`, []string{"^", "a"}, []string{"b"}},
		{`[a-\]]`, nil, nil}, // backwards: ] comes before a
		{"[α-ω]", []string{"β"}, []string{"a", "Ω"}},
		{"[*?]", []string{"*", "?"}, []string{"a", ""}},
		{`\*`, []string{"*"}, []string{"", "a", `\*`}},
		{`\?\[\\`, []string{`?[\`}, []string{`a[\`}},
		{`\a`, []string{"a"}, []string{`\a`}},
		{"a]b", []string{"a]b"}, []string{"ab"}},
		{"{a,b}", []string{"{a,b}"}, []string{"a", "b"}},
		{"^a$", []string{"^a$"}, []string{"a"}},
	} {
		g, err := config.CompileGlob(test.pattern)
		if err != nil {
			if test.yes != nil {
				t.Errorf("%q: %v", test.pattern, err)
			}
			continue
		}
		if test.yes == nil {
			t.Errorf("%q compiles", test.pattern)
		}
		if g.String() != test.pattern {
			t.Errorf("%q prints as %q", test.pattern, g)
		}
		for _, s := range test.yes {
			if !g.Match(s) {
				t.Errorf("%q does not match %q", test.pattern, s)
			}
		}
		for _, s := range test.not {
			if g.Match(s) {
				t.Errorf("%q matches %q", test.pattern, s)
			}
		}
	}
}

func TestGlobErrors(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		`[`:      `character 1: [ is never closed by ]; write \[ for a literal one`,
		`[]`:     `character 1: [ is never closed by ]; write \[ for a literal one`,
		`[!]`:    `character 1: [ is never closed by ]; write \[ for a literal one`,
		`[\]`:    `character 1: [ is never closed by ]; write \[ for a literal one`,
		`[a-`:    `character 1: [ is never closed by ]; write \[ for a literal one`,
		`[a-\`:   `character 1: [ is never closed by ]; write \[ for a literal one`,
		`éé[a`:   `character 3: [ is never closed by ]; write \[ for a literal one`,
		`[a]b[c`: `character 5: [ is never closed by ]; write \[ for a literal one`,
		`a\`:     `character 2: a \ at the end has nothing to take literally; write \\ for a backslash`,
		`x[c-a]`: `character 2: the range c-a runs backwards`,
		`[^a]`:   `character 1: [^…] is not known; write [!…] for none of these, or [\^…] for a literal ^`,
	} {
		if _, err := config.CompileGlob(pattern); err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", pattern, err, want)
		}
	}
}

// naive is a second, slow reading of a valid pattern, straight from the
// documentation: one rune of the pattern after the other, trying everything.
func naive(p, s []rune) bool {
	if len(p) == 0 {
		return len(s) == 0
	}
	switch p[0] {
	case '*':
		for i := range len(s) + 1 {
			if naive(p[1:], s[i:]) {
				return true
			}
		}
		return false
	case '?':
		return len(s) > 0 && naive(p[1:], s[1:])
	case '[':
		members, end := naiveClass(p)
		return len(s) > 0 && members(s[0]) && naive(p[end:], s[1:])
	case '\\':
		return len(s) > 0 && s[0] == p[1] && naive(p[2:], s[1:])
	}
	return len(s) > 0 && s[0] == p[0] && naive(p[1:], s[1:])
}

// naiveClass turns […] into plain pairs: first every member, escaped or not,
// then every "-" that stands between two members.
func naiveClass(p []rune) (func(rune) bool, int) {
	type member struct {
		r       rune
		escaped bool
	}
	i := 1
	negated := p[i] == '!'
	if negated {
		i++
	}
	var members []member
	for first := true; first || p[i] != ']'; first = false {
		escaped := p[i] == '\\'
		if escaped {
			i++
		}
		members = append(members, member{p[i], escaped})
		i++
	}
	var pairs [][2]rune
	for m := 0; m < len(members); m++ {
		pair := [2]rune{members[m].r, members[m].r}
		if m+2 < len(members) && members[m+1].r == '-' && !members[m+1].escaped {
			pair[1] = members[m+2].r
			m += 2
		}
		pairs = append(pairs, pair)
	}
	return func(r rune) bool {
		for _, pair := range pairs {
			if pair[0] <= r && r <= pair[1] {
				return !negated
			}
		}
		return negated
	}, i + 1
}

func TestGlobAgainstNaive(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(2, 7))
	pieces := []string{"a", "b", "é", "/", "*", "*", "?", "[ab]", "[!a]", "[a-é]", "[]", "]", "[!", "-", `\*`, `\`, "!", "["}
	letters := []string{"a", "b", "é", "/", "*", "!", "]", "-", "["}
	word := func(from []string, longest int) string {
		var b strings.Builder
		for range random.IntN(longest + 1) {
			b.WriteString(from[random.IntN(len(from))])
		}
		return b.String()
	}
	const pairs = 60_000
	compared, matched := 0, 0
	for compared < pairs {
		pattern, s := word(pieces, 6), word(letters, 6)
		g, err := config.CompileGlob(pattern)
		if err != nil {
			continue
		}
		compared++
		got, want := g.Match(s), naive([]rune(pattern), []rune(s))
		if got != want {
			t.Fatalf("%q on %q: %v, naive says %v", pattern, s, got, want)
		}
		if got {
			matched++
		}
	}
	if matched < pairs/50 {
		t.Errorf("only %d of %d pairs match: the comparison shows little", matched, pairs)
	}
}

// The worst pattern costs pattern × value, not 2^value.
func TestGlobIsNotExponential(t *testing.T) {
	t.Parallel()
	g, err := config.CompileGlob(strings.Repeat("*a", 400) + "b")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool, 1)
	go func() { done <- g.Match(strings.Repeat("a", 256)) }()
	select {
	case got := <-done:
		if got {
			t.Error("matches")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("not done in 20 s")
	}
}

func FuzzCompileGlob(f *testing.F) {
	for _, seed := range [][2]string{
		{"*", ""}, {"a*c", "abc"}, {"[!a-c]?", "dx"}, {`[\]]`, "]"}, {"[]", "x"}, {"[^a]", "b"}, {`\`, ""}, {"[a-\\", "a"},
		{"[--]", "-"}, {"日?[α-ω]", "日xβ"}, {"\xff", "\xff"}, {"[\xff]", "\xfe"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		g, err := config.CompileGlob(pattern)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "character ") {
				t.Errorf("%q: %v does not say where", pattern, err)
			}
			return
		}
		got := g.Match(s)
		if len(pattern)+len(s) > 40 || strings.Count(pattern, "*") > 5 {
			return // too much for the naive reading
		}
		if want := naive([]rune(pattern), []rune(s)); got != want {
			t.Errorf("%q on %q: %v, naive says %v", pattern, s, got, want)
		}
	})
}

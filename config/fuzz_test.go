package config_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"keywatch/config"
)

// Whatever bytes come in: no crash, no endless work, the same answer twice, and
// either problems that have a place and a code or a config that makes sense.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"keywatch.yaml", "testdata/ok/*.yaml", "testdata/err/*.yaml"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if data, err := os.ReadFile(path); err == nil && len(data) < 10_000 {
				f.Add(data, "5")
			}
		}
	}
	f.Add([]byte("version: 1\nrules: [*a, &a {}]\n"), "")
	f.Add([]byte("a: &a [*a]\n"), "{")
	f.Fuzz(func(t *testing.T, source []byte, override string) {
		overrides := map[string]string{"limits.alarms": override}
		start := time.Now()
		c, problems := config.Parse("f.yaml", source, overrides)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%d bytes took %s", len(source), took)
		}
		_, again := config.Parse("f.yaml", source, overrides)
		if problems.Error() != again.Error() {
			t.Fatalf("two answers:\n%v\n%v", problems, again)
		}
		problems.Sort()
		problems.Print(&strings.Builder{}, "f.yaml", source)
		lines := strings.Count(string(source), "\n") + 1
		for _, p := range problems {
			if p.Code == "" || p.Message == "" || strings.Contains(p.Message, "\n") || p.Pos.File == "" || p.Pos.Line > lines+1 {
				t.Errorf("a bad problem: %#v", p)
			}
		}
		if len(problems.Errors()) == 0 {
			checkValid(t, c)
		}
	})
}

// checkValid asserts what every other package may rely on.
func checkValid(t *testing.T, c *config.Config) {
	t.Helper()
	if c == nil || len(c.Rules) == 0 || c.Name == "" || c.Limits.Alarms < 0 || c.Limits.MonthlyUSD < 0 {
		t.Fatalf("not valid: %+v", c)
	}
	seen := map[string]bool{}
	for _, r := range c.Rules {
		switch {
		case r.Name == "" || seen[r.Name]:
			t.Errorf("the rule name %q is empty or there twice", r.Name)
		case r.Match == nil:
			t.Errorf("rule %q has no condition", r.Name)
		case r.Watch && r.Anomaly == nil && len(r.Thresholds) == 0:
			t.Errorf("rule %q makes no alarm", r.Name)
		case r.BandTag != nil && (r.BandTag.Tag == "" || r.BandTag.Min.Value <= 0 || r.BandTag.AllowLooser && r.BandTag.Max.Value < r.BandTag.Min.Value):
			t.Errorf("rule %q: %+v", r.Name, r.BandTag)
		case r.Operations.Scope == config.Listed && len(r.Operations.List) == 0:
			t.Errorf("rule %q has an empty list of operations", r.Name)
		}
		seen[r.Name] = true
		_ = r.Match.String()
		holds(r.Match, tags{"team": "payments"})
		anomalies := slices.Collect(maps.Values(r.PerOperation))
		for _, a := range append(anomalies, r.Anomaly) {
			if a != nil && (a.Band == "" || a.Period <= 0 || a.Breaching < 1 || a.Breaching > a.Evaluate || a.ID != r.Anomaly.ID) {
				t.Errorf("rule %q: %+v", r.Name, a)
			}
		}
		for _, th := range r.Thresholds {
			if len(th.Operations) == 0 || th.Period <= 0 || th.Breaching < 1 || th.Breaching > th.Evaluate {
				t.Errorf("rule %q: %+v", r.Name, th)
			}
		}
	}
	for _, e := range c.Exceptions {
		if e.Key == "" || e.Reason == "" || e.Owner == "" || e.Expires.IsZero() || e.ByAlias() == e.Written.IsZero() || (e.Account == "") != (e.Region == "") {
			t.Errorf("exception %+v", e)
		}
	}
	text, err := c.Effective()
	if err != nil {
		t.Fatal(err)
	}
	again, problems := config.Parse("f.yaml", text, nil)
	if err := problems.Errors().Err(); err != nil && !strings.Contains(err.Error(), "[too-large]") {
		t.Fatalf("the config with everything filled in is not valid: %v\n%s", err, text)
	} else if diff := cmp.Diff(c, again, sameValues); err == nil && diff != "" {
		t.Errorf("it means something else (-want +got):\n%s\n%s", diff, text)
	}
}

// words are all that a mapping within a condition may hold, written here once more.
var words = []string{
	"all", "any", "not", "tag", "equals", "in", "glob", "regex", "exists",
	"alias", "keyId", "usage", "spec", "origin", "state", "multiRegion", "createdBefore", "createdAfter",
}

// Whatever is written as a condition: no crash, no endless work, and what is
// accepted holds no word but these, prints, and can be asked about anything.
func FuzzCondition(f *testing.F) {
	for _, seed := range []string{
		"every", "{tag: team, equals: payments}", `{tag: "", in: [a, ""]}`, "tag: t\nregex: 'a{1000}|(b*)*'", "{not: {tag: t, exists: false}}",
		`all: [{alias: {glob: "alias/pay-*"}}, {any: [{keyId: {glob: "mrk-*"}}, {usage: {in: [SIGN_VERIFY]}}]}]`,
		"{createdBefore: 2026-01-31}", "{createdAfter: '0000-00-00'}", "{multiRegion: true}", "{spec: {equals: RSA_2048, in: [SM2]}}",
		"{state: {glob: '[!P]*'}}", "{origin: AWS_KMS}", "{all: [&a {tag: t, glob: '*'}, *a]}", "&a {not: *a}", "{<<: {tag: t}, equals: x}",
		strings.Repeat("{not: ", 40) + "{tag: a, exists: true}" + strings.Repeat("}", 40), "{alias: {glob: '**********a'}}", "{tag: t, equals: \"\\ud800\"}",
	} {
		f.Add(seed, "prod")
	}
	f.Fuzz(func(t *testing.T, match, value string) {
		source := []byte("version: 1\nrules:\n  - name: r\n    watch: false\n    match:\n      " + strings.ReplaceAll(match, "\n", "\n      ") + "\n")
		start := time.Now()
		c, problems := config.Parse("f.yaml", source, nil)
		if len(problems.Errors()) == 0 {
			for _, r := range c.Rules {
				ask(t, r.Match, value)
			}
			var tree struct {
				Rules []struct{ Match yaml.Node }
			}
			if err := yaml.Unmarshal(source, &tree); err != nil {
				t.Fatal(err)
			}
			for _, r := range tree.Rules {
				onlyKnownWords(t, &r.Match)
			}
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%d bytes took %s", len(source), took)
		}
	})
}

// ask uses every part of a condition that was accepted.
func ask(t *testing.T, c *config.Condition, value string) {
	t.Helper()
	if c.String() == "" || c.Pos.Line == 0 {
		t.Errorf("a condition that does not print, or has no place: %#v", c)
	}
	switch c.Kind {
	case config.Tag:
		if c.MatchTag(value, true) && c.MatchTag(value, false) && c.Test != config.Exists {
			t.Errorf("%s holds with the tag and without", c)
		}
	case config.Is:
		switch c.Fact {
		case config.MultiRegion:
		case config.CreatedBefore, config.CreatedAfter:
			if c.MatchCreated(c.Date) == (c.Fact == config.CreatedBefore) {
				t.Errorf("%s and a key of that moment", c)
			}
		default:
			c.MatchText(value)
		}
	case config.All, config.Any, config.Not:
		if len(c.Children) == 0 {
			t.Errorf("%s has no parts", c)
		}
	}
	for _, child := range c.Children {
		ask(t, child, value)
	}
}

func onlyKnownWords(t *testing.T, n *yaml.Node) {
	t.Helper()
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && !slices.Contains(words, child.Value) {
			t.Errorf("the unknown word %q was accepted", child.Value)
		}
		onlyKnownWords(t, child)
	}
}

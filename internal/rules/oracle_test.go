package rules_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"keywatch/internal/inventory"
	"keywatch/internal/rules"
)

// condition is a second, naive reading of the rules: it knows how it is written
// in YAML and evaluates itself on a plain map.
type condition struct {
	word     string // every, all, any, not, or a test
	children []condition
	tag      string
	values   []string
}

func (c condition) yaml() string {
	quote := func(s string) string { return strconv.Quote(s) }
	switch c.word {
	case "every":
		return "every"
	case "not":
		return "{not: " + c.children[0].yaml() + "}"
	case "all", "any":
		parts := make([]string, len(c.children))
		for i, child := range c.children {
			parts[i] = child.yaml()
		}
		return "{" + c.word + ": [" + strings.Join(parts, ", ") + "]}"
	case "exists":
		return "{tag: " + quote(c.tag) + ", exists: " + c.values[0] + "}"
	case "in":
		parts := make([]string, len(c.values))
		for i, v := range c.values {
			parts[i] = quote(v)
		}
		return "{tag: " + quote(c.tag) + ", in: [" + strings.Join(parts, ", ") + "]}"
	}
	return "{tag: " + quote(c.tag) + ", " + c.word + ": " + quote(c.values[0]) + "}"
}

func (c condition) matches(tags map[string]string) bool {
	value, present := tags[c.tag]
	switch c.word {
	case "every":
		return true
	case "not":
		return !c.children[0].matches(tags)
	case "all":
		n := 0
		for _, child := range c.children {
			if child.matches(tags) {
				n++
			}
		}
		return n == len(c.children)
	case "any":
		n := 0
		for _, child := range c.children {
			if child.matches(tags) {
				n++
			}
		}
		return n > 0
	case "exists":
		return strconv.FormatBool(present) == c.values[0]
	case "equals", "in":
		return present && slices.Contains(c.values, value)
	case "glob":
		return present && regexp.MustCompile(`(?s)^`+fromGlob(c.values[0])+`$`).MatchString(value)
	case "regex":
		found := regexp.MustCompile(c.values[0])
		found.Longest()
		return present && found.FindString(value) == value && found.MatchString(value)
	}
	panic(c.word)
}

// fromGlob writes the globs of this test, which have no classes with escapes,
// as regular expressions.
func fromGlob(g string) string {
	var b strings.Builder
	for i := 0; i < len(g); i++ {
		switch c := g[i]; c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteString(".")
		case '[':
			end := i + strings.IndexByte(g[i:], ']')
			b.WriteString(strings.Replace(g[i:end+1], "[!", "[^", 1))
			i = end
		case '\\':
			i++
			b.WriteString(regexp.QuoteMeta(g[i : i+1]))
		default:
			b.WriteString(regexp.QuoteMeta(g[i : i+1]))
		}
	}
	return b.String()
}

// Small worlds, so that conditions and tags meet.
var (
	tagKeys   = []string{"team", "Team", "env", "cost center", "a/b", "ü"}
	tagValues = []string{"", "a", "b", "A", "aa", "ab", "b/a", "a b", "*", "ab*", "鍵", "prod"}
	globs     = []string{"*", "a*", "*b", "?", "??", "a?", "[ab]*", "[!a]*", `\*`, `*\*`, "鍵", "a*a", "*/*"}
	regexes   = []string{"a", "a|b", "(a|b)+", "", ".*", "[^a]*", "a.?", `\*`, "(?i)a+", "p.*d", "鍵"}
)

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

func randomCondition(r *rand.Rand, depth int) condition {
	if depth == 0 && r.IntN(40) == 0 {
		return condition{word: "every"}
	}
	if depth < 4 && r.IntN(2) == 0 {
		c := condition{word: pick(r, []string{"all", "any", "not"})}
		n := 1
		if c.word != "not" {
			n += r.IntN(3)
		}
		for range n {
			c.children = append(c.children, randomCondition(r, depth+1))
		}
		return c
	}
	c := condition{word: pick(r, []string{"equals", "in", "glob", "regex", "exists"}), tag: pick(r, tagKeys)}
	switch c.word {
	case "equals":
		c.values = []string{pick(r, tagValues)}
	case "in":
		for _, i := range r.Perm(len(tagValues))[:1+r.IntN(4)] {
			c.values = append(c.values, tagValues[i])
		}
	case "glob":
		c.values = []string{pick(r, globs)}
	case "regex":
		c.values = []string{pick(r, regexes)}
	case "exists":
		c.values = []string{strconv.FormatBool(r.IntN(2) == 0)}
	}
	return c
}

func randomTags(r *rand.Rand) map[string]string {
	tags := map[string]string{}
	for range r.IntN(len(tagKeys) + 1) {
		tags[pick(r, tagKeys)] = pick(r, tagValues)
	}
	return tags
}

func keyWith(tags map[string]string) *inventory.Key {
	list := make([]string, 0, len(tags))
	for k, v := range tags {
		list = append(list, k+"="+v)
	}
	return key(list...)
}

func seeded(t *testing.T) *rand.Rand {
	const seed = 20261122
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// Every condition against every key, by the engine and by the naive reading.
func TestEngineAgreesWithANaiveReading(t *testing.T) {
	r := seeded(t)
	const rounds, conditions, keys = 4, 200, 150
	matched := 0
	for range rounds {
		trees := make([]condition, conditions)
		var yaml strings.Builder
		for i := range trees {
			trees[i] = randomCondition(r, 0)
			fmt.Fprintf(&yaml, "  - {name: r-%d, match: %s, continue: true}\n", i, trees[i].yaml())
		}
		engine := rules.New(ruleSet(t, yaml.String()))
		for range keys {
			tags := randomTags(r)
			var want []int
			for i, tree := range trees {
				if tree.matches(tags) {
					want = append(want, i)
				}
			}
			matched += len(want)
			if got := engine.Decide(keyWith(tags)).Rules; !slices.Equal(got, want) {
				for i, tree := range trees {
					if slices.Contains(got, i) != slices.Contains(want, i) {
						t.Fatalf("tags %v: %s is %v by the engine, %v by the naive reading", tags, tree.yaml(), slices.Contains(got, i), slices.Contains(want, i))
					}
				}
			}
		}
	}
	if pairs := rounds * conditions * keys; matched < pairs/5 || matched > pairs*4/5 {
		t.Errorf("%d of %d pairs match: the generator is lopsided", matched, pairs)
	}
}

type naiveRule struct {
	condition
	watch, goOn bool
}

// walk is the order of rules, read naively.
func walk(rs []naiveRule, tags map[string]string) (rules.Status, []int) {
	var hits []int
	for i, r := range rs {
		if !r.matches(tags) {
			continue
		}
		if !r.watch && len(hits) == 0 {
			return rules.OutOfScope, []int{i}
		}
		if !r.watch {
			break
		}
		hits = append(hits, i)
		if !r.goOn {
			break
		}
	}
	if len(hits) == 0 {
		return rules.Unmatched, nil
	}
	return rules.Watched, hits
}

func TestExplainDecidesAsDecideDoes(t *testing.T) {
	r := seeded(t)
	statuses := map[rules.Status]int{}
	several := 0
	for range 100 {
		rs := make([]naiveRule, 1+r.IntN(8))
		var yaml strings.Builder
		for i := range rs {
			rs[i] = naiveRule{condition: randomCondition(r, 1), watch: r.IntN(4) > 0}
			rs[i].goOn = rs[i].watch && r.IntN(2) == 0
			fmt.Fprintf(&yaml, "  - {name: r-%d, match: %s, watch: %v", i, rs[i].yaml(), rs[i].watch)
			if rs[i].goOn {
				yaml.WriteString(", continue: true")
			}
			yaml.WriteString("}\n")
		}
		set := ruleSet(t, yaml.String())
		decide, explain := rules.New(set), rules.New(set)
		for range 200 {
			tags := randomTags(r)
			k := keyWith(tags)
			status, hits := walk(rs, tags)
			d, e := decide.Decide(k), explain.Explain(k)
			if d.Status != status || !slices.Equal(d.Rules, hits) {
				t.Fatalf("tags %v: %s %v, naively %s %v, by\n%s", tags, d.Status, d.Rules, status, hits, yaml.String())
			}
			if e.Status != d.Status || !slices.Equal(e.Rules, d.Rules) || e.Reason != d.Reason {
				t.Fatalf("tags %v: explained as %+v, decided as %+v, by\n%s", tags, e, d, yaml.String())
			}
			checkTrace(t, rs, tags, e)
			statuses[status]++
			if len(hits) > 1 {
				several++
			}
		}
	}
	if statuses[rules.Watched] < 2000 || statuses[rules.OutOfScope] < 1000 || statuses[rules.Unmatched] < 1000 || several < 500 {
		t.Errorf("the generator is lopsided: %v, %d with several rules", statuses, several)
	}
}

// checkTrace: the trace holds each rule up to where the walk ends, says of each
// what the rule said, and a rule with one leaf says the same as its leaf.
func checkTrace(t *testing.T, rs []naiveRule, tags map[string]string, d rules.Decision) {
	t.Helper()
	for i, step := range d.Trace {
		if matched := rs[i].matches(tags); step.Matched != matched || (step.Note != "") != matched {
			t.Fatalf("tags %v: rule %d %s: trace %+v", tags, i, rs[i].yaml(), step)
		}
		if len(step.Leaves) == 1 && step.Leaves[0].OK != step.Matched {
			t.Fatalf("tags %v: rule %d %s: its only leaf disagrees: %+v", tags, i, rs[i].yaml(), step)
		}
		if end := step.Matched && !rs[i].goOn; end != (i == len(d.Trace)-1) && i != len(rs)-1 {
			t.Fatalf("tags %v: the walk goes on after rule %d, or ends too early: %+v", tags, i, d.Trace)
		}
	}
	if n := len(d.Trace); n == 0 || n < len(rs) && !d.Trace[n-1].Matched {
		t.Fatalf("the trace has %d of %d rules", n, len(rs))
	}
}

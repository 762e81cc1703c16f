package rules_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"keywatch/config"
	"keywatch/internal/inventory"
	"keywatch/internal/rules"
)

// A second, naive reading of the rules, which shares no code with the first: it
// knows how a condition is written in YAML and evaluates itself on a world, which
// is a key as plain data.

type world struct {
	tags    map[string]string
	aliases []string
	id      string
	facts   map[string]string // usage, spec, origin, state, multiRegion, created; nil: not described
	// What may not be read: the tags, or the description.
	noTags, denied bool
}

// truth is yes, no or unknown.
type truth int

const (
	yes truth = iota
	no
	unknown
)

func (t truth) String() string { return []string{"yes", "no", "unknown"}[t] }

func says(ok bool) truth {
	if ok {
		return yes
	}
	return no
}

type condition struct {
	word     string // every, all, any, not, or a test
	children []condition
	tag      string // or
	fact     string
	values   []string
}

func (c condition) yaml() string {
	quoted := make([]string, len(c.values))
	for i, v := range c.values {
		quoted[i] = strconv.Quote(v)
	}
	test := ""
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
	case "is": // multiRegion and dates
		return "{" + c.fact + ": " + c.values[0] + "}"
	case "exists":
		test = "exists: " + c.values[0]
	case "in":
		test = "in: [" + strings.Join(quoted, ", ") + "]"
	default:
		test = c.word + ": " + quoted[0]
	}
	if c.fact != "" {
		return "{" + c.fact + ": {" + test + "}}"
	}
	return "{tag: " + strconv.Quote(c.tag) + ", " + test + "}"
}

func (c condition) of(w world) truth {
	count := map[truth]int{}
	for _, child := range c.children {
		count[child.of(w)]++
	}
	switch c.word {
	case "every":
		return yes
	case "not":
		return map[truth]truth{yes: no, no: yes, unknown: unknown}[c.children[0].of(w)]
	case "all":
		if count[no] == 0 && count[unknown] > 0 {
			return unknown
		}
		return says(count[no] == 0)
	case "any":
		if count[yes] == 0 && count[unknown] > 0 {
			return unknown
		}
		return says(count[yes] > 0)
	}
	if c.fact == "" {
		value, present := w.tags[c.tag]
		switch {
		case w.noTags:
			return unknown
		case c.word == "exists":
			return says(strconv.FormatBool(present) == c.values[0])
		}
		return says(present && c.fits(value))
	}
	switch c.fact {
	case "alias":
		for _, a := range w.aliases {
			if c.fits(a) {
				return yes
			}
		}
		return no
	case "keyId":
		return says(c.fits(w.id))
	}
	if w.facts == nil {
		return unknown
	}
	switch c.fact {
	case "multiRegion":
		return says(w.facts["multiRegion"] == c.values[0])
	case "createdBefore": // times in UTC compare as text
		return says(w.facts["created"] < c.values[0]+"T00:00:00Z")
	case "createdAfter":
		return says(w.facts["created"] >= c.values[0]+"T00:00:00Z")
	}
	return says(c.fits(w.facts[c.fact]))
}

func (c condition) fits(value string) bool {
	switch c.word {
	case "equals", "in":
		for _, v := range c.values {
			if v == value {
				return true
			}
		}
		return false
	case "glob":
		return globFits([]rune(c.values[0]), []rune(value))
	case "regex":
		found := regexp.MustCompile(c.values[0])
		found.Longest()
		return found.FindString(value) == value && found.MatchString(value)
	}
	panic(c.word)
}

// globFits tries every way.
func globFits(pattern, text []rune) bool {
	if len(pattern) == 0 {
		return len(text) == 0
	}
	if pattern[0] == '*' {
		for i := range len(text) + 1 {
			if globFits(pattern[1:], text[i:]) {
				return true
			}
		}
		return false
	}
	if len(text) == 0 {
		return false
	}
	ok, rest := false, pattern[1:]
	switch pattern[0] {
	case '?':
		ok = true
	case '[':
		end := slices.Index(pattern, ']')
		one := pattern[1:end]
		rest = pattern[end+1:]
		negated := one[0] == '!'
		if negated {
			one = one[1:]
		}
		if len(one) == 3 && one[1] == '-' {
			ok = (one[0] <= text[0] && text[0] <= one[2]) != negated
		} else {
			ok = slices.Contains(one, text[0]) != negated
		}
	case '\\':
		ok, rest = pattern[1] == text[0], pattern[2:]
	default:
		ok = pattern[0] == text[0]
	}
	return ok && globFits(rest, text[1:])
}

// Small worlds, so that conditions and keys meet. "é" is there as one character
// and as two, which are different texts.
var (
	tagKeys   = []string{"team", "Team", "env", "cost center", "a/b", "ü"}
	tagValues = []string{"", "a", "b", "A", "aa", "ab", "b/a", "/", "a b", "*", "ab*", "鍵", "prod", "\u00e9", "e\u0301", "ß", "🔑", "a\nb"}
	globs     = []string{"*", "b?a", "a*", "*b", "?", "??", "a?", "[ab]*", "[!a]*", `\*`, `*\*`, "鍵", "a*a", "*/*", "*b*", "[a-p]*", "\u00e9", "", "?*?", "A*"}
	regexes   = []string{"a", "a|b", "(a|b)+", "", ".*", "(?s).*", "[^a]*", "a.?", `\*`, "(?i)a+", "p.*d", "鍵", `\pL+`, "b|a/b|a"}

	keyIDs     = []string{"1234abcd-12ab-34cd-56ef-1234567890ab", "2345bcde-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab"}
	keyIDGlobs = []string{"mrk-*", "*ab", "[12]*", "1234*", "????????-*", "[!m]*"}
	aliases    = []string{"alias/pay", "alias/Pay", "alias/pay-prod", "alias/pay/prod", "alias/a", "alias/b", "alias/b_2"}
	aliasGlobs = []string{"alias/*", "alias/pay*", "*prod", "alias/?", "*/*/*", "alias/[!p]*", "alias/P*", "a*a*a*", `alias/pay\-prod`}
	dates      = []string{"2025-12-31", "2026-01-31", "2026-02-01"}
	moments    = []string{"2025-12-30T23:59:59Z", "2025-12-31T00:00:00Z", "2026-01-30T23:59:59Z", "2026-01-31T00:00:00Z", "2026-01-31T00:00:01Z", "2026-03-01T12:00:00Z"}
	pairs      = [][2]string{{"ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"}, {"ENCRYPT_DECRYPT", "RSA_2048"}, {"SIGN_VERIFY", "RSA_2048"}, {"SIGN_VERIFY", "ECC_NIST_P256"}, {"GENERATE_VERIFY_MAC", "HMAC_256"}}
	factGlobs  = map[string][]string{
		"usage": {"*", "SIGN*", "*_VERIFY*", "[EK]*"}, "spec": {"*", "RSA_*", "*_256", "???_????", "[!S]*"},
		"origin": {"*", "EXTERNAL*", "AWS_*"}, "state": {"*", "Pending*", "*abled", "?nabled"},
	}
)

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

func some(r *rand.Rand, from []string) []string {
	var out []string
	for _, i := range r.Perm(len(from))[:1+r.IntN(min(4, len(from)))] {
		out = append(out, from[i])
	}
	return out
}

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
	if r.IntN(2) == 0 {
		return randomFact(r)
	}
	c := condition{word: pick(r, []string{"equals", "in", "glob", "regex", "exists"}), tag: pick(r, tagKeys)}
	switch c.word {
	case "equals":
		c.values = []string{pick(r, tagValues)}
	case "in":
		c.values = some(r, tagValues)
	case "glob":
		c.values = []string{pick(r, globs)}
	case "regex":
		c.values = []string{pick(r, regexes)}
	case "exists":
		c.values = []string{strconv.FormatBool(r.IntN(2) == 0)}
	}
	return c
}

func randomFact(r *rand.Rand) condition {
	c := condition{fact: pick(r, []string{"alias", "keyId", "usage", "spec", "origin", "state", "multiRegion", "createdBefore", "createdAfter"})}
	values, patterns := config.Fact(c.fact).Values(), factGlobs[c.fact]
	switch c.fact {
	case "multiRegion":
		c.word, c.values = "is", []string{strconv.FormatBool(r.IntN(2) == 0)}
		return c
	case "createdBefore", "createdAfter":
		c.word, c.values = "is", []string{pick(r, dates)}
		return c
	case "alias":
		values, patterns = aliases, aliasGlobs
	case "keyId":
		values, patterns = keyIDs, keyIDGlobs
	}
	switch c.word = pick(r, []string{"equals", "in", "glob"}); c.word {
	case "equals":
		c.values = []string{pick(r, values)}
	case "in":
		c.values = some(r, values)
	case "glob":
		c.values = []string{pick(r, patterns)}
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

func randomWorld(r *rand.Rand) world {
	w := world{tags: randomTags(r), id: pick(r, keyIDs)}
	if r.IntN(4) > 0 {
		w.aliases = some(r, aliases)
	}
	pair := pairs[r.IntN(len(pairs))]
	state := "Enabled"
	if r.IntN(3) == 0 {
		state = pick(r, config.State.Values())
	}
	w.facts = map[string]string{
		"usage": pair[0], "spec": pair[1], "state": state, "origin": pick(r, config.Origin.Values()),
		"multiRegion": strconv.FormatBool(r.IntN(2) == 0), "created": pick(r, moments),
	}
	switch r.IntN(8) {
	case 0:
		w.tags, w.noTags = nil, true
	case 1:
		w.facts, w.denied = nil, true
	case 2:
		w.facts = nil // nobody asked
	}
	return w
}

func (w world) key() *inventory.Key {
	list := make([]string, 0, len(w.tags))
	for k, v := range w.tags {
		list = append(list, k+"="+v)
	}
	out := key(list...)
	*out = inventory.Key{ARN: out.ARN, ID: w.id, Tags: out.Tags}
	for _, a := range w.aliases {
		out.Aliases = append(out.Aliases, inventory.Alias{Name: a})
	}
	switch {
	case w.noTags:
		out.Unreadable = inventory.ReasonTags + "AccessDeniedException"
	case w.denied:
		out.Unreadable = "kms:DescribeKey: AccessDeniedException"
	}
	if w.facts != nil {
		out.Described, out.Manager = true, "CUSTOMER"
		out.Usage, out.Spec, out.Origin, out.State = w.facts["usage"], w.facts["spec"], w.facts["origin"], w.facts["state"]
		out.MultiRegion = w.facts["multiRegion"] == "true"
		out.Created, _ = time.Parse(time.RFC3339, w.facts["created"])
	}
	return out
}

// unable is what becomes of a key that a rule watches or may watch, if it can
// have no alarms or nobody can know.
func (w world) unable() (rules.Status, bool) {
	switch {
	case strings.HasPrefix(w.facts["state"], "Pending") && w.facts["state"] != "PendingImport":
		return rules.NotEligible, true
	case w.noTags || w.denied:
		return rules.Unreadable, true
	}
	return "", false
}

func seeded(t *testing.T) *rand.Rand {
	const seed = 20261122
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// Random conditions against random keys, by the engine and by the naive reading.
// A rule that says watch: false answers for its condition alone: out of scope is
// yes, unmatched is no, and anything else is unknown.
func TestEngineAgreesWithANaiveReading(t *testing.T) {
	r := seeded(t)
	const conditions, keys = 1000, 130
	trees := make([]condition, conditions)
	var yaml strings.Builder
	for i := range trees {
		trees[i] = randomCondition(r, 0)
		fmt.Fprintf(&yaml, "  - {name: r-%d, match: %s, watch: false}\n", i, trees[i].yaml())
	}
	set := ruleSet(t, yaml.String())
	answers, leaves := map[truth]int{}, map[string]int{}
	for i, tree := range trees {
		tree.count(leaves)
		engine := rules.New(set[i : i+1])
		for range keys {
			w := randomWorld(r)
			want := tree.of(w)
			answers[want]++
			got := unknown
			switch engine.Decide(w.key()).Status {
			case rules.OutOfScope:
				got = yes
			case rules.Unmatched:
				got = no
			}
			if got != want {
				t.Fatalf("key %+v: %s is %v by the engine, %v by the naive reading", w, tree.yaml(), got, want)
			}
		}
	}
	pairs := conditions * keys
	t.Logf("%d pairs: %v; leaves %v", pairs, answers, leaves)
	if pairs < 100_000 || answers[yes] < pairs/5 || answers[no] < pairs/5 || answers[unknown] < pairs/20 {
		t.Errorf("the generator is lopsided: %v", answers)
	}
	if len(leaves) != 5+6*3+3 { // of tags, facts with tests, and the others
		t.Errorf("%d kinds of leaves: %v", len(leaves), leaves)
	}
}

// count counts leaves by kind.
func (c condition) count(kinds map[string]int) {
	for _, child := range c.children {
		child.count(kinds)
	}
	if len(c.children) == 0 && c.word != "every" {
		kinds[c.fact+" "+c.word]++
	}
}

type naiveRule struct {
	condition
	watch, goOn bool
}

// walk is the order of rules, read naively: what becomes of the key, and the
// rules that match as far as is known.
func walk(rs []naiveRule, w world) (rules.Status, []int) {
	var hits []int
	open := false
	for i, r := range rs {
		said := r.of(w)
		if said == no {
			continue
		}
		if open = said == unknown; open {
			break
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
	if len(hits) == 0 && !open {
		return rules.Unmatched, nil
	}
	if status, ok := w.unable(); ok {
		return status, hits
	}
	if open {
		return rules.Unreadable, hits
	}
	if w.facts == nil {
		return rules.NotEligible, hits // of no known spec
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
			w := randomWorld(r)
			k := w.key()
			status, hits := walk(rs, w)
			d, e := decide.Decide(k), explain.Explain(k)
			if d.Status != status || !slices.Equal(slices.Concat(d.Rules, d.Matched), hits) {
				t.Fatalf("key %+v: %+v, naively %s %v, by\n%s", w, d, status, hits, yaml.String())
			}
			if e.Status != d.Status || !slices.Equal(e.Rules, d.Rules) || !slices.Equal(e.Matched, d.Matched) || e.Reason != d.Reason || e.Reason == "" && e.Status != rules.Watched {
				t.Fatalf("key %+v: explained as %+v, decided as %+v, by\n%s", w, e, d, yaml.String())
			}
			checkTrace(t, rs, w, e)
			statuses[status]++
			if len(hits) > 1 {
				several++
			}
		}
	}
	if statuses[rules.Watched] < 2000 || statuses[rules.OutOfScope] < 1000 || statuses[rules.Unmatched] < 1000 || statuses[rules.Unreadable] < 1000 || several < 500 {
		t.Errorf("the generator is lopsided: %v, %d with several rules", statuses, several)
	}
}

// checkTrace: the trace holds each rule up to where the walk ends, says of each
// what the rule said, and a rule with one leaf says the same as its leaf.
func checkTrace(t *testing.T, rs []naiveRule, w world, d rules.Decision) {
	t.Helper()
	for i, step := range d.Trace {
		said := rs[i].of(w)
		if want := map[truth]rules.Answer{yes: rules.Yes, no: rules.No, unknown: rules.Unknown}[said]; step.Answer != want || step.Leaves[0].Answer != want || step.Leaves[0].Depth != 0 {
			t.Fatalf("key %+v: rule %d %s: trace %+v, want the answer %s", w, i, rs[i].yaml(), step, want)
		}
		if step.Matched != (said == yes) || (step.Note == "") != (said == no) || strings.Contains(step.Note, "unknown") != (said == unknown) {
			t.Fatalf("key %+v: rule %d %s: trace %+v", w, i, rs[i].yaml(), step)
		}
		if len(step.Leaves) == 1 && step.Leaves[0].OK != step.Matched {
			t.Fatalf("key %+v: rule %d %s: its only leaf disagrees: %+v", w, i, rs[i].yaml(), step)
		}
		if end := said == unknown || said == yes && !rs[i].goOn; end != (i == len(d.Trace)-1) && i != len(rs)-1 {
			t.Fatalf("key %+v: the walk goes on after rule %d, or ends too early: %+v", w, i, d.Trace)
		}
	}
	if n := len(d.Trace); n == 0 || n < len(rs) && d.Trace[n-1].Note == "" {
		t.Fatalf("the trace has %d of %d rules", n, len(rs))
	}
}

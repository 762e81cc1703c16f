package rules_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keywatch/internal/inventory"
	"keywatch/internal/rules"
)

// fits is how AWS reads filters: any of them, of each all keys, of a key any
// value, and without values the key is enough.
func fits(filters []inventory.TagFilter, tags map[string]string) bool {
	return slices.ContainsFunc(filters, func(f inventory.TagFilter) bool {
		return !slices.ContainsFunc(f, func(c inventory.TagCondition) bool {
			value, present := tags[c.Key]
			return !present || len(c.Values) > 0 && !slices.Contains(c.Values, value)
		})
	})
}

func TestPushdown(t *testing.T) {
	t.Parallel()
	tag := func(key string, values ...string) inventory.TagCondition {
		return inventory.TagCondition{Key: key, Values: values}
	}
	for name, c := range map[string]struct {
		match string // of several rules, by line
		want  []inventory.TagFilter
	}{
		"equals":                      {`{tag: a, equals: x}`, []inventory.TagFilter{{tag("a", "x")}}},
		"in":                          {`{tag: a, in: [y, x]}`, []inventory.TagFilter{{tag("a", "x", "y")}}},
		"glob is: has the tag":        {`{tag: a, glob: "x*"}`, []inventory.TagFilter{{tag("a")}}},
		"regex is: has the tag":       {`{tag: a, regex: "x.*"}`, []inventory.TagFilter{{tag("a")}}},
		"exists":                      {`{tag: a, exists: true}`, []inventory.TagFilter{{tag("a")}}},
		"an empty value":              {`{tag: a, equals: ""}`, []inventory.TagFilter{{tag("a")}}},
		"an empty value among others": {`{tag: a, in: ["", x]}`, []inventory.TagFilter{{tag("a")}}},
		"more values than a filter takes": {
			`{tag: a, in: [` + strings.Join(letters(21), ", ") + `]}`, []inventory.TagFilter{{tag("a")}},
		},
		"all":                            {`{all: [{tag: b, equals: y}, {tag: a, equals: x}]}`, []inventory.TagFilter{{tag("a", "x"), tag("b", "y")}}},
		"all, one part without a filter": {`{all: [{not: {tag: b, equals: y}}, {tag: a, equals: x}]}`, []inventory.TagFilter{{tag("a", "x")}}},
		"all, of one tag":                {`{all: [{tag: a, in: [x, y, z]}, {tag: a, in: [y, z, w]}]}`, []inventory.TagFilter{{tag("a", "y", "z")}}},
		"all, a pattern and a value":     {`{all: [{tag: a, glob: "x*"}, {tag: a, in: [x1, y1]}]}`, []inventory.TagFilter{{tag("a", "x1", "y1")}}},
		"all, with any inside": {
			`{all: [{tag: a, equals: x}, {any: [{tag: b, equals: y}, {tag: c, exists: true}]}]}`,
			[]inventory.TagFilter{{tag("a", "x"), tag("b", "y")}, {tag("a", "x"), tag("c")}},
		},
		"any":                            {`{any: [{tag: a, equals: x}, {tag: b, equals: y}]}`, []inventory.TagFilter{{tag("a", "x")}, {tag("b", "y")}}},
		"any, of one tag":                {`{any: [{tag: a, equals: x}, {tag: a, equals: y}]}`, []inventory.TagFilter{{tag("a", "x", "y")}}},
		"any, one within the other":      {`{any: [{tag: a, equals: x}, {tag: a, exists: true}]}`, []inventory.TagFilter{{tag("a")}}},
		"rules that differ in one value": {"{tag: a, equals: x}\n{tag: a, equals: y}", []inventory.TagFilter{{tag("a", "x", "y")}}},
		"all of one tag with values that exclude each other": {"{all: [{tag: a, equals: x}, {tag: a, equals: y}]}\n{tag: b, equals: z}", []inventory.TagFilter{{tag("b", "z")}}},
		"nothing can match at all":                           {`{all: [{tag: a, equals: x}, {tag: a, equals: y}]}`, []inventory.TagFilter{}},

		"every":                             {`every`, nil},
		"exists: false":                     {`{tag: a, exists: false}`, nil},
		"not at the top":                    {`{not: {tag: a, equals: x}}`, nil},
		"any with a not":                    {`{any: [{tag: a, equals: x}, {not: {tag: b, equals: y}}]}`, nil},
		"all of what has no filter":         {`{all: [{not: {tag: a, equals: x}}, {tag: b, exists: false}]}`, nil},
		"a fact":                            {`{usage: {equals: SIGN_VERIFY}}`, nil},
		"an alias":                          {`{any: [{tag: a, equals: x}, {alias: {glob: "alias/pay*"}}]}`, nil},
		"all, a fact and a tag":             {`{all: [{usage: {equals: SIGN_VERIFY}}, {tag: a, equals: x}]}`, []inventory.TagFilter{{tag("a", "x")}}},
		"one rule of several without":       {"{tag: a, equals: x}\n{tag: b, exists: false}", nil},
		"more alternatives than are useful": {"{tag: " + strings.Join(letters(11), ", exists: true}\n{tag: ") + ", exists: true}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := rules.Need(ruleSet(t, matches(c.match))).Filters
			if diff := cmp.Diff(c.want, got); diff != "" || (got == nil) != (c.want == nil) {
				t.Errorf("filters (-want +got):\n%s", diff)
			}
		})
	}
}

// matches is a rule a line.
func matches(lines string) string {
	var b strings.Builder
	for i, m := range strings.Split(lines, "\n") {
		fmt.Fprintf(&b, "  - {name: r-%d, match: %s}\n", i, m)
	}
	return b.String()
}

func letters(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = "t" + string(rune('a'+i))
	}
	return out
}

// A rule that watches nobody is asked too: what it takes is out of scope and not
// unmatched.
func TestPushdownKeepsWhatIsOutOfScope(t *testing.T) {
	t.Parallel()
	need := rules.Need(ruleSet(t, "  - {name: s, match: {tag: env, equals: dev}, watch: false}\n  - {name: p, match: {tag: env, equals: prod}}\n"))
	if want := []inventory.TagFilter{{{Key: "env", Values: []string{"dev", "prod"}}}}; !cmp.Equal(need.Filters, want) {
		t.Errorf("filters %v", need.Filters)
	}
	for tag, want := range map[string]bool{"env=prod": true, "env=dev": false, "env=test": false} {
		if got := need.Describe(key(tag)); got != want {
			t.Errorf("%s: describe is %v", tag, got)
		}
	}
	if !need.Describe(with(key(), func(k *inventory.Key) { k.Unreadable = inventory.ReasonTags + "denied" })) {
		t.Error("a key whose tags may not be read is not described, and might be one that has no alarms anyway")
	}
}

func TestFiltersAreWithinTheLimitsOfAWS(t *testing.T) {
	t.Parallel()
	var parts []string
	for i := range 60 {
		parts = append(parts, fmt.Sprintf("{tag: t%d, in: [a, b]}", i))
	}
	long := rules.Need(ruleSet(t, matches("{all: ["+strings.Join(parts, ", ")+"]}"))).Filters
	if len(long) != 1 || len(long[0]) != 50 {
		t.Errorf("%d filters; want one with 50 keys", len(long))
	}
	var lines []string
	for i := range 50 {
		lines = append(lines, fmt.Sprintf("{tag: team, equals: team-%d}", i))
	}
	many := rules.Need(ruleSet(t, matches(strings.Join(lines, "\n")))).Filters
	values := 0
	for _, f := range many {
		if len(f) != 1 || len(f[0].Values) > 20 {
			t.Errorf("filter %v", f)
		}
		values += len(f[0].Values)
	}
	if len(many) != 3 || values != 50 {
		t.Errorf("%d filters with %d values; want 50 values in 3", len(many), values)
	}
}

// The promise of Need: the decision (status and rules) on an inventory read for
// it is the decision on the full one, for every key.
func TestPushdownChangesNoDecision(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(20261123, 1))
	pushed, omitted, undescribed, watched, unreadable := 0, 0, 0, 0, 0
	for range 400 {
		set := ruleSet(t, randomRules(r))
		need, full, part := rules.Need(set), rules.New(set), rules.New(set)
		if need.Filters != nil {
			pushed++
		}
		for range 60 {
			k := randomKey(r)
			reduced := reduce(k, need)
			want, got := full.Decide(k), part.Decide(reduced)
			if got.Status != want.Status || !slices.Equal(got.Rules, want.Rules) {
				t.Fatalf("filters %v: %+v on %+v; in full %+v on %+v", need.Filters, got, reduced, want, k)
			}
			if reduced.TagsOmitted {
				omitted++
			}
			if !reduced.Described && !reduced.TagsOmitted && k.Described {
				undescribed++
			}
			if want.Status == rules.Watched {
				watched++
			}
			if want.Status == rules.Unreadable {
				unreadable++
			}
		}
	}
	t.Logf("%d of 400 rule sets are pushed down; %d keys without tags, %d without description, %d watched, %d unreadable", pushed, omitted, undescribed, watched, unreadable)
	if pushed < 100 || omitted < 500 || undescribed < 500 || watched < 2000 || unreadable < 500 {
		t.Error("the generator is lopsided")
	}
}

func randomRules(r *rand.Rand) string {
	var yaml strings.Builder
	for i := range 1 + r.IntN(5) {
		c := randomCondition(r, 1)
		if r.IntN(3) > 0 { // many sets must have a filter
			c = condition{word: "all", children: []condition{{word: "in", tag: pick(r, tagKeys), values: []string{pick(r, tagValues), "q"}}, c}}
		}
		watch := r.IntN(4) > 0
		fmt.Fprintf(&yaml, "  - {name: r-%d, match: %s, watch: %v", i, c.yaml(), watch)
		if watch && r.IntN(2) == 0 {
			yaml.WriteString(", continue: true")
		}
		yaml.WriteString("}\n")
	}
	return yaml.String()
}

// randomKey is a key as a full reading has it.
func randomKey(r *rand.Rand) *inventory.Key {
	w := randomWorld(r)
	for w.facts == nil && !w.denied { // a full reading asks
		w = randomWorld(r)
	}
	k := w.key()
	switch r.IntN(12) {
	case 0:
		k.Spec = "ML_KEM_768"
	case 1:
		k.Manager, k.Tags = "AWS", nil
	case 2:
		*k = inventory.Key{ARN: k.ARN, ID: k.ID, Aliases: k.Aliases, Tags: k.Tags, Gone: true}
	}
	return k
}

// reduce is what a reader does for the need.
func reduce(k *inventory.Key, need inventory.Need) *inventory.Key {
	out := &inventory.Key{ARN: k.ARN, ID: k.ID, Aliases: k.Aliases, Tags: k.Tags}
	tags := map[string]string{}
	for _, t := range k.Tags {
		tags[t.Key] = t.Value
	}
	switch {
	case k.TagsUnreadable(): // learnt before anything is described
		out.Unreadable = k.Unreadable
	case need.Filters != nil && !fits(need.Filters, tags):
		out.TagsOmitted, out.Tags = true, nil
	}
	if need.Describe(out) {
		described := *k
		described.Tags = out.Tags
		return &described
	}
	return out
}

// What the reader may leave out, and when it may ask.
func TestNeedOfFacts(t *testing.T) {
	t.Parallel()
	for match, want := range map[string]struct{ byTags, describe bool }{
		`{tag: team, equals: pay}`:            {true, false},
		`{alias: {glob: "alias/*"}}`:          {false, false},
		`{not: {alias: {equals: alias/pay}}}`: {false, true},
		`{keyId: {glob: "mrk-*"}}`:            {true, false},
		`{usage: {equals: SIGN_VERIFY}}`:      {true, true},
		`{multiRegion: false}`:                {true, true},
		`{createdAfter: 2026-01-31}`:          {true, true},
		// The tag decides, so nobody need know the rest.
		`{all: [{state: {equals: Enabled}}, {tag: team, equals: pay}]}`:                    {true, false},
		`{any: [{state: {equals: Enabled}}, {tag: team, exists: false}]}`:                  {true, true},
		`{all: [{state: {equals: Enabled}}, {alias: {equals: alias/pay}}]}`:                {false, false},
		`{not: {any: [{state: {equals: Enabled}}, {not: {tag: team, equals: payments}}]}}`: {true, false},
	} {
		need := rules.Need(ruleSet(t, "  - {name: r, match: "+match+", watch: true}\n"))
		k := &inventory.Key{ARN: "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", ID: "1234abcd-12ab-34cd-56ef-1234567890ab", Tags: []inventory.Tag{{Key: "team", Value: "dev"}}}
		if got := need.Describe(k); need.ByTags != want.byTags || got != want.describe {
			t.Errorf("%s: by tags %v, describe %v; want %+v", match, need.ByTags, got, want)
		}
	}
	// A key that is taken before anything unknown is asked for is out of scope.
	need := rules.Need(ruleSet(t, "  - {name: a, match: {tag: env, equals: dev}, watch: false}\n  - {name: b, match: {usage: {equals: SIGN_VERIFY}}, watch: false}\n"))
	if need.Describe(key("env=dev")) || !need.Describe(&inventory.Key{}) {
		t.Error("the description is needed where a rule asks for it, and only there")
	}
}

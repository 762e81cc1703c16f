package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keywatch/config"
	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/rules"
)

// ruleSet reads rules as a user writes them. A rule that can never match is an
// error to a user and a case to us.
func ruleSet(t testing.TB, yaml string) []config.Rule {
	t.Helper()
	c, problems := config.Parse("keywatch.yaml", []byte("version: 1\nrules:\n"+yaml), nil)
	for _, p := range problems {
		if p.Severity == diag.Error && p.Code != "contradiction" {
			t.Fatalf("%v in\n%s", p, yaml)
		}
	}
	return c.Rules
}

// a symmetric, enabled customer key with tags "key=value".
func key(tags ...string) *inventory.Key {
	k := &inventory.Key{ARN: "arn:aws:kms:eu-west-1:111122223333:key/a", Manager: "CUSTOMER", State: "Enabled", Usage: "ENCRYPT_DECRYPT", Spec: "SYMMETRIC_DEFAULT"}
	for _, t := range tags {
		name, value, _ := strings.Cut(t, "=")
		k.Tags = append(k.Tags, inventory.Tag{Key: name, Value: value})
	}
	inv := inventory.Inventory{Keys: []inventory.Key{*k}}
	inv.Sort()
	return &inv.Keys[0]
}

func with(k *inventory.Key, change func(*inventory.Key)) *inventory.Key {
	change(k)
	return k
}

const teams = `
  - {name: pay, match: {tag: team, equals: pay}}
  - {name: pay-again, match: {tag: team, equals: pay}}
  - {name: sandbox, match: {tag: env, equals: sandbox}, watch: false}
  - {name: audit, match: {tag: audit, exists: true}, continue: true}
  - {name: quiet, match: {tag: quiet, exists: true}, watch: false}
  - {name: prod, match: {tag: env, equals: prod}}
`

func TestDecisions(t *testing.T) {
	engine := rules.New(ruleSet(t, teams))
	watched := func(indexes ...int) rules.Decision { return rules.Decision{Status: rules.Watched, Rules: indexes} }
	outOfScope := func(rule int, name string) rules.Decision {
		return rules.Decision{Status: rules.OutOfScope, Rules: []int{rule}, Reason: `rule "` + name + `" says watch: false`}
	}
	notEligible := func(reason string, matched ...int) rules.Decision {
		return rules.Decision{Status: rules.NotEligible, Reason: reason, Matched: matched}
	}
	unread := func(reason string, matched ...int) rules.Decision {
		return rules.Decision{Status: rules.Unreadable, Reason: reason, Matched: matched}
	}
	unknown := func(reason string) rules.Decision {
		return rules.Decision{Status: rules.NotEligible, Reason: reason, Matched: []int{0}, UnknownSpec: true}
	}
	unmatched := rules.Decision{Status: rules.Unmatched, Reason: "no rule matches"}
	denied, hidden := "kms:DescribeKey: AccessDeniedException", "kms:ListResourceTags: AccessDeniedException"
	state := func(s string) *inventory.Key {
		return with(key("team=pay"), func(k *inventory.Key) { k.State = s })
	}
	for name, c := range map[string]struct {
		key  *inventory.Key
		want rules.Decision
	}{
		"the first match decides":                     {key("team=pay", "env=prod", "audit=x"), watched(0)},
		"watch: false first":                          {key("env=sandbox", "audit=x"), outOfScope(2, "sandbox")},
		"continue and a later match":                  {key("audit=", "env=prod"), watched(3, 5)},
		"continue and no later match":                 {key("audit=", "env=dev"), watched(3)},
		"watch: false after continue ends the walk":   {key("audit=x", "quiet=x", "env=prod"), watched(3)},
		"no rule matches":                             {key("team=Pay"), rules.Decision{Status: rules.Unmatched, Reason: "no rule matches"}},
		"no tags at all":                              {key(), rules.Decision{Status: rules.Unmatched, Reason: "no rule matches"}},
		"may not be described, and a rule watches it": {with(key("team=pay"), func(k *inventory.Key) { k.Unreadable = denied }), unread(denied, 0)},
		"may not be described, and no rule takes it":  {with(key(), func(k *inventory.Key) { k.Unreadable = denied }), unmatched},
		"may not be described, and is out of scope":   {with(key("env=sandbox"), func(k *inventory.Key) { k.Unreadable = denied }), outOfScope(2, "sandbox")},
		"tags unreadable":                             {with(&inventory.Key{}, func(k *inventory.Key) { k.Unreadable = hidden }), rules.Decision{Status: rules.Unreadable, Reason: hidden}},
		"tags unreadable, the rest known":             {with(key(), func(k *inventory.Key) { k.Unreadable = hidden }), rules.Decision{Status: rules.Unreadable, Reason: hidden}},
		"tags unreadable, but AWS managed":            {with(key(), func(k *inventory.Key) { k.Unreadable, k.Manager = hidden, "AWS" }), notEligible("an AWS managed key: keywatch watches customer managed keys")},
		"tags unreadable, but pending deletion":       {with(key(), func(k *inventory.Key) { k.Unreadable, k.State = hidden, "PendingDeletion" }), notEligible("the key state is PendingDeletion")},
		"unreadable, but pending deletion":            {with(state("PendingDeletion"), func(k *inventory.Key) { k.Unreadable = denied }), notEligible("the key state is PendingDeletion", 0)},
		"AWS managed, though a tag matches":           {with(key("team=pay"), func(k *inventory.Key) { k.Manager = "AWS" }), notEligible("an AWS managed key: keywatch watches customer managed keys", 0)},
		"AWS managed":                                 {&inventory.Key{Manager: "AWS"}, rules.Decision{Status: rules.Unmatched, Reason: "no rule matches; an AWS managed key cannot be tagged"}},
		"tags that nobody needed":                     {with(key(), func(k *inventory.Key) { k.TagsOmitted = true }), unmatched},
		"not described, since no rule takes it":       {&inventory.Key{}, unmatched},
		"pending deletion, and no rule takes it":      {with(key(), func(k *inventory.Key) { k.State = "PendingDeletion" }), unmatched},
		"pending deletion":                            {state("PendingDeletion"), notEligible("the key state is PendingDeletion", 0)},
		"pending replica deletion":                    {state("PendingReplicaDeletion"), notEligible("the key state is PendingReplicaDeletion", 0)},
		"disabled is watched":                         {state("Disabled"), watched(0)},
		"creating is watched":                         {state("Creating"), watched(0)},
		"pending import is watched":                   {state("PendingImport"), watched(0)},
		"unavailable is watched":                      {state("Unavailable"), watched(0)},
		"updating is watched":                         {state("Updating"), watched(0)},
		"a state that KMS may come to use is watched": {state("Resting"), watched(0)},
		"gone":                               {with(key("team=pay"), func(k *inventory.Key) { k.Gone = true }), notEligible("the key was deleted while the inventory was read", 0)},
		"gone, and unreadable because of it": {with(key(), func(k *inventory.Key) { k.Gone, k.Unreadable = true, hidden }), notEligible("the key was deleted while the inventory was read")},
		"unknown key spec":                   {with(key("team=pay"), func(k *inventory.Key) { k.Spec = "ML_KEM_768" }), unknown(`keywatch does not know the operations of key usage "ENCRYPT_DECRYPT" with key spec "ML_KEM_768"`)},
		"unknown key usage":                  {with(key("team=pay"), func(k *inventory.Key) { k.Usage = "WRAP" }), unknown(`keywatch does not know the operations of key usage "WRAP" with key spec "SYMMETRIC_DEFAULT"`)},
		"a usage and spec that do not go together":       {with(key("team=pay"), func(k *inventory.Key) { k.Spec = "HMAC_256" }), unknown(`keywatch does not know the operations of key usage "ENCRYPT_DECRYPT" with key spec "HMAC_256"`)},
		"a multi-Region key from a custom key store too": {with(key("team=pay"), func(k *inventory.Key) { k.MultiRegion, k.Origin = true, "AWS_CLOUDHSM" }), watched(0)},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, engine.Decide(c.key)); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			explained := engine.Explain(c.key)
			explained.Trace = nil
			if diff := cmp.Diff(c.want, explained); diff != "" {
				t.Errorf("explained (-want +got):\n%s", diff)
			}
		})
	}
}

const facts = `
  - {name: old, match: {createdBefore: 2026-01-31}, watch: false}
  - {name: audit, match: {tag: audit, exists: true}, continue: true}
  - {name: sign, match: {all: [{tag: team, equals: pay}, {usage: {in: [SIGN_VERIFY, KEY_AGREEMENT]}}]}}
  - {name: legacy, match: {alias: {glob: "alias/legacy/*"}}}
`

// What a rule asks for and nobody knows of a key decides nothing, and the key is
// never quietly unmatched.
func TestDecisionsOnFacts(t *testing.T) {
	engine := rules.New(ruleSet(t, facts))
	const denied, hidden = "kms:DescribeKey: AccessDeniedException", "kms:ListResourceTags: AccessDeniedException"
	made := func(at string) func(k *inventory.Key) {
		return func(k *inventory.Key) {
			var err error
			if k.Created, err = time.Parse(time.RFC3339, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	recent := made("2026-01-31T00:00:00Z")
	alias := func(k *inventory.Key) { k.Aliases = []inventory.Alias{{Name: "alias/x"}, {Name: "alias/legacy/x"}} }
	undescribed := func(k *inventory.Key) { *k = inventory.Key{ARN: k.ARN, Tags: k.Tags, Aliases: k.Aliases} }
	deny := func(k *inventory.Key) { undescribed(k); k.Unreadable = denied }
	unmatched := rules.Decision{Status: rules.Unmatched, Reason: "no rule matches"}
	old := rules.Decision{Status: rules.OutOfScope, Rules: []int{0}, Reason: `rule "old" says watch: false`}
	for name, c := range map[string]struct {
		key    *inventory.Key
		change []func(*inventory.Key)
		want   rules.Decision
	}{
		"made a moment before that day":        {key("team=pay"), []func(*inventory.Key){made("2026-01-30T23:59:59Z")}, old},
		"made as that day begins":              {key("team=dev"), []func(*inventory.Key){recent}, unmatched},
		"of another usage":                     {key("team=pay"), []func(*inventory.Key){recent}, unmatched},
		"of that usage":                        {key("team=pay"), []func(*inventory.Key){recent, func(k *inventory.Key) { k.Usage, k.Spec = "SIGN_VERIFY", "RSA_2048" }}, rules.Decision{Status: rules.Watched, Rules: []int{2}}},
		"one of two aliases":                   {key(), []func(*inventory.Key){recent, alias}, rules.Decision{Status: rules.Watched, Rules: []int{3}}},
		"may not be described":                 {key(), []func(*inventory.Key){deny}, rules.Decision{Status: rules.Unreadable, Reason: denied}},
		"nobody described it":                  {key(), []func(*inventory.Key){undescribed}, rules.Decision{Status: rules.Unreadable, Reason: "the rules ask for what is not known of the key"}},
		"no date, though described":            {key(), nil, rules.Decision{Status: rules.Unreadable, Reason: "the rules ask for what is not known of the key"}},
		"gone":                                 {key(), []func(*inventory.Key){undescribed, func(k *inventory.Key) { k.Gone = true }}, rules.Decision{Status: rules.NotEligible, Reason: "the key was deleted while the inventory was read"}},
		"AWS managed, which nobody describes":  {key(), []func(*inventory.Key){undescribed, func(k *inventory.Key) { k.Manager = "AWS" }}, rules.Decision{Status: rules.NotEligible, Reason: "an AWS managed key: keywatch watches customer managed keys"}},
		"tags unreadable, and a fact decides":  {key(), []func(*inventory.Key){made("2026-01-30T00:00:00Z"), func(k *inventory.Key) { k.Unreadable = hidden }}, old},
		"tags unreadable, and a tag is next":   {key(), []func(*inventory.Key){recent, alias, func(k *inventory.Key) { k.Unreadable = hidden }}, rules.Decision{Status: rules.Unreadable, Reason: hidden}},
		"its tags are known, but not its date": {key("audit=x"), []func(*inventory.Key){deny}, rules.Decision{Status: rules.Unreadable, Reason: denied}},
	} {
		for _, change := range c.change {
			change(c.key)
		}
		if diff := cmp.Diff(c.want, engine.Decide(c.key)); diff != "" {
			t.Errorf("%s: decision (-want +got):\n%s", name, diff)
		}
	}
	// A rule that goes on, then one that hangs on the usage.
	later := rules.New(ruleSet(t, facts)[1:])
	if diff := cmp.Diff(rules.Decision{Status: rules.Unreadable, Reason: denied, Matched: []int{0}}, later.Decide(with(key("audit=x", "team=pay"), deny))); diff != "" {
		t.Errorf("decision (-want +got):\n%s", diff)
	}
}

func TestTraceOfFacts(t *testing.T) {
	engine := rules.New(ruleSet(t, `
  - name: all
    match:
      any:
        - {alias: {equals: alias/x}}
        - {keyId: {glob: "mrk-*"}}
        - {usage: {equals: SIGN_VERIFY}}
        - {multiRegion: true}
        - {not: {createdBefore: 2026-01-31}}
        - {tag: team, exists: true}
  - {name: last, match: every}
`))
	k := with(key(), func(k *inventory.Key) {
		k.ID, k.Created = "1234abcd-12ab-34cd-56ef-1234567890ab", time.Date(2026, 1, 30, 12, 0, 0, 0, time.UTC)
		k.Aliases = []inventory.Alias{{Name: "alias/a"}, {Name: "alias/b"}}
	})
	saw := func(k *inventory.Key) (out []string) {
		for _, l := range engine.Explain(k).Trace[0].Leaves[1:] {
			out = append(out, l.Saw)
		}
		return out
	}
	want := []string{"alias/a, alias/b", "keyId 1234abcd-12ab-34cd-56ef-1234567890ab", "usage ENCRYPT_DECRYPT", "multiRegion false", "created 2026-01-30T12:00:00Z", "no tag team"}
	if diff := cmp.Diff(want, saw(k)); diff != "" {
		t.Errorf("a described key (-want +got):\n%s", diff)
	}
	*k = inventory.Key{ID: k.ID, Unreadable: "kms:DescribeKey: AccessDeniedException"}
	const unknown = "unknown: the key may not be described"
	if diff := cmp.Diff([]string{"no alias", want[1], unknown, unknown, unknown, "no tag team"}, saw(k)); diff != "" {
		t.Errorf("one that may not be described (-want +got):\n%s", diff)
	}
	if trace := engine.Explain(k).Trace; len(trace) != 1 || trace[0].Matched || trace[0].Answer != rules.Unknown || trace[0].Leaves[0].Answer != rules.Unknown || trace[0].Leaves[3].Answer != rules.Unknown || trace[0].Note != "this hangs on what is unknown; no later rule is asked" {
		t.Errorf("trace %+v", trace)
	}
	k.Unreadable = ""
	// One that does not exist yet has none of the IDs that a rule can name, and may
	// get any.
	assumed := with(key("team=a"), func(k *inventory.Key) { k.ID = inventory.NoID })
	ids := rules.New(ruleSet(t, `
  - {name: literal, match: {any: [{keyId: {equals: 1234abcd-12ab-34cd-56ef-1234567890ab}}, {keyId: {glob: "1*"}}]}}
`))
	if got := ids.Explain(assumed).Trace[0].Leaves; got[1].Answer != rules.No || got[1].Saw != "no key ID yet" || got[2].Answer != rules.Unknown || got[2].Saw != "unknown: the key does not exist yet" {
		t.Errorf("the ID of a key that does not exist yet: %+v", got)
	}
	if got := saw(k)[2]; got != "unknown: the key was not described" {
		t.Errorf("a key that nobody described: %q", got)
	}
	k.Unreadable = inventory.ReasonTags + "AccessDeniedException"
	if got := saw(k)[5]; got != "unknown: the key's tags may not be read" {
		t.Errorf("tags that may not be read: %q", got)
	}
}

// The engine keeps working memory between keys; nothing of one key may be left
// for the next.
func TestDecisionsDoNotDependOnTheKeyBefore(t *testing.T) {
	engine := rules.New(ruleSet(t, teams))
	first := engine.Decide(key("audit=x", "env=prod"))
	if got := engine.Decide(key()); got.Status != rules.Unmatched {
		t.Errorf("a key without tags after one with: %+v", got)
	}
	engine.Decide(key("team=pay"))
	if diff := cmp.Diff([]int{3, 5}, first.Rules); diff != "" {
		t.Errorf("an answer changed when the next key was asked (-want +got):\n%s", diff)
	}
}

func TestLeaves(t *testing.T) {
	for leaf, c := range map[string]struct{ yes, no []string }{
		`{tag: t, equals: ""}`:            {[]string{"t="}, []string{"", "t= ", "T="}},
		`{tag: t, equals: Pay}`:           {[]string{"t=Pay"}, []string{"t=pay", "t=Pay ", "tt=Pay", ""}},
		`{tag: t, in: [a, "b/c", ""]}`:    {[]string{"t=a", "t=b/c", "t="}, []string{"t=A", "t=b", ""}},
		`{tag: t, glob: "a*z"}`:           {[]string{"t=az", "t=a/b/z", "t=aümlautz"}, []string{"t=baz", "t=azb", "t=A-z", ""}},
		`{tag: t, glob: "*"}`:             {[]string{"t=", "t=x"}, []string{""}},
		`{tag: t, glob: "鍵?"}`:            {[]string{"t=鍵ü"}, []string{"t=鍵", "t=鍵üü"}},
		`{tag: t, regex: "a|b"}`:          {[]string{"t=a", "t=b"}, []string{"t=ab", "t=xb", ""}},
		`{tag: t, regex: ""}`:             {[]string{"t="}, []string{"t=x", ""}},
		`{tag: t, exists: true}`:          {[]string{"t=", "t=x"}, []string{"", "T=x"}},
		`{tag: t, exists: false}`:         {[]string{"", "T=x"}, []string{"t=", "t=x"}},
		`{not: {tag: t, equals: x}}`:      {[]string{"", "t=", "t=y"}, []string{"t=x"}},
		`{not: {tag: t, exists: true}}`:   {[]string{""}, []string{"t="}},
		`{not: {not: {tag: t, glob: x}}}`: {[]string{"t=x"}, []string{"", "t=y"}},
		`every`:                           {[]string{"", "t=x"}, nil},
	} {
		engine := rules.New(ruleSet(t, "  - {name: r, match: "+leaf+"}\n"))
		for _, tag := range c.yes {
			if got := engine.Decide(tagged(tag)); got.Status != rules.Watched {
				t.Errorf("%s does not match %q", leaf, tag)
			}
		}
		for _, tag := range c.no {
			if got := engine.Decide(tagged(tag)); got.Status != rules.Unmatched {
				t.Errorf("%s matches %q", leaf, tag)
			}
		}
	}
}

func tagged(tag string) *inventory.Key {
	if tag == "" {
		return key()
	}
	return key(tag)
}

func TestTraceSaysWhatEachRuleSaw(t *testing.T) {
	engine := rules.New(ruleSet(t, `
  - {name: no, match: {all: [{tag: team, in: [a, b]}, {not: {tag: env, glob: "dev*"}}]}}
  - {name: deep, match: {any: [{not: {any: [{tag: x, exists: true}, {tag: team, equals: c}]}}, {tag: env, regex: "d.*"}, {not: {not: {tag: team, exists: true}}}]}, continue: true}
  - {name: last, match: every}
  - {name: never-asked, match: every}
`))
	got := engine.Explain(key("team=c", "env=dev 1"))
	want := []rules.RuleTrace{
		{Rule: "no", Answer: rules.No, Leaves: []rules.LeafTrace{
			{Condition: "all", Answer: rules.No},
			{Condition: `tag team in ["a", "b"]`, Depth: 1, Saw: `team="c"`, Answer: rules.No},
			{Condition: `not tag env glob "dev*"`, Depth: 1, Saw: `env="dev 1"`, Answer: rules.No},
		}},
		{Rule: "deep", Answer: rules.Yes, Matched: true, Note: "continue: true; later rules are asked too", Leaves: []rules.LeafTrace{
			{Condition: "any", Answer: rules.Yes, OK: true},
			{Condition: "not any", Depth: 1, Answer: rules.No},
			{Condition: "tag x exists", Depth: 2, Saw: "no tag x", Answer: rules.No},
			{Condition: `tag team equals "c"`, Depth: 2, Saw: `team="c"`, Answer: rules.Yes, OK: true},
			{Condition: `tag env regex "d.*"`, Depth: 1, Saw: `env="dev 1"`, Answer: rules.Yes, OK: true},
			{Condition: "not", Depth: 1, Answer: rules.Yes, OK: true},
			{Condition: "not tag team exists", Depth: 2, Saw: `team="c"`, Answer: rules.No},
		}},
		{Rule: "last", Answer: rules.Yes, Matched: true, Note: "the first match decides; no later rule is asked", Leaves: []rules.LeafTrace{{Condition: "every key", Saw: "a key", Answer: rules.Yes, OK: true}}},
	}
	if diff := cmp.Diff(want, got.Trace); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	if plain := engine.Decide(key("team=c")); plain.Trace != nil {
		t.Errorf("Decide leaves a trace: %+v", plain.Trace)
	}
}

func TestTraceOfWatchFalse(t *testing.T) {
	got := rules.New(ruleSet(t, teams)).Explain(key("env=sandbox"))
	if n := len(got.Trace); n != 3 || got.Trace[2].Note != "watch: false; no later rule is asked" {
		t.Errorf("trace %+v", got.Trace)
	}
}

// A pattern remembers what it said of a value, up to a bound; beyond the bound
// and on the way back it must say the same.
func TestPatternMemoryDoesNotChangeAnswers(t *testing.T) {
	engine := rules.New(ruleSet(t, `
  - {name: glob, match: {tag: t, glob: "*7"}, continue: true}
  - {name: regex, match: {tag: t, regex: "[0-9]*[05]"}, continue: true}
  - {name: present, match: {tag: t, regex: ".*"}}
`))
	const values = 10_000 // more than twice what is remembered
	defer func() {
		if got := engine.Remembered(); got != 4096 {
			t.Errorf("%d values of one tag are remembered, want 4,096", got)
		}
	}()
	for round := range 2 {
		for i := range values {
			n := i
			if round == 1 {
				n = values - 1 - i
			}
			var want []int
			if n%10 == 7 {
				want = append(want, 0)
			}
			if n%5 == 0 {
				want = append(want, 1)
			}
			want = append(want, 2)
			if got := engine.Decide(key(fmt.Sprintf("t=%d", n))).Rules; !cmp.Equal(got, want) {
				t.Fatalf("round %d, t=%d: rules %v, want %v", round, n, got, want)
			}
		}
		if got := engine.Decide(key()); got.Status != rules.Unmatched {
			t.Fatalf("round %d: an absent tag is taken for a remembered value: %+v", round, got)
		}
	}
}

func TestNames(t *testing.T) {
	engine := rules.New(ruleSet(t, teams))
	for want, indexes := range map[string][]int{"": nil, "pay": {0}, "audit, prod": {3, 5}} {
		if got := engine.Names(indexes); got != want {
			t.Errorf("Names(%v) = %q, want %q", indexes, got, want)
		}
	}
}

package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
)

// seenBy are the remarks on one environment by a config of one rule.
func seenBy(t *testing.T, match string, keys ...inventory.Key) diag.List {
	t.Helper()
	c := load(t, "version: 1\nrules:\n  - {name: nonprod, match: "+match+", watch: false}\n  - {name: rest, match: every}\n")
	return plan.Together([]*plan.Plan{plan.Build(c, account(keys...), plan.Options{})})
}

// A typo in a rule that holds for every key takes keys out and nothing else shows
// it; one that holds for none is remarked on where it resembles what keys have.
func TestWhatNoKeyHasIsRemarkedOn(t *testing.T) {
	t.Parallel()
	keys := []inventory.Key{
		key(1, tags("env=prod", "team=payments", "app=x1")), key(2, tags("env=production", "team=ledger")),
		key(3, tags("env=Dev", "team=ledger-eu")), key(4, named("aws/s3"), func(k *inventory.Key) { k.Manager = "AWS" }),
	}
	const every, none = "holds for every key", "holds for no key"
	for match, want := range map[string]string{
		// Below "not", anything that no key has.
		`{not: {tag: env, equals: prdo}}`:                                         `4: tag env equals "prdo", which no key of 111122223333 in eu-west-1 satisfies (did you mean "prod"?), so that this part of the rule ` + every,
		`{not: {tag: Env, equals: prod}}`:                                         `4: the tag Env, which no key of 111122223333 in eu-west-1 has (did you mean "env"?), so that this part of the rule ` + every,
		`{not: {tag: evn, in: [prod, production]}}`:                               `4: the tag evn, which no key of 111122223333 in eu-west-1 has (did you mean "env"?), so that this part of the rule ` + every,
		`{not: {tag: owner, exists: true}}`:                                       `4: the tag owner, which no key of 111122223333 in eu-west-1 has, so that this part of the rule ` + every,
		`{tag: owner, exists: false}`:                                             `4: the tag owner, which no key of 111122223333 in eu-west-1 has, so that this part of the rule ` + every,
		`{not: {tag: env, equals: staging}}`:                                      `4: tag env equals "staging", which no key of 111122223333 in eu-west-1 satisfies, so that this part of the rule ` + every,
		`{not: {tag: env, glob: "prdo*"}}`:                                        `4: tag env glob "prdo*", which no key of 111122223333 in eu-west-1 satisfies (did you mean "prod"?), so that this part of the rule ` + every,
		`{not: {tag: env, glob: "PROD*"}}`:                                        `4: tag env glob "PROD*", which no key of 111122223333 in eu-west-1 satisfies (did you mean "prod"?), so that this part of the rule ` + every,
		`{not: {tag: env, regex: "prdo.*"}}`:                                      `4: tag env regex "prdo.*", which no key of 111122223333 in eu-west-1 satisfies, so that this part of the rule ` + every,
		`{all: [{tag: team, equals: payments}, {not: {tag: env, equals: prdo}}]}`: `4: tag env equals "prdo", which no key of 111122223333 in eu-west-1 satisfies (did you mean "prod"?), so that this part of the rule ` + every,
		// Elsewhere, what looks like what keys have.
		`{any: [{tag: team, equals: paymetns}, {tag: env, equals: prod}]}`: `4: tag team equals "paymetns", which no key of 111122223333 in eu-west-1 satisfies (did you mean "payments"?), so that this part of the rule ` + none,
		`{any: [{tag: apq, exists: true}, {tag: env, equals: prod}]}`:      `4: the tag apq, which no key of 111122223333 in eu-west-1 has (did you mean "app"?), so that this part of the rule ` + none,
		`{not: {not: {tag: env, equals: prdo}}}`:                           `4: tag env equals "prdo", which no key of 111122223333 in eu-west-1 satisfies (did you mean "prod"?), so that this part of the rule ` + none,
		`{tag: env, in: [prod, dev]}`:                                      `4: the value "dev" of the tag env, which no key of 111122223333 in eu-west-1 has (did you mean "Dev"?)`,
		`{not: {tag: env, in: [prdo, production]}}`:                        `4: the value "prdo" of the tag env, which no key of 111122223333 in eu-west-1 has (did you mean "prod"?)`,
		// One alternative among others is nobody's typo, nor is another number.
		`{any: [{tag: environment, equals: prod}, {tag: env, equals: prod}]}`: "",
		`{tag: env, in: [prod, live]}`:                                        "",
		`{not: {tag: env, in: [prod, prods]}}`:                                "", // both are meant
		`{any: [{tag: app, equals: x2}, {tag: env, equals: prod}]}`:           "",
		`{not: {tag: env, equals: prod}}`:                                     "",
		`{not: {tag: env, exists: true}}`:                                     "",
		`{alias: {glob: "alias/x*"}}`:                                         "",
	} {
		var got []string
		for _, p := range seenBy(t, match, keys...) {
			if p.Code == "never-seen" {
				got = append(got, p.String())
			}
		}
		if want != "" {
			_, text, _ := strings.Cut(want, ": ")
			want = `rule "nonprod" asks for ` + text + "; correct it, or drop it [never-seen]"
		}
		if text := strings.Join(got, "\n"); len(got) > 1 || (want == "") != (text == "") || !strings.HasSuffix(text, want) || want != "" && !strings.HasPrefix(text, "f:3:") && !strings.Contains(text, ":3:") {
			t.Errorf("%s:\n%s, want\n%s", match, text, want)
		}
	}
}

// Nobody can say what no key has while the tags of one are not read.
func TestNeverSeenNeedsTheTagsOfAllKeys(t *testing.T) {
	t.Parallel()
	const match = `{not: {tag: env, equals: prdo}}`
	for name, c := range map[string]struct {
		other inventory.Key
		want  int
	}{
		"read":       {key(2), 1},
		"left out":   {key(2, func(k *inventory.Key) { k.TagsOmitted = true }), 0},
		"unreadable": {key(2, unreadable("kms:ListResourceTags: AccessDeniedException")), 1},
	} {
		if got := coded(seenBy(t, match, key(1, tags("env=prod")), c.other), "never-seen"); len(got) != c.want {
			t.Errorf("%s: %q, want %d", name, got, c.want)
		}
	}
	if got := seenBy(t, match, key(1, unreadable(inventory.ReasonTags+"AccessDeniedException"))); len(coded(got, "never-seen")) > 0 {
		t.Errorf("no key's tags are known: %v", got)
	}
	if got := seenBy(t, match); len(got) > 0 {
		t.Errorf("there are no keys: %v", got)
	}
}

// A tag of which each key has its own value has none that is a word.
func TestValuesThatAreNoWordsAreNotCompared(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{999: 1, 1000: 0} {
		keys := []inventory.Key{key(1, tags("env=prod"))}
		for i := range n {
			keys = append(keys, key(2+i, tags(fmt.Sprintf("env=%x-", i))))
		}
		if got := coded(seenBy(t, `{not: {tag: env, equals: prdo}}`, keys...), "never-seen"); len(got) != 1 || strings.Count(got[0], `did you mean "prod"`) != want {
			t.Errorf("%d values more: %q, want %d suggestions", n, got, want)
		}
	}
}

// What some environment has is in order; what none has is said once.
func TestSeveralEnvironmentsAreJudgedTogether(t *testing.T) {
	t.Parallel()
	c := load(t, `version: 1
rules:
  - {name: pay, match: {all: [{tag: team, equals: pay}, {not: {tag: env, equals: dev}}]}}
  - {name: old, match: {all: [{tag: team, equals: old}, {not: {tag: env, equals: prdo}}]}}
`)
	build := func(region string, keys ...inventory.Key) *plan.Plan {
		inv := account(keys...)
		inv.Region = region
		return plan.Build(c, inv, plan.Options{})
	}
	one, other, empty := build("eu-west-1", key(1, tags("team=pay", "env=prod"))), build("us-east-1", key(2, tags("team=web", "env=dev"))), build("eu-west-2")
	all := plan.Together([]*plan.Plan{empty, other, one})
	expect(t, all, "matches-nothing", "warning 4:5: "+`rule "old" matches no key of any of 3 environments that an earlier rule has not taken; `+"`keywatch explain KEY` shows what each rule sees of a key")
	expect(t, all, "never-seen", `warning 4:63: rule "old" asks for tag env equals "prdo", which no key of any of 3 environments satisfies (did you mean "prod"?), so that this part of the rule holds for every key; correct it, or drop it`)
	if got := plan.Together([]*plan.Plan{other}); len(coded(got, "matches-nothing")) != 2 {
		t.Errorf("one alone: %v, want both rules", got)
	}
	if got := plan.Together([]*plan.Plan{empty}); len(got) > 0 {
		t.Errorf("no keys: %v", got)
	}
	// Keys that cannot have alarms, in two of them.
	pending := func(k *inventory.Key) { k.State = "PendingDeletion" }
	a, b := build("eu-west-1", key(1, tags("team=pay"), pending)), build("us-east-1", key(2, tags("team=pay"), pending))
	if got := coded(plan.Together([]*plan.Plan{a, b}), "matches-nothing"); len(got) != 2 || !strings.Contains(got[0], `rule "pay" matches 2 keys of 2 environments, but none that can have alarms; the first is `+arnPrefix+key(1).ID) {
		t.Errorf("%q", got)
	}
}

// An error of one key is none of another's; one that is about no key is everybody's.
func TestTheErrorsOfAKey(t *testing.T) {
	t.Parallel()
	c := load(t, `version: 1
limits: {alarms: 1}
findings: {band-tag: fail, unmatched: fail, exception-expired: fail}
rules:
  - {name: a, match: {tag: twice, exists: true}, operations: [Decrypt], continue: true}
  - {name: b, match: {tag: team, exists: true}, operations: [Decrypt], bandTag: {tag: band}}
`)
	p := plan.Build(c, account(
		key(1, tags("team=a")), key(2, tags("team=a", "twice=x")), key(3, tags("team=a", "twice=x")), key(4, tags("team=a", "band=wide")),
		key(5), key(6, tags("team=a"), named("same")), key(7, unreadable(inventory.ReasonTags+"AccessDeniedException")),
	), plan.Options{})
	for n, want := range map[int]string{
		1: "", 2: "duplicate-alarm ", 3: "duplicate-alarm ", 4: "band-tag ", 5: "unmatched ", 6: "", 7: "unreadable ",
	} {
		got := ""
		whole := 0
		for _, e := range p.ErrorsOf(arnPrefix + key(n).ID) {
			if e.Code == "limit-alarms" {
				whole++
				continue
			}
			got += e.Code + " "
		}
		if got != want || whole != 1 {
			t.Errorf("key %d: %q and %d on all, want %q and 1\n%v", n, got, whole, want, fmt.Sprint(p.Problems))
		}
	}
}

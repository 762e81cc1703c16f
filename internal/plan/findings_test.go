package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"keywatch/config"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
	"keywatch/internal/rules"
)

const oneRule = `version: 1
rules:
  - name: payments
    match: {any: [{tag: team, in: [payments, ledger]}, {tag: Cost-Center, exists: true}, {tag: env, glob: "prod*"}]}
`

func findings(t *testing.T, keys ...inventory.Key) *plan.Plan {
	t.Helper()
	return plan.Build(load(t, oneRule), account(keys...), plan.Options{})
}

func TestKeysThatMatchNoRuleAreGrouped(t *testing.T) {
	t.Parallel()
	keys := []inventory.Key{
		key(1, tags("team=payments", "owner=a")), // matched: counts for nothing
		key(2, tags("owner=web", "id=1")), key(3, tags("owner=web", "id=2")), key(4, tags("owner=data", "id=3")),
		key(5, tags("id=4")), key(6), key(7), key(8, named("aws/s3"), func(k *inventory.Key) { k.Manager = "AWS" }),
	}
	for n := range 6 { // an ID that every key has groups nothing
		keys = append(keys, key(20+n, tags(fmt.Sprintf("id=x%d", n), fmt.Sprintf("owner=o%d", n))))
	}
	const format = "warning %s of 111122223333 in eu-west-1 %s; write a rule that takes them, with watch: false if nobody is to watch them"
	expect(t, findings(t, keys...).Problems, "unmatched",
		fmt.Sprintf(format, "12 keys", `match no rule: 2 with owner="web", 1 with owner="data", 1 with owner="o0", 1 with owner="o1", 1 with owner="o2", 3 with other values, 1 without the tag, 2 without any tag`))
	expect(t, findings(t, key(1)).Problems, "unmatched", fmt.Sprintf(format, "1 key", "matches no rule: none of them has a tag"))
	expect(t, findings(t, key(1, tags("team=payments")), keys[7]).Problems, "unmatched")
	// Of what the reader left out only the number is known.
	left := key(2, func(k *inventory.Key) { k.TagsOmitted = true })
	expect(t, findings(t, keys[1], left).Problems, "unmatched", fmt.Sprintf(format, "2 keys", "match no rule: `keywatch plan` says which"))
}

func TestTagsThatLookLikeThoseOfRules(t *testing.T) {
	t.Parallel()
	arn := func(n int) string { return arnPrefix + key(n).ID }
	slip := func(seen, meant string, n int, more string) string {
		at := map[string]string{"team": "4:19", "Cost-Center": "4:56", "env": "4:90"}[meant]
		return fmt.Sprintf(`warning %s: the tag key %q, for %q, which rule "payments" asks for, stands on key %s%s, which lacks the right one; correct the tag or the rule, or let the rule ask for both`, at, seen, meant, arn(n), more)
	}
	for _, c := range []struct {
		tags string
		want string
	}{
		{"Team=payments", slip("Team", "team", 1, "")},
		{"teem=payments", slip("teem", "team", 1, "")},
		{"taem=payments", slip("taem", "team", 1, "")},
		{"teams=payments", slip("teams", "team", 1, "")},
		{"cost center=1", slip("cost center", "Cost-Center", 1, "")},
		{"CostCentre=1", slip("CostCentre", "Cost-Center", 1, "")},
		{"CostCentres=1", ""}, // two slips
		{"Env=prod", slip("Env", "env", 1, "")},
		{"end=prod", ""}, // too short to guess
		{"evn=prod", slip("evn", "env", 1, "")},
		{"vne=prod", ""},
		{"eam=a", ""},
		{"team1=a", ""}, // a number is no slip
		{"owner=a", ""},
		{"team=Payments", `warning 4:19: the tag team has the value "Payments", for "payments", which rule "payments" asks for, on key ` + arn(1) + `; values are compared with case and blanks: correct the tag, or let the rule ask for both`},
		{"team= ledger ", `warning 4:19: the tag team has the value " ledger ", for "ledger", which rule "payments" asks for, on key ` + arn(1) + `; values are compared with case and blanks: correct the tag, or let the rule ask for both`},
		{"team=payment", ""},
		{"team=ledger", ""},
	} {
		var want []string
		if c.want != "" {
			want = []string{c.want}
		}
		t.Run(c.tags, func(t *testing.T) { expect(t, findings(t, key(1, tags(c.tags))).Problems, "tag-typo", want...) })
	}
	// The right one beside it: of case, no slip of this key; of letters, a tag of
	// its own on every key.
	expect(t, findings(t, key(1, tags("Team=a", "team=b")), key(2, tags("Team=a")), key(3, tags("Team=a"))).Problems, "tag-typo", slip("Team", "team", 2, " (and on 1 more)"))
	expect(t, findings(t, key(1, tags("teams=a", "team=b")), key(2, tags("teams=a"))).Problems, "tag-typo")
	expect(t, findings(t, key(1, func(k *inventory.Key) { k.TagsOmitted = true })).Problems, "tag-typo")
}

// That another rule asks for the spelling on the key says nothing of this rule,
// unless that one decides the key; a rule that asks for both means both.
func TestASpellingThatAnotherRuleAsksFor(t *testing.T) {
	t.Parallel()
	c := load(t, `version: 1
rules:
  - {name: nonprod, match: {not: {tag: Env, equals: prod}}, watch: false}
  - {name: rest, match: {tag: env, exists: true}, bandTag: {tag: kw-band}}
`)
	text := func(seen, meant, rule, at string, n int) string {
		return fmt.Sprintf("warning %s: the tag key %q, for %q, which rule %q asks for, stands on key %s, which lacks the right one; correct the tag or the rule, or let the rule ask for both", at, seen, meant, rule, arnPrefix+key(n).ID)
	}
	p := plan.Build(c, account(key(1, tags("env=prod"))), plan.Options{})
	expect(t, p.Problems, "tag-typo", text("env", "Env", "nonprod", "3:34", 1))
	p = plan.Build(c, account(key(1, tags("Env=dev"))), plan.Options{}) // decided by the rule that asks so
	expect(t, p.Problems, "tag-typo")
	p = plan.Build(c, account(key(1, tags("Env=prod", "env=x", "kw-bnad=1"))), plan.Options{})
	expect(t, p.Problems, "tag-typo", text("kw-bnad", "kw-band", "rest", "4:60", 1))
	both := load(t, "version: 1\nrules: [{name: a, match: {any: [{tag: env, equals: x}, {tag: Env, equals: x}]}}]\n")
	expect(t, plan.Build(both, account(key(1, tags("Env=y")), key(2, tags("env=y"))), plan.Options{}).Problems, "tag-typo")
	other := load(t, "version: 1\nrules: [{name: a, match: {any: [{tag: team, equals: x}, {tag: teams, equals: x}]}}]\n")
	expect(t, plan.Build(other, account(key(1, tags("teams=y"))), plan.Options{}).Problems, "tag-typo")
}

// A value that some rule asks for as it stands is no slip of another one's.
func TestAValueThatARuleFitsIsNoTypo(t *testing.T) {
	t.Parallel()
	c := load(t, `version: 1
rules:
  - {name: a, match: {tag: env, equals: prod}}
  - {name: b, match: {any: [{tag: env, glob: "P*"}, {tag: env, equals: PROD}]}}
`)
	expect(t, plan.Build(c, account(key(1, tags("env=Prod")), key(2, tags("env=PROD"))), plan.Options{}).Problems, "tag-typo")
	expect(t, plan.Build(c, account(key(1, tags("env=pROD"))), plan.Options{}).Problems, "tag-typo",
		`warning 3:22: the tag env has the value "pROD", for "prod", which rule "a" asks for, on key `+arnPrefix+key(1).ID+`; values are compared with case and blanks: correct the tag, or let the rule ask for both`)
}

// excepting is a config with exceptions, each at a line of its own.
func excepting(t *testing.T, exs ...config.Exception) *config.Config {
	t.Helper()
	c := load(t, "version: 1\nrules: [{name: all, match: every, operations: [Decrypt]}]\n")
	for i := range exs {
		exs[i].Reason, exs[i].Owner, exs[i].Pos = "retired", "data", config.Pos{File: "f", Line: 10 + i, Col: 1}
		if exs[i].Expires.IsZero() {
			exs[i].Expires = time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
		}
	}
	c.Exceptions = exs
	return c
}

func at(keys []inventory.Key, now time.Time) *inventory.Inventory {
	inv := account(keys...)
	inv.ReadAt = now
	return inv
}

func TestExceptionsAreRemarkedOn(t *testing.T) {
	t.Parallel()
	end := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	legacy := func(k *inventory.Key) {
		k.Aliases = []inventory.Alias{{Name: "alias/legacy", Created: end.AddDate(-2, 0, 0), Updated: end.AddDate(0, -2, 0)}}
	}
	byID, byAlias := config.Exception{Key: key(1).ID}, config.Exception{Key: "alias/legacy", Written: end.AddDate(-1, 0, 0)}
	build := func(now time.Time) *plan.Plan {
		return plan.Build(excepting(t, byID, byAlias), at([]inventory.Key{key(1), key(2, legacy)}, now), plan.Options{})
	}
	codes := func(p *plan.Plan) string {
		var out []string
		for _, l := range p.Problems {
			if strings.HasPrefix(l.Code, "exception") {
				out = append(out, l.Code)
			}
		}
		return strings.Join(out, " ")
	}
	for now, want := range map[time.Time]string{
		end.AddDate(0, 0, -31):            "exception-repointed",
		end.AddDate(0, 0, -30).Add(-1):    "exception-repointed",
		end.AddDate(0, 0, -30):            "exception-expiring exception-repointed",
		end.Add(-time.Hour):               "exception-expiring exception-repointed",
		end:                               "exception-expired exception-expired",
		end.Add(365 * 24 * time.Hour * 5): "exception-expired exception-expired",
	} {
		if got := codes(build(now)); got != want {
			t.Errorf("at %s: %q, want %q", now, got, want)
		}
	}
	p := build(end.Add(-time.Hour))
	expect(t, p.Problems, "exception-expiring",
		"warning 10:1: the exception of "+key(1).ID+" ends after 2027-01-31, and from then on the rules decide on key "+arnPrefix+key(1).ID+" again; ask its owner, data, whether to renew it (retired)")
	expect(t, p.Problems, "exception-repointed",
		"warning 11:1: the exception of alias/legacy does not hold: alias/legacy was last pointed to a key at 2026-12-01T00:00:00Z, and the exception was written at 2026-02-01T00:00:00Z; key "+arnPrefix+key(2).ID+" is now watched by rule all: if that key is meant, set written to a later time, better name it by its key ID")
	expect(t, build(end).Problems, "exception-expired",
		"warning 10:1: the exception of "+key(1).ID+" expired at the end of 2027-01-31; it said: retired (owner data); key "+arnPrefix+key(1).ID+" is now watched by rule all: drop the exception, or renew it with a new date",
		"warning 11:1: the exception of alias/legacy expired at the end of 2027-01-31; it said: retired (owner data); key "+arnPrefix+key(2).ID+" is now watched by rule all: drop the exception, or renew it with a new date")
	if len(p.Keys[0].Units) != 0 || len(p.Keys[1].Units) != 1 || p.Totals.Watched != 1 || len(p.Exceptions) != 2 || p.Exceptions[0].State != rules.Holds || p.Exceptions[0].Key != &p.Keys[0] {
		t.Errorf("%+v, %+v", p.Totals, p.Exceptions)
	}
	// A rule whose only keys are excepted does match.
	excepted := plan.Build(excepting(t, byID), at([]inventory.Key{key(1)}, end.AddDate(-1, 0, 0)), plan.Options{})
	expect(t, plan.Together([]*plan.Plan{excepted}), "matches-nothing")
}

func TestAnExceptionWrittenInTheFuture(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	legacy := key(1, func(k *inventory.Key) {
		k.Aliases = []inventory.Alias{{Name: "alias/legacy", Created: now.AddDate(-1, 0, 0), Updated: now.AddDate(0, 0, -1)}}
	})
	p := plan.Build(excepting(t, config.Exception{Key: "alias/legacy", Written: now.AddDate(0, 1, 0)}), at([]inventory.Key{legacy}, now), plan.Options{})
	expect(t, p.Problems, "exception-repointed",
		"warning 10:1: the exception of alias/legacy does not hold: written is 2026-12-23T00:00:00Z, in the future of when the keys were read, 2026-11-23T00:00:00Z, so that nobody can say which key was meant; key "+arnPrefix+key(1).ID+" is now watched by rule all: set written to the date on which it was written; if it is newer than a snapshot, take the snapshot again")
	if len(p.Keys[0].Units) != 1 {
		t.Errorf("the key has %d units, want its alarm", len(p.Keys[0].Units))
	}
}

// Only a config without environments leaves an exception for elsewhere unmentioned.
func TestExceptionsForElsewhereAreListed(t *testing.T) {
	t.Parallel()
	c := excepting(t, config.Exception{Key: key(1).ID}, config.Exception{Key: key(9).ID, Account: "444455556666", Region: "eu-west-1"})
	p := plan.Build(c, account(key(1)), plan.Options{})
	if len(p.Exceptions) != 2 || p.Exceptions[0].Elsewhere || !p.Exceptions[1].Elsewhere || p.Exceptions[1].Key != nil {
		t.Errorf("%+v, want the second as one for elsewhere", p.Exceptions)
	}
	c.Environments = []config.Environment{{Account: "111122223333", Region: "eu-west-1"}, {Account: "444455556666", Region: "eu-west-1"}}
	if p := plan.Build(c, account(key(1)), plan.Options{}); len(p.Exceptions) != 1 {
		t.Errorf("%+v, want the one that is for here", p.Exceptions)
	}
}

func TestExceptionsThatNameNoKeyAnywhere(t *testing.T) {
	t.Parallel()
	elsewhere := config.Exception{Key: key(9).ID, Account: "444455556666", Region: "eu-west-1"}
	arn := config.Exception{Key: strings.Replace(arnPrefix, "eu-west-1", "us-east-1", 1) + key(8).ID}
	c := excepting(t, config.Exception{Key: key(1).ID}, config.Exception{Key: key(2).ID}, config.Exception{Key: "alias/none"}, elsewhere, arn)
	ireland, virginia := account(key(1)), account(key(2))
	virginia.Region = "us-east-1"
	one, other := plan.Build(c, ireland, plan.Options{}), plan.Build(c, virginia, plan.Options{})
	expect(t, plan.Dangling([]*plan.Plan{one, other}), "exception-dangling",
		"warning 12:1: the exception of alias/none names no key of any of 2 environments; it was for: retired (owner data): correct it, or drop it",
		"warning 14:1: the exception of "+arn.Key+" names no key of 111122223333 in us-east-1; it was for: retired (owner data): correct it, or drop it")
	if l := plan.Dangling([]*plan.Plan{one}); len(l) != 2 {
		t.Errorf("%v, want key 2 and alias/none", l)
	}
	expect(t, one.Problems, "exception-dangling") // one environment alone cannot tell
}

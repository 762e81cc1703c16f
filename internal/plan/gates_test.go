package plan_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keywatch/config"
	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
)

// problems of a code, with their place.
func coded(l diag.List, code string) []string {
	var out []string
	for _, p := range l {
		if p.Code == code {
			s := p.Message
			if p.Pos.Line > 0 {
				s = fmt.Sprintf("%d:%d: %s", p.Pos.Line, p.Pos.Col, s)
			}
			out = append(out, p.Severity.String()+" "+s)
		}
	}
	return out
}

func expect(t *testing.T, l diag.List, code string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, coded(l, code)); diff != "" {
		t.Errorf("problems [%s] (-want +got):\n%s", code, diff)
	}
}

const arnPrefix = "arn:aws:kms:eu-west-1:111122223333:key/"

func TestTwoRulesThatMakeTheSameAlarm(t *testing.T) {
	c := load(t, `version: 1
rules:
  - {name: first, match: {tag: a, exists: true}, continue: true, operations: [Decrypt, Encrypt]}
  - name: second
    match: every
    operations: [Decrypt]
    thresholds: [{operations: [Decrypt], above: 1}]
`)
	p := plan.Build(c, account(key(1, tags("a=")), key(2, tags("a=")), key(3)), plan.Options{})
	expect(t, p.Problems, "duplicate-alarm",
		`error 4:5: rules[1]: rules "first" and "second" both make the anomaly alarm "main" on Decrypt of key `+arnPrefix+`00000001-12ab-34cd-56ef-123400000001 (and on 1 more); give one of them another id, or drop continue: true`)
	if first, second := p.Rules[0], p.Rules[1]; first.Alarms() != 4 || second.Anomaly != 1 || second.Threshold != 3 || p.Totals.Alarms != 8 {
		t.Errorf("a clashing alarm is counted twice: %+v, %+v, %+v", first, second, p.Totals)
	}
	if len(p.Keys[0].Units[0].Alarms) != 2 {
		t.Errorf("the alarms beside the clash are lost: %+v", p.Keys[0].Units[0].Alarms)
	}
}

// Two sums that differ in the file may be one and the same for a key that can
// do only part of either.
func TestTwoThresholdsThatBecomeOne(t *testing.T) {
	c := load(t, `version: 1
rules:
  - name: sums
    match: every
    anomaly: off
    thresholds:
      - {operations: [Decrypt, Sign], above: 100}
      - {operations: [Decrypt, Verify], above: 200}
      - {operations: [Decrypt, GenerateMac], above: 300, id: other}
`)
	p := plan.Build(c, account(key(1)), plan.Options{})
	expect(t, p.Problems, "duplicate-alarm",
		`error 8:9: rules[0]: rule "sums" makes two static alarms "main" on Decrypt of key `+arnPrefix+`00000001-12ab-34cd-56ef-123400000001: that is what a key of ENCRYPT_DECRYPT, SYMMETRIC_DEFAULT can do of both lists of operations; give one of them another id`)
	expect(t, p.Problems, "name-clash")
	if n := len(p.Keys[0].Units[0].Alarms); n != 2 {
		t.Errorf("%d alarms, want main once and other", n)
	}
}

// A rule that makes nothing is a finding even when another rule covers the key.
func TestListThatLeavesAKeyWithNothing(t *testing.T) {
	c := load(t, `version: 1
rules:
  - {name: sign, match: every, continue: true, operations: [Sign]}
  - {name: rest, match: {tag: a, exists: true}}
`)
	p := plan.Build(c, account(key(1, tags("a=")), key(2), key(3, of("SIGN_VERIFY", "RSA_2048"))), plan.Options{})
	expect(t, p.Problems, "no-operation",
		`warning 3:5: rule "sign" makes no alarm on key `+arnPrefix+`00000001-12ab-34cd-56ef-123400000001 (and on 1 more): a key of ENCRYPT_DECRYPT, SYMMETRIC_DEFAULT can do none of the operations that it names`)
	if p.Keys[0].Decision.Reason != "" || p.Keys[1].Decision.Reason == "" {
		t.Errorf("reasons %q and %q: only the second key is without alarms", p.Keys[0].Decision.Reason, p.Keys[1].Decision.Reason)
	}
}

func TestLimits(t *testing.T) {
	const file = `version: 1
limits:
  alarms: 4
  monthlyUSD: 4.5
rules:
  - {name: cheap, match: {tag: a, exists: true}, operations: [Decrypt]}
  - {name: dear, match: every}
  - {name: none, match: {tag: x, exists: true}, watch: false}
`
	keys := []inventory.Key{key(1, tags("a=")), key(2)}
	p := plan.Build(load(t, file), account(keys...), plan.Options{})
	const perRule = "rule dear: 4 alarms, $1.20; rule cheap: 1 alarm, $0.30; dashboard: $3.00"
	expect(t, p.Problems, "limit-alarms", "error 3:11: this plan makes 5 alarms in eu-west-1, more than limits.alarms: 4 ("+perRule+"); raise limits.alarms here (for one run -c keywatch:limits.alarms=5), or narrow the rules")
	expect(t, p.Problems, "limit-cost") // $4.50 is not more than 4.5

	p = plan.Build(load(t, strings.Replace(file, "4.5", "4.49", 1)), account(keys...), plan.Options{})
	expect(t, p.Problems, "limit-cost", "error 4:15: this plan costs $4.50 a month in eu-west-1, more than limits.monthlyUSD: 4.49 ("+perRule+"; us-east-1 list prices of November 2026); raise limits.monthlyUSD here (for one run -c keywatch:limits.monthlyUSD=4.50), or narrow the rules")

	p = plan.Build(load(t, strings.Replace(file, "alarms: 4", "alarms: 5", 1)), account(keys...), plan.Options{})
	expect(t, p.Problems, "limit-alarms") // 5 is not more than 5

	// What is kept for a claim counts too.
	p = plan.Build(load(t, "sla: {evidence: true}\n"+file), account(keys...), plan.Options{})
	if got := coded(p.Problems, "limit-cost"); len(got) != 1 || !strings.Contains(got[0], "costs $4.75 a month") || !strings.Contains(got[0], "; SLA evidence: $0.25;") {
		t.Errorf("%q", got)
	}

	// The numbers that the messages name are enough.
	c := load(t, strings.Replace(file, "4.5", "4.49", 1))
	c.Limits = config.Limits{Alarms: 5, MonthlyUSD: config.Dollars(4.50)}
	if p := plan.Build(c, account(keys...), plan.Options{}); p.Problems.Err() != nil {
		t.Error(p.Problems)
	}
}

// A limit that nobody wrote stands at the file's first key, where it can be
// written.
func TestDefaultLimits(t *testing.T) {
	c := load(t, "# a comment\n\nversion: 1\nrules: [{name: all, match: every}]\n")
	keys := ofN(251)
	p := plan.Build(c, account(keys...), plan.Options{})
	for _, code := range []string{"limit-alarms", "limit-cost"} {
		got := coded(p.Problems, code)
		if len(got) != 1 || !strings.HasPrefix(got[0], "error 3:1: ") {
			t.Errorf("[%s] %q, want one at 3:1", code, got)
		}
	}
	p = plan.Build(c, account(keys[:247]...), plan.Options{}) // 988 alarms, $299.40
	if err := p.Problems.Err(); err != nil {
		t.Error(err)
	}
}

const everyKey = "version: 1\nrules: [{name: all, match: every}]\n"

func TestUnreadableKeys(t *testing.T) {
	inv := account(key(1), key(2, unreadable("kms:ListResourceTags: AccessDeniedException")))
	const text = "key " + arnPrefix + "00000002-12ab-34cd-56ef-123400000002 could not be read and counts as not covered: kms:ListResourceTags: AccessDeniedException; let this identity read it (key policy and IAM)"
	p := plan.Build(load(t, everyKey), inv, plan.Options{})
	expect(t, p.Problems, "unreadable", "error "+text+", or set inventory.onUnreadable: warn to deploy without it (for one run -c keywatch:inventory.onUnreadable=warn)")
	p = plan.Build(load(t, "inventory: {onUnreadable: warn}\n"+everyKey), inv, plan.Options{})
	expect(t, p.Problems, "unreadable", "warning "+text)
	if err := p.Problems.Err(); err != nil {
		t.Errorf("onUnreadable: warn still stops: %v", err)
	}
}

func TestNoKeyIsWatched(t *testing.T) {
	const none = "no key of 111122223333 in eu-west-1 is watched: of 1 key, none matches a rule that watches"
	const file = "version: 1\nrules: [{name: pay, match: {tag: team, equals: pay}}]\n"
	p := plan.Build(load(t, file), account(key(1)), plan.Options{})
	expect(t, p.Problems, "no-match", "warning "+none+"; the stacks hold no alarms")
	expect(t, plan.Together([]*plan.Plan{p}), "matches-nothing", `warning 2:9: rule "pay" matches no key of 111122223333 in eu-west-1 that an earlier rule has not taken; `+"`keywatch explain KEY` shows what each rule sees of a key")
	if err := p.Problems.Err(); err != nil {
		t.Errorf("an account without a watched key is an error: %v", err)
	}
	p = plan.Build(load(t, "requireMatch: true\n"+file), account(key(1)), plan.Options{})
	expect(t, p.Problems, "no-match", "error "+none+", and requireMatch is true")
	p = plan.Build(load(t, "requireMatch: true\n"+everyKey), account(key(1)), plan.Options{})
	expect(t, p.Problems, "no-match")
	expect(t, plan.Together([]*plan.Plan{p}), "matches-nothing")
}

// An account without keys is one line, and not one more for each rule.
func TestAnAccountWithoutKeys(t *testing.T) {
	p := plan.Build(load(t, "version: 1\nrules: [{name: pay, match: {tag: team, equals: pay}}, {name: all, match: every}]\n"), account(), plan.Options{})
	expect(t, p.Problems, "no-match", "warning no key of 111122223333 in eu-west-1 is watched: it has no keys; the stacks hold no alarms")
	expect(t, plan.Together([]*plan.Plan{p}), "matches-nothing")
}

// A key spec that keywatch does not know is a gap in what it watches: that is
// said once for each, and nothing claims that the rule matched nothing.
func TestKeysOfAnUnknownSpec(t *testing.T) {
	const file = "version: 1\nrules: [{name: pay, match: {tag: team, equals: pay}}, {name: rest, match: {tag: other, exists: true}}]\n"
	kem, seal := of("ENCRYPT_DECRYPT", "ML_KEM_768"), of("SEAL", "X")
	keys := []inventory.Key{key(1, tags("team=pay"), kem), key(2, tags("team=pay"), kem), key(3, tags("team=pay"), seal), key(4, kem)}
	p := plan.Build(load(t, file), account(keys...), plan.Options{})
	const text = `warning no alarms, though a rule wants them, on key ` + arnPrefix
	expect(t, p.Problems, "unknown-spec",
		text+`00000001-12ab-34cd-56ef-123400000001 (and on 1 more): keywatch does not know what a key of usage "ENCRYPT_DECRYPT" with spec "ML_KEM_768" can do; use a newer keywatch, or say watch: false for such keys`,
		text+`00000003-12ab-34cd-56ef-123400000003: keywatch does not know what a key of usage "SEAL" with spec "X" can do; use a newer keywatch, or say watch: false for such keys`)
	expect(t, p.Problems, "no-match", "warning no key of 111122223333 in eu-west-1 is watched: of 4 keys, 3 match a rule that watches, and none can have alarms or be read; the stacks hold no alarms")
	expect(t, plan.Together([]*plan.Plan{p}), "matches-nothing",
		`warning 2:9: rule "pay" matches 3 keys of 111122223333 in eu-west-1, but none that can have alarms; the first is `+arnPrefix+`00000001-12ab-34cd-56ef-123400000001: keywatch does not know the operations of key usage "ENCRYPT_DECRYPT" with key spec "ML_KEM_768"`,
		`warning 2:55: rule "rest" matches no key of 111122223333 in eu-west-1 that an earlier rule has not taken; `+"`keywatch explain KEY` shows what each rule sees of a key")
	// An unreadable key is a problem of its own.
	p = plan.Build(load(t, everyKey), account(key(1, unreadable("kms:DescribeKey: AccessDeniedException"))), plan.Options{})
	expect(t, plan.Together([]*plan.Plan{p}), "matches-nothing")
}

// What a rule behind "every" matches is no news: that it is never asked was said.
func TestRulesThatAreNeverAsked(t *testing.T) {
	p := plan.Build(load(t, "version: 1\nrules: [{name: all, match: every}, {name: pay, match: {tag: team, equals: pay}}]\n"), account(key(1)), plan.Options{})
	expect(t, plan.Together([]*plan.Plan{p}), "matches-nothing")
}

// What comes from AWS or a snapshot cannot write to a terminal.
func TestProblemsHoldNoControlCharacters(t *testing.T) {
	c := load(t, "version: 1\nrules: [{name: all, match: every, operations: [Sign]}]\n")
	p := plan.Build(c, account(key(1, of("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"), func(k *inventory.Key) { k.ARN += "\x1b[31m" })), plan.Options{})
	if got := coded(p.Problems, "no-operation"); len(got) != 1 || strings.ContainsRune(got[0], 0x1b) {
		t.Errorf("%q", got)
	}
}

// One line for each action that is wrong, at its place, however many keys and
// rules it would concern.
func TestActionOfAnotherRegion(t *testing.T) {
	c := load(t, `version: 1
rules:
  - name: a
    match: {tag: a, exists: true}
    actions: &shared
      alarm: ["arn:aws:sns:us-east-1:111122223333:pager", "arn:{partition}:sns:{region}:{account}:pager"]
      ok:
        - arn:aws:sns:us-east-1:111122223333:pager
  - {name: b, match: every, actions: *shared}
`)
	p := plan.Build(c, account(ofN(5)...), plan.Options{})
	const text = ` "arn:aws:sns:us-east-1:111122223333:pager" is of the region us-east-1, but CloudWatch only notifies within its own, eu-west-1; write {region}, or name a resource there`
	expect(t, p.Problems, "bad-arn", "error 6:15: rules[0].actions.alarm[0]"+text, "error 8:11: rules[0].actions.ok[0]"+text)
}

func TestTwoKeysThatNeedOneName(t *testing.T) {
	twin := func(k *inventory.Key) { k.ID = "99999999-12ab-34cd-56ef-123400000001" }
	p := plan.Build(load(t, "version: 1\nrules: [{name: all, match: every, operations: [Decrypt]}]\n"), account(key(1), key(2, twin)), plan.Options{})
	expect(t, p.Problems, "name-clash", `error keys `+arnPrefix+`00000001-12ab-34cd-56ef-123400000001 and `+arnPrefix+`99999999-12ab-34cd-56ef-123400000001 both need the alarm name "keywatch - 123400000001 Decrypt anomaly"; give one of the keys another alias`)
}

func TestSeveralStacksAtOnce(t *testing.T) {
	c := load(t, everyKey)
	fill := plan.Fill{New: plan.Size{Resources: 16, Bytes: 700_000}, Grown: plan.DefaultFill.Grown}
	build := func(keys int, o plan.Options) *plan.Plan {
		o.Fill = fill
		return plan.Build(c, account(ofN(keys)...), o)
	}
	if p := build(3, plan.Options{}); p.Totals.Stacks != 2 || p.Problems.Err() != nil {
		t.Errorf("%d stacks, %v", p.Totals.Stacks, p.Problems)
	}

	odd := plan.Places{Units: map[string]int{"00000001-12ab-34cd-56ef-123400000001/Decrypt": 7}, Stacks: []int{7}}
	p := build(1, plan.Options{Places: odd})
	if u := p.Keys[0].Units[0]; u.Stack != "keywatch-alarms-007" || p.Deployment.Shards[1].Units[0].ID != u.ID {
		t.Errorf("the placed unit is in %s", u.Stack)
	}
	// A unit that cannot be placed is in no shard, and says so.
	p = plan.Build(c, account(key(1)), plan.Options{Fill: plan.Fill{New: plan.Size{Resources: 1, Bytes: 1e6}, Grown: plan.DefaultFill.Grown}})
	if got := coded(p.Problems, "placement-full"); len(got) != 4 || p.Keys[0].Units[0].Stack != "" || len(p.Deployment.Shards[0].Units) != 0 {
		t.Errorf("%d problems, stack %q: %q", len(got), p.Keys[0].Units[0].Stack, got)
	}
}

func TestSameInputSameDeployment(t *testing.T) {
	const seed = 20261122
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	build := func(inv *inventory.Inventory) *plan.Plan {
		inv.Sort()
		return plan.Build(load(t, realisticConfig), inv, plan.Options{Fill: plan.Fill{New: plan.Size{Resources: 30, Bytes: 700_000}, Grown: plan.DefaultFill.Grown}})
	}
	many := func() *inventory.Inventory {
		inv := realistic()
		for i := range inv.Keys {
			named("zz", "aa", "mm")(&inv.Keys[i])
		}
		return inv
	}
	want := build(many())
	for i := range 100 {
		inv := many()
		r.Shuffle(len(inv.Keys), func(i, j int) { inv.Keys[i], inv.Keys[j] = inv.Keys[j], inv.Keys[i] })
		for k := range inv.Keys {
			tags, aliases := inv.Keys[k].Tags, inv.Keys[k].Aliases
			r.Shuffle(len(tags), func(i, j int) { tags[i], tags[j] = tags[j], tags[i] })
			r.Shuffle(len(aliases), func(i, j int) { aliases[i], aliases[j] = aliases[j], aliases[i] })
		}
		got := build(inv)
		if !reflect.DeepEqual(want.Deployment, got.Deployment) {
			t.Fatalf("shuffle %d: deployment (-first +this):\n%s", i, cmp.Diff(want.Deployment, got.Deployment))
		}
		if diff := cmp.Diff(want.Problems, got.Problems); diff != "" {
			t.Fatalf("shuffle %d: problems (-first +this):\n%s", i, diff)
		}
	}
}

package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keywatch/internal/inventory"
	"keywatch/internal/plan"
)

// deployed are the places that a plan leads to, if nothing goes wrong.
func deployed(p *plan.Plan) plan.Places {
	out := plan.Places{Units: map[string]int{}, Names: map[string]string{}}
	for i, s := range p.Deployment.Shards {
		out.Stacks = append(out.Stacks, i+1)
		for _, u := range s.Units {
			out.Units[u.ID] = i + 1
			for _, a := range u.Alarms {
				out.Names[a.ID] = a.Name
			}
		}
	}
	if p.Deployment.Dashboard != nil {
		out.Others = []string{p.Deployment.Dashboard.StackName}
	}
	return out
}

const teams = `version: 1
rules:
  - {name: sandbox, match: {tag: env, equals: sandbox}, watch: false}
  - {name: teams, match: {tag: team, exists: true}}
`

func ofTeams(n int) []inventory.Key { return ofN(n, tags("team=a")) }

func keyARNOf(n int) string { return key(n).ARN }

// How many of the keys may lose their alarms at once without being asked.
func TestMassRemoval(t *testing.T) {
	tests := map[string]struct {
		deployed, lost int
		allow          int
		stops          bool
	}{
		"nothing is lost":                     {deployed: 100},
		"one of one":                          {deployed: 1, lost: 1},
		"all of four":                         {deployed: 4, lost: 4},
		"all of five":                         {deployed: 5, lost: 5, stops: true},
		"four of thirty":                      {deployed: 30, lost: 4},
		"five of fifty, which is 10 %":        {deployed: 50, lost: 5},
		"five of fifty-one":                   {deployed: 51, lost: 5},
		"five of forty-nine, just above 10 %": {deployed: 49, lost: 5, stops: true},
		"nine of a hundred":                   {deployed: 100, lost: 9},
		"ten of a hundred":                    {deployed: 100, lost: 10},
		"eleven of a hundred":                 {deployed: 100, lost: 11, stops: true},
		"the number is stated":                {deployed: 100, lost: 11, allow: 11},
		"a lower number is stated":            {deployed: 100, lost: 11, allow: 10, stops: true},
		"a higher number is stated":           {deployed: 100, lost: 11, allow: 12, stops: true},
		"a number where none is needed":       {deployed: 100, lost: 3, allow: 50},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := load(t, "limits: {alarms: 5000, monthlyUSD: 5000}\n"+teams)
			keys := ofTeams(tt.deployed)
			places := deployed(plan.Build(c, account(keys...), plan.Options{}))
			for i := range tt.lost { // the team's tag goes
				keys[i].Tags = nil
			}
			p := plan.Build(c, account(keys...), plan.Options{Places: places, AllowRemoval: tt.allow})
			if p.Totals.Deployed != tt.deployed || len(p.Removals) != tt.lost {
				t.Errorf("%d keys deployed, %d removals", p.Totals.Deployed, len(p.Removals))
			}
			got := coded(p.Problems, "mass-removal")
			if stops := p.Problems.Err() != nil; stops != tt.stops || len(got) > 1 || (len(got) == 1) != tt.stops {
				t.Errorf("stops %v: %v", stops, p.Problems)
			}
		})
	}
}

func TestMassRemovalText(t *testing.T) {
	keys := ofTeams(12)
	places := deployed(plan.Build(load(t, teams), account(keys...), plan.Options{}))
	keys[3].Tags = nil
	keys[4].Tags = append(keys[4].Tags, inventory.Tag{Key: "env", Value: "sandbox"})
	keys[5].Tags = append(keys[5].Tags, inventory.Tag{Key: "env", Value: "sandbox"})
	keys = keys[2:] // two are gone
	const text = "5 of the 12 keys with deployed alarms would lose them all, which is more than 4 keys and more than 10 %%: 2 because rule \"sandbox\" says watch: false, 2 because the account has no such key any more, 1 because no rule matches; the first: %s, %s, %s. If that is meant, say -c keywatch:allowRemoval=5%s; if not, look at the rules, the tags of these keys, and whether this is the right account"
	p := plan.Build(load(t, teams), account(keys...), plan.Options{Places: places})
	expect(t, p.Problems, "mass-removal", fmt.Sprintf("error "+text, keyARNOf(1), keyARNOf(2), keyARNOf(4), ""))
	p = plan.Build(load(t, teams), account(keys...), plan.Options{Places: places, AllowRemoval: 4})
	expect(t, p.Problems, "mass-removal", fmt.Sprintf("error "+text, keyARNOf(1), keyARNOf(2), keyARNOf(4), " (it is 4, and only the exact number counts)"))
	p = plan.Build(load(t, teams), account(keys...), plan.Options{Places: places, Several: true})
	if got := coded(p.Problems, "mass-removal"); len(got) != 1 || !strings.Contains(got[0], "say -c keywatch:allowRemoval=111122223333/eu-west-1:5; if not") {
		t.Errorf("among several environments: %q", got)
	}
	const gone, sandbox = "the account has no such key any more", `rule "sandbox" says watch: false`
	if diff := cmp.Diff([]plan.Removal{
		{KeyARN: keyARNOf(1), Units: 4, Reason: gone}, {KeyARN: keyARNOf(2), Units: 4, Reason: gone}, {KeyARN: keyARNOf(4), Units: 4, Reason: "no rule matches"},
		{KeyARN: keyARNOf(5), Units: 4, Reason: sandbox}, {KeyARN: keyARNOf(6), Units: 4, Reason: sandbox},
	}, p.Removals); diff != "" {
		t.Errorf("removals (-want +got):\n%s", diff)
	}
	if p.Totals.Removed != 20 || p.Totals.Added != 0 {
		t.Errorf("totals %+v", p.Totals)
	}
	// A file says nothing of the account.
	p = plan.Build(load(t, teams), account(keys...), plan.Options{Places: places, Frozen: true})
	if got := coded(p.Problems, "mass-removal"); len(got) != 1 || !strings.Contains(got[0], "2 because the snapshot has no such key, ") || strings.Contains(got[0], "has no such key any more") {
		t.Errorf("from a snapshot: %q", got)
	}
}

// Each alarm that goes is named, with its unit and since when it is as it is, one that
// shares its unit with an alarm that stays included.
func TestLosses(t *testing.T) {
	const rule = "version: 1\nrules:\n  - {name: all, match: {tag: team, exists: true}, operations: [Decrypt]%s}\n"
	wide := load(t, fmt.Sprintf(rule, ", thresholds: [{id: burst, operations: [Decrypt], above: 9}]"))
	keys := ofTeams(2)
	there := deployed(plan.Build(wide, account(keys...), plan.Options{}))
	then := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	there.Changed = map[string]time.Time{}
	for id := range there.Names {
		there.Changed[id] = then
	}
	if p := plan.Build(wide, account(keys...), plan.Options{Places: there}); len(p.Losses) > 0 {
		t.Errorf("nothing goes, but %+v", p.Losses)
	}
	keys[1].Tags = nil
	p := plan.Build(load(t, fmt.Sprintf(rule, "")), account(keys...), plan.Options{Places: there})
	name := func(n int, kind string) string {
		id := key(n).ID
		return "keywatch - " + id[len(id)-12:] + " Decrypt " + kind
	}
	want := []plan.Loss{
		{Unit: key(1).ID + "/Decrypt", Name: name(1, "threshold burst"), Changed: then},
		{Unit: key(2).ID + "/Decrypt", Name: name(2, "anomaly"), Changed: then},
		{Unit: key(2).ID + "/Decrypt", Name: name(2, "threshold burst"), Changed: then},
	}
	if diff := cmp.Diff(want, p.Losses); diff != "" || p.Totals.Removed != 3 {
		t.Errorf("%d removed, losses (-want +got):\n%s", p.Totals.Removed, diff)
	}
}

// What is deployed and what has a place are two things: the guards, the counts and
// what others hold go by the former, and what is drawn by the latter alone.
func TestGuardsLookAtWhatIsDeployed(t *testing.T) {
	c := load(t, teams)
	keys := ofTeams(20)
	whole := plan.Build(c, account(keys...), plan.Options{})
	places := deployed(whole)
	places.Names = nil
	few := deployed(plan.Build(c, account(keys[:8]...), plan.Options{}))

	// Twelve keys have a place only; nine of all lose theirs, of which five alarms.
	for i := 3; i < 12; i++ {
		keys[i].Tags = nil
	}
	alone := plan.Build(c, account(keys...), plan.Options{Places: places})
	p := plan.Build(c, account(keys...), plan.Options{Places: places, Deployed: &few})
	if got := coded(p.Problems, "mass-removal"); len(got) != 1 || !strings.Contains(got[0], "5 of the 8 keys with deployed alarms") || !p.MassRemoval {
		t.Errorf("%q", got)
	}
	if p.Totals.Deployed != 8 || len(p.Removals) != 5 || p.Totals.Removed != 20 || p.Totals.Added != 32 || !p.Compared {
		t.Errorf("%+v, %d removals, compared %v", p.Totals, len(p.Removals), p.Compared)
	}
	if len(alone.Removals) != 9 || alone.Compared {
		t.Errorf("places alone: %d removals, compared %v", len(alone.Removals), alone.Compared)
	}
	if diff := cmp.Diff(alone.Deployment, p.Deployment); diff != "" {
		t.Errorf("what is deployed changes what is drawn:\n%s", diff)
	}
	if p := plan.Build(c, account(keys...), plan.Options{Places: places, Deployed: &few, AllowRemoval: 5}); p.Problems.Err() != nil || !p.MassRemoval {
		t.Errorf("confirmed: %v", p.Problems)
	}

	// Nothing is deployed yet: nothing can be lost.
	p = plan.Build(c, account(), plan.Options{Places: places, Deployed: &plan.Places{Names: map[string]string{}}})
	if p.Totals.Deployed != 0 || p.Problems.Err() != nil {
		t.Errorf("%+v, %v", p.Totals, p.Problems)
	}

	// The file of places is silent on who else holds a unit, and on stacks.
	unit := keys[0].ID + "/Decrypt"
	few.Twice = map[string][2]string{unit: {"keywatch-alarms-001", "keywatch-alarms-002"}}
	few.Elsewhere = map[string]plan.Holder{unit: {Stack: "b-alarms-001", Deployment: "b"}}
	few.Others = []string{"keywatch-alarms-009"}
	unreadable("kms:ListResourceTags: AccessDeniedException")(&keys[7])
	p = plan.Build(c, account(keys...), plan.Options{Places: places, Deployed: &few})
	for _, code := range []string{"placed-twice", "placed-elsewhere", "stack-left", "unreadable-deployed"} {
		if got := coded(p.Problems, code); len(got) != 1 {
			t.Errorf("[%s] %q", code, got)
		}
	}
}

// A key that keeps one alarm has not lost them all; a key scheduled for
// deletion has.
func TestWhatCountsAsRemoval(t *testing.T) {
	keys := ofTeams(10)
	places := deployed(plan.Build(load(t, teams), account(keys...), plan.Options{}))
	narrow := strings.Replace(teams, "{tag: team, exists: true}}", "{tag: team, exists: true}, operations: [Decrypt]}", 1)
	p := plan.Build(load(t, narrow), account(keys...), plan.Options{Places: places})
	if len(p.Removals) != 0 || p.Totals.Removed != 30 || p.Problems.Err() != nil {
		t.Errorf("%d removals, %d alarms, %v", len(p.Removals), p.Totals.Removed, p.Problems)
	}
	for i := range keys {
		keys[i].State = "PendingDeletion"
	}
	p = plan.Build(load(t, teams), account(keys...), plan.Options{Places: places})
	if len(p.Removals) != 10 || len(coded(p.Problems, "mass-removal")) != 1 {
		t.Errorf("%d removals, %v", len(p.Removals), p.Problems)
	}
}

// Places out of a snapshot have no names; the guards do not need them.
func TestPlacesWithoutNames(t *testing.T) {
	places := deployed(plan.Build(load(t, teams), account(ofTeams(6)...), plan.Options{}))
	places.Names = nil
	p := plan.Build(load(t, teams), account(), plan.Options{Places: places})
	if len(p.Removals) != 6 || p.Totals.Removed+p.Totals.Added != 0 || len(coded(p.Problems, "mass-removal")) != 1 {
		t.Errorf("%+v, %v", p.Totals, p.Problems)
	}
}

// Whatever onUnreadable says: the first move of an attacker is the key policy.
func TestADeployedKeyThatBecameUnreadable(t *testing.T) {
	keys := ofTeams(3)
	places := deployed(plan.Build(load(t, teams), account(keys...), plan.Options{}))
	denied := unreadable("kms:ListResourceTags: AccessDeniedException")
	denied(&keys[1])
	keys[1].Tags = nil
	keys = append(keys, key(9, denied)) // and one that never had alarms
	const text = "error key %s has deployed alarms and can no longer be read: kms:ListResourceTags: AccessDeniedException; they are not removed for that: find out who changed the key's policy or this identity's permissions, and let it read the key again"
	for _, on := range []string{"fail", "warn"} {
		p := plan.Build(load(t, "inventory: {onUnreadable: "+on+"}\n"+teams), account(keys...), plan.Options{Places: places})
		expect(t, p.Problems, "unreadable-deployed", fmt.Sprintf(text, keyARNOf(2)))
		if len(p.Removals) != 0 {
			t.Errorf("removals %v", p.Removals)
		}
		got := coded(p.Problems, "unreadable") // of the other one alone
		if len(got) != 1 || !strings.Contains(got[0], keyARNOf(9)) || strings.HasPrefix(got[0], "error") != (on == "fail") {
			t.Errorf("%s: %q", on, got)
		}
	}
}

func TestRenames(t *testing.T) {
	c := load(t, "version: 1\nrules: [{name: all, match: every, operations: [Decrypt, Encrypt]}]\n")
	keys := []inventory.Key{key(1, named("orders")), key(2, named("refunds"))}
	places := deployed(plan.Build(c, account(keys...), plan.Options{}))
	named("pay")(&keys[0])
	keys[0].Aliases = keys[0].Aliases[1:]
	keys = append(keys, key(3))
	p := plan.Build(c, account(keys...), plan.Options{Places: places})
	if diff := cmp.Diff([]plan.Rename{
		{From: "keywatch orders 123400000001 Decrypt anomaly", To: "keywatch pay 123400000001 Decrypt anomaly"},
		{From: "keywatch orders 123400000001 Encrypt anomaly", To: "keywatch pay 123400000001 Encrypt anomaly"},
	}, p.Renames); diff != "" {
		t.Errorf("renames (-want +got):\n%s", diff)
	}
	if p.Totals.Added != 2 || p.Totals.Removed != 0 || p.Problems.Err() != nil {
		t.Errorf("%+v, %v", p.Totals, p.Problems)
	}
}

func TestUnitsThatSomethingElseHolds(t *testing.T) {
	c := load(t, "version: 1\nrules: [{name: off, match: {tag: off, exists: true}, watch: false}, {name: all, match: every, operations: [Decrypt]}]\n")
	keys := ofN(3)
	places := deployed(plan.Build(c, account(keys...), plan.Options{}))
	places.Twice = map[string][2]string{keys[0].ID + "/Decrypt": {"keywatch-alarms-001", "keywatch-alarms-002"}}
	held := plan.Holder{Stack: "team-b-alarms-003", Deployment: "team-b"}
	places.Elsewhere = map[string]plan.Holder{keys[1].ID + "/Decrypt": held, keys[2].ID + "/Decrypt": held, keys[2].ID + "/Encrypt": held}
	p := plan.Build(c, account(keys...), plan.Options{Places: places})
	expect(t, p.Problems, "placed-twice", "error the stacks keywatch-alarms-001 and keywatch-alarms-002 both hold the alarms on Decrypt of key "+keyARNOf(1)+"; let both drop them by a deploy with a rule that says watch: false for these keys, then deploy without it")
	expect(t, p.Problems, "placed-elsewhere", `error stack team-b-alarms-003 of the keywatch deployment "team-b" already holds alarms on Decrypt of key `+keyARNOf(2)+` (and on 1 more); two deployments would share its anomaly detector, and either could delete it: let the rules of one of them leave these keys out (watch: false), or give up the deployment "team-b"`)

	// What the messages advise is possible.
	for i := range keys {
		tags("off=")(&keys[i])
	}
	if p := plan.Build(c, account(keys...), plan.Options{Places: places}); p.Problems.Err() != nil {
		t.Error(p.Problems)
	}
}

func TestStacksThatNobodyMakesAnyMore(t *testing.T) {
	c := load(t, everyKey)
	places := deployed(plan.Build(c, account(key(1)), plan.Options{}))
	if got := coded(plan.Build(c, account(key(1)), plan.Options{Places: places}).Problems, "stack-left"); len(got) != 0 {
		t.Errorf("with the dashboard: %q", got)
	}
	places.Others = append(places.Others, "keywatch-alarms-002") // created, but not to the end
	without := load(t, "dashboard: off\n"+everyKey)
	const text = "warning stack %[1]s is of this deployment, but the config makes no such stack (any more), so a deploy leaves it as it is; `aws cloudformation delete-stack --stack-name %[1]s --region eu-west-1` removes it"
	p := plan.Build(without, account(key(1)), plan.Options{Places: places})
	expect(t, p.Problems, "stack-left", fmt.Sprintf(text, "keywatch-alarms-002"), fmt.Sprintf(text, "keywatch-dashboard"))
	if err := p.Problems.Err(); err != nil {
		t.Errorf("it stops: %v", err)
	}

	// The evidence outlives its stack, and whoever switches it off is told so.
	places.Others = []string{"keywatch-dashboard", "keywatch-sla-evidence"}
	on := load(t, "sla: {evidence: true}\n"+everyKey)
	if got := coded(plan.Build(on, account(key(1)), plan.Options{Places: places}).Problems, "stack-left"); len(got) != 0 {
		t.Errorf("with the evidence: %q", got)
	}
	p = plan.Build(c, account(key(1)), plan.Options{Places: places})
	expect(t, p.Problems, "stack-left", fmt.Sprintf(text, "keywatch-sla-evidence")+", but not the log group with the evidence, which stays until its events expire")
}

// Growing past a stack and shrinking again: nothing moves, the emptied stack
// stays, and a key that comes back gets a place.
func TestGrowAndShrink(t *testing.T) {
	c := load(t, teams)
	o := plan.Options{Fill: plan.Fill{New: plan.Size{Resources: 16, Bytes: 700_000}, Grown: plan.DefaultFill.Grown}, Places: plan.Places{}}
	stackOf := func(p *plan.Plan) map[string]string {
		out := map[string]string{}
		for i := range p.Keys {
			for _, u := range p.Keys[i].Units {
				out[u.ID] = u.Stack
			}
		}
		return out
	}
	build := func(keys ...inventory.Key) (*plan.Plan, map[string]string) {
		t.Helper()
		p := plan.Build(c, account(keys...), o)
		if err := p.Problems.Err(); err != nil {
			t.Fatal(err)
		}
		o.Places = deployed(p)
		return p, stackOf(p)
	}
	keys := ofTeams(4) // two a stack
	_, one := build(keys[:2]...)
	_, grown := build(keys...)
	for unit, stack := range one {
		if grown[unit] != stack {
			t.Errorf("growing moves %s from %s to %s", unit, stack, grown[unit])
		}
	}
	p, shrunk := build(keys[:2]...)
	if !cmp.Equal(one, shrunk) || p.Totals.Stacks != 2 || len(p.Deployment.Shards[1].Units) != 0 {
		t.Errorf("after shrinking: %v, %d stacks", shrunk, p.Totals.Stacks)
	}
	_, back := build(keys[1:]...)
	for unit, stack := range back {
		if was, there := shrunk[unit]; there && was != stack || stack == "" {
			t.Errorf("%s was in %q and is in %q", unit, was, stack)
		}
	}
	if p, _ := build(keys...); !slices.Equal(o.Places.Stacks, []int{1, 2}) {
		t.Errorf("%d stacks", p.Totals.Stacks)
	}
}

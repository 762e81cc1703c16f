package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keywatch/config"
	"keywatch/internal/coverage"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
	"keywatch/test/schema"
)

// excepting is an account of three keys: one excepted, one by an alias that moved,
// one whose exception is over.
func excepting(t *testing.T) *plan.Plan {
	t.Helper()
	c, problems := config.Parse("keywatch.yaml", []byte("version: 1\nrules: [{name: all, match: {tag: team, exists: true}, operations: [Decrypt]}]\n"), nil)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	end := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	const id = "-12ab-34cd-56ef-1234567890ab"
	c.Exceptions = []config.Exception{
		{Key: "00000001" + id, Reason: "retired in Q1", Owner: "data-platform", Expires: end},
		{Key: "alias/legacy", Reason: "migration", Owner: "ledger", Expires: end, Written: end.AddDate(-1, 0, 0)},
		{Key: "arn:aws:kms:eu-west-1:111122223333:key/00000003" + id, Reason: "a test", Owner: "qa", Expires: end.AddDate(-1, 0, 0)},
		{Key: "alias/nobody", Reason: "a slip", Owner: "ops", Expires: end, Written: end.AddDate(-1, 0, 0)},
		{Key: "alias/elsewhere", Account: "444455556666", Region: "eu-west-1", Reason: "x", Owner: "y", Expires: end},
	}
	inv := &inventory.Inventory{Account: "111122223333", Region: "eu-west-1", Partition: "aws", ReadAt: end.AddDate(0, -2, 0)}
	for _, n := range []string{"00000001", "00000002", "00000003"} {
		inv.Keys = append(inv.Keys, inventory.Key{
			ARN: "arn:aws:kms:eu-west-1:111122223333:key/" + n + id, ID: n + id, Tags: []inventory.Tag{{Key: "team", Value: "a"}},
			Manager: "CUSTOMER", State: "Enabled", Usage: "ENCRYPT_DECRYPT", Spec: "SYMMETRIC_DEFAULT",
		})
	}
	inv.Keys[1].Aliases = []inventory.Alias{{Name: "alias/legacy", Created: end.AddDate(-2, 0, 0), Updated: end.AddDate(0, -3, 0)}}
	return plan.Build(c, inv, plan.Options{Trace: true})
}

// What an auditor sees in plan: who took which key out, why and until when; and
// what looks like an exception and is none.
func TestPlanListsExceptions(t *testing.T) {
	var b bytes.Buffer
	Plan(&b, excepting(t))
	_, got, _ := strings.Cut(b.String(), "Keys without alarms:\n")
	want := `    1  excepted until 2027-01-31: retired in Q1 (owner data-platform)

Exceptions:
  00000001-12ab-34cd-56ef-1234567890ab: excepted until 2027-01-31: retired in Q1
      (owner data-platform)

Exceptions that do not hold here:
  alias/legacy: key 00000002-12ab-34cd-56ef-1234567890ab, alias/legacy was last
      pointed to a key at 2026-11-01T00:00:00Z, and the exception was written at
      2026-02-01T00:00:00Z
  arn:aws:kms:eu-west-1:111122223333:key/00000003-12ab-34cd-56ef-1234567890ab:
      key 00000003-12ab-34cd-56ef-1234567890ab, expired at the end of
      2026-01-31; it said: a test (owner qa)
  alias/nobody: no such key here; until 2027-01-31: a slip (owner ops)
  alias/elsewhere: for 444455556666/eu-west-1; until 2027-01-31: x (owner y)
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExplainShowsExceptions(t *testing.T) {
	r := coverage.Planned(excepting(t))
	var b bytes.Buffer
	Explain(&b, &r.Keys[0])
	for _, want := range []string{
		"\nexception 00000001-12ab-34cd-56ef-1234567890ab\n  yes  excepted until 2027-01-31: retired in Q1 (owner data-platform)\n",
		"\nWithout the exception the rules would say:\n\nrule all: yes: ",
		"\nno alarms, excepted until 2027-01-31: retired in Q1 (owner data-platform)\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	Explain(&b, &r.Keys[1])
	if want := "\nexception alias/legacy\n  no   alias/legacy was last pointed to a key at 2026-11-01T00:00:00Z, and the\n       exception was written at 2026-02-01T00:00:00Z\n\nrule all: yes"; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, b.String())
	}
}

func TestCoverageCountsExceptedKeys(t *testing.T) {
	r := coverage.Planned(excepting(t))
	var b bytes.Buffer
	Coverage(&b, r)
	if want := ": 3 keys\n      2 covered\n      1 excepted\nevery watched"; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, b.String())
	}
	if !r.Passed() {
		t.Error("an excepted key fails the gate")
	}
}

func TestJSONOfExceptions(t *testing.T) {
	r := coverage.Planned(excepting(t))
	yes := true
	r.Keys[0].Verified, r.Keys[0].Assumed = &yes, true
	var b bytes.Buffer
	if err := JSON(&b, Form{}, r); err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(b.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	for _, problem := range schema.Problems(t, schemaFile, b.Bytes()) {
		t.Error(problem)
	}
	var states []string
	for _, e := range v["exceptions"].([]any) {
		e := e.(map[string]any)
		states = append(states, e["exception"].(string)+" "+e["state"].(string)+" "+e["until"].(string))
	}
	const id = "-12ab-34cd-56ef-1234567890ab"
	if diff := cmp.Diff([]string{
		"00000001" + id + " holds 2027-01-31", "alias/legacy repointed 2027-01-31",
		"arn:aws:kms:eu-west-1:111122223333:key/00000003" + id + " expired 2026-01-31", "alias/nobody no-key 2027-01-31",
		"alias/elsewhere elsewhere 2027-01-31",
	}, states); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	first := v["keys"].([]any)[0].(map[string]any)
	if first["status"] != "excepted" || first["verified"] != true || first["assumed"] != true || first["exceptions"].([]any)[0].(map[string]any)["state"] != "holds" {
		t.Errorf("%v", first)
	}
}

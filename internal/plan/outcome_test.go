package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keywatch/constructs/spec"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
)

// alarmsOf are the alarms of a key: operations, id and band, or what is summed.
func alarmsOf(k *plan.Key) []string {
	var out []string
	for _, u := range k.Units {
		for _, a := range u.Alarms {
			last := a.Queries[len(a.Queries)-1]
			band := strings.TrimSuffix(strings.TrimPrefix(last.Expression, "ANOMALY_DETECTION_BAND(m1, "), ")")
			out = append(out, fmt.Sprintf("%s %s %s", spec.JoinOperations(u.Operations, "+"), a.AlarmID, band))
		}
	}
	return out
}

func mac(k *inventory.Key) { k.Usage, k.Spec = "GENERATE_VERIFY_MAC", "HMAC_256" }

// An operation has the alarm that perOperation says, with a detector of its own
// statistic, or none; the others have that of the rule.
func TestPerOperation(t *testing.T) {
	c := load(t, `version: 1
rules:
  - name: all
    match: every
    perOperation:
      Decrypt: {band: 3.5, statistic: Average, period: 15m}
      Encrypt: off
      GenerateMac: off
      VerifyMac: off
`)
	p := plan.Build(c, account(key(1), key(2, mac)), plan.Options{})
	k := &p.Keys[0]
	if diff := cmp.Diff([]string{"Decrypt main 3.5", "GenerateDataKey main 2", "GenerateDataKeyWithoutPlaintext main 2"}, alarmsOf(k)); diff != "" {
		t.Errorf("alarms (-want +got):\n%s", diff)
	}
	a, d := k.Units[0].Alarms[0], k.Units[0].Detectors[0]
	if d.Statistic != "Average" || a.DetectorID != d.ID || a.Queries[0].Statistic != "Average" || a.Queries[0].Period.Minutes() != 15 {
		t.Errorf("%+v\n%+v", a, d)
	}
	if p.Totals.Alarms != 3 || p.Rules[0].Anomaly != 3 || plan.FormatUSD(p.Rules[0].MonthlyUSD) != "$0.90" {
		t.Errorf("%+v %+v", p.Totals, p.Rules[0])
	}
	// The second key can do what the rule chooses, and the rule wants none of it.
	expect(t, p.Problems, "no-operation",
		`warning 3:5: rule "all" makes no alarm on key `+arnPrefix+`00000002-12ab-34cd-56ef-123400000002: a key of GENERATE_VERIFY_MAC, HMAC_256 can do only operations for which its perOperation is off`)
	if want := `the key (GENERATE_VERIFY_MAC, HMAC_256) can do only operations for which perOperation of rule "all" is off`; p.Keys[1].Decision.Reason != want {
		t.Errorf("reason %q", p.Keys[1].Decision.Reason)
	}
}

// Two rules clash wherever they make an alarm of one identity, whatever its
// settings and its detector are, and only there.
func TestTwoRulesThatMakeTheSameAlarmPerOperation(t *testing.T) {
	build := func(first, second string) *plan.Plan {
		c := load(t, "version: 1\nrules:\n  - {name: first, match: every, continue: true, operations: [Decrypt, Encrypt], "+first+"}\n  - {name: second, match: every, operations: [Decrypt], "+second+"}\n")
		return plan.Build(c, account(key(1)), plan.Options{})
	}
	const clash = `error 4:5: rules[1]: rules "first" and "second" both make the anomaly alarm "main" on Decrypt of key ` + arnPrefix + `00000001-12ab-34cd-56ef-123400000001; give one of them another id, or drop continue: true`
	for _, rules := range [][2]string{
		{"perOperation: {Decrypt: {band: 3}}", "continue: false"},
		{"perOperation: {Decrypt: {statistic: Average}}", "continue: false"},
		{"anomaly: {statistic: Average}", "perOperation: {Decrypt: {statistic: Maximum, period: 1m}}"},
		{"perOperation: {Encrypt: off}", "perOperation: {Decrypt: {direction: below}}"},
	} {
		p := build(rules[0], rules[1])
		expect(t, p.Problems, "duplicate-alarm", clash)
	}
	for _, test := range []struct {
		first, second string
		alarms        []string
		detectors     int
	}{
		{"perOperation: {Decrypt: off}", "continue: false", []string{"Decrypt main 2", "Encrypt main 2"}, 1},
		{"anomaly: {id: wide, band: 4}", "continue: false", []string{"Decrypt main 2", "Decrypt wide 4", "Encrypt wide 4"}, 1},
		{"anomaly: {id: peak}, perOperation: {Decrypt: {statistic: Maximum}}", "continue: false", []string{"Decrypt main 2", "Decrypt peak 2", "Encrypt peak 2"}, 2},
	} {
		p := build(test.first, test.second)
		expect(t, p.Problems, "duplicate-alarm")
		if diff := cmp.Diff(test.alarms, alarmsOf(&p.Keys[0])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.first, diff)
		}
		if n := len(p.Keys[0].Units[0].Detectors); n != test.detectors {
			t.Errorf("%s: %d detectors on Decrypt, want %d", test.first, n, test.detectors)
		}
	}
}

func TestBandTag(t *testing.T) {
	const file = `version: 1
rules:
  - name: pay
    match: every
    operations: [Decrypt, Encrypt, GenerateDataKey]
    perOperation: {Decrypt: {band: 3}}
    bandTag: {tag: own band, min: 1%s}
`
	const (
		usual   = "Decrypt main 3, Encrypt main 2, GenerateDataKey main 2"
		looser  = ", max: 4, allowLooser: true"
		refused = `warning 7:14: rule "pay" keeps its band, whatever the tag "own band" says of key ` + arnPrefix + `00000001-12ab-34cd-56ef-123400000001, which has `
		number  = ": it is no decimal number above 0 and up to 100, such as 1.5"
		wider   = ": it is wider than the rule's, and bandTag does not say allowLooser: true"
	)
	narrow := func(to string, bothFrom ...string) (out []plan.BandOverride) {
		for _, from := range bothFrom {
			ops := []spec.Operation{"Decrypt"}
			if from == "2" {
				ops = []spec.Operation{"Encrypt", "GenerateDataKey"}
			}
			out = append(out, plan.BandOverride{Rule: "pay", Operations: ops, From: from, To: to, Tag: "own band"})
		}
		return out
	}
	wide := func(o []plan.BandOverride) []plan.BandOverride {
		for i := range o {
			o[i].Looser = o[i].To > o[i].From
		}
		return o
	}
	for _, test := range []struct {
		more, value string
		alarms      string
		bands       []plan.BandOverride
		problem     string
	}{
		{"", "1.50", "Decrypt main 1.50, Encrypt main 1.50, GenerateDataKey main 1.50", narrow("1.50", "3", "2"), ""},
		{"", "1", "Decrypt main 1, Encrypt main 1, GenerateDataKey main 1", narrow("1", "3", "2"), ""},
		{"", "0.99", usual, nil, `"0.99": it is below bandTag.min: 1`},
		{"", "2", "Decrypt main 2, Encrypt main 2, GenerateDataKey main 2", narrow("2", "3"), ""},
		{"", "2.5", "Decrypt main 2.5, Encrypt main 2, GenerateDataKey main 2", narrow("2.5", "3"), `"2.5"` + wider},
		{"", "4", usual, nil, `"4"` + wider},
		{looser, "4", "Decrypt main 4, Encrypt main 4, GenerateDataKey main 4", wide(narrow("4", "3", "2")), ""},
		{looser, "2.5", "Decrypt main 2.5, Encrypt main 2.5, GenerateDataKey main 2.5", wide(narrow("2.5", "3", "2")), ""},
		{looser, "4.1", usual, nil, `"4.1": it is above bandTag.max: 4`},
		{", max: 4", "3.5", usual, nil, `"3.5"` + wider},
		{"", "", usual, nil, `""` + number},
		{"", "0", usual, nil, `"0"` + number},
		{"", "-1", usual, nil, `"-1"` + number},
		{"", "1e0", usual, nil, `"1e0"` + number},
		{"", " 1", usual, nil, `" 1"` + number},
		{"", "NaN", usual, nil, `"NaN"` + number},
		{looser, "101", usual, nil, `"101"` + number},
		{"", "1), m1, (", usual, nil, `"1), m1, ("` + number},
	} {
		c := load(t, fmt.Sprintf(file, test.more))
		p := plan.Build(c, account(key(1, tags("own band="+test.value)), key(2)), plan.Options{})
		name := test.value + test.more
		if got := strings.Join(alarmsOf(&p.Keys[0]), ", "); got != test.alarms {
			t.Errorf("%s: %s\nwant %s", name, got, test.alarms)
		}
		if got := strings.Join(alarmsOf(&p.Keys[1]), ", "); got != usual || p.Keys[1].Bands != nil {
			t.Errorf("%s: a key without the tag has %s, %v", name, got, p.Keys[1].Bands)
		}
		if diff := cmp.Diff(test.bands, p.Keys[0].Bands); diff != "" {
			t.Errorf("%s: overrides (-want +got):\n%s", name, diff)
		}
		var want []string
		if test.problem != "" {
			want = []string{refused + test.problem + "; `keywatch explain KEY` says so of each key"}
			// The key says it of itself, for explain.
			noted := fmt.Sprintf("rule \"pay\" keeps its band, whatever the tag \"own band\"=%s says: ", strings.SplitN(test.problem, ": ", 2)[0])
			if notes := p.Keys[0].Notes; len(notes) != 1 || notes[0] != noted+strings.SplitN(test.problem, ": ", 2)[1] {
				t.Errorf("%s: notes %q, want %q and why", name, notes, noted)
			}
		}
		expect(t, p.Problems, "band-tag", want...)
	}
}

// Many keys with the same mistake are one line.
func TestBandTagsThatAreRefusedTogether(t *testing.T) {
	c := load(t, "version: 1\nrules:\n  - {name: pay, match: every, bandTag: {tag: band}}\n")
	p := plan.Build(c, account(ofN(4, tags("band=wide"))...), plan.Options{})
	var first []string
	for i := range 3 {
		first = append(first, "key "+p.Keys[i].ARN+`, which has "wide"`)
	}
	three := strings.Join(first, ", ")
	expect(t, p.Problems, "band-tag", `warning 3:40: rule "pay" keeps its band, whatever the tag band says of `+three+` (and on 1 more): it is no decimal number above 0 and up to 100, such as 1.5; `+"`keywatch explain KEY` says so of each key")
}

// The levels of the config are those of the plan's remarks, and an error stays one.
func TestLevelsOfFindings(t *testing.T) {
	const rules = "rules:\n  - {name: pay, match: {tag: team, equals: pay}}\n"
	build := func(top string) *plan.Plan {
		return plan.Build(load(t, "version: 1\n"+top+rules), account(key(1)), plan.Options{})
	}
	codes := func(p *plan.Plan) string {
		var out []string
		all := slices.Concat(p.Problems, p.Config.Findings.Apply(plan.Together([]*plan.Plan{p})))
		all.Sort()
		for _, x := range all {
			out = append(out, x.Severity.String()+" "+x.Code)
		}
		return strings.Join(out, ", ")
	}
	for top, want := range map[string]string{
		"": "warning no-match, warning unmatched, warning matches-nothing",
		"findings: {all: off, no-actions: warn}\n":            "",
		"findings: {matches-nothing: fail, no-match: off}\n":  "warning unmatched, error matches-nothing",
		"requireMatch: true\nfindings: {all: off}\n":          "error no-match",
		"findings: {no-match: fail, matches-nothing: warn}\n": "error no-match, warning unmatched, warning matches-nothing",
		"findings: {all: fail, no-actions: off}\n":            "error no-match, error unmatched, error matches-nothing",
		"limits: {alarms: 0}\nfindings: {no-match: off}\n":    "warning unmatched, warning matches-nothing",
	} {
		if got := codes(build(top)); got != want {
			t.Errorf("%s: %s, want %s", top, got, want)
		}
	}
}
